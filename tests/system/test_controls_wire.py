"""SMTP, reports, hooks and what was hidden in the registry, on real traffic between two servers."""

from __future__ import annotations

import email
import poplib
import smtplib
from email.message import Message
from pathlib import Path

import ldap3
import pytest

from tests.support.clients import poll, subjects
from tests.support.pair import Lab, Wire, as_it_was, change, found, lab
from tests.support.servers import PASSWORD

__all__ = ["as_it_was", "lab"]

pytestmark = pytest.mark.system


def hello(lab: Lab) -> tuple[str, dict[str, str]]:
    """The greeting, and what EHLO offers with what follows each keyword."""
    with Wire(lab) as wire:
        greeting = wire.reply()
        lines = wire.say("EHLO out.example").splitlines()[1:]
    return greeting, {line[4:].partition(" ")[0]: line[4:].partition(" ")[2] for line in lines}


def submission(lab: Lab) -> dict[str, str]:
    """What the submission port offers."""
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=10) as smtp:
        smtp.ehlo()
        return smtp.esmtp_features


def test_banner(lab: Lab) -> None:
    assert hello(lab)[0] == "220 localhost ESMTP ready\r\n"
    lab.set(smtp__banner="ESMTP No UBE")
    assert hello(lab)[0] == "220 localhost ESMTP No UBE\r\n"


def test_without_extensions_imsd_brings_its_mail_by_plain_smtp(lab: Lab) -> None:
    lab.send("with extensions", body="gr\u00fc\u00df")
    assert "gr\u00fc\u00df" in lab.came("with extensions")
    lab.set(smtp__disable_esmtp=True)
    assert hello(lab) == ("220 localhost SMTP ready\r\n", {})
    lab.send("without extensions", body="gr\u00fc\u00df")
    assert "gr=C3=BC=C3=9F" in lab.came("without extensions")


def test_a_signature_that_would_be_untrue_is_left_out(lab: Lab) -> None:
    lab.away.imsctl("dkim", "create", "example.test")
    lab.send("as it was signed", body="gr\u00fc\u00df")
    assert lab.came("as it was signed").count("DKIM-Signature: ") == 2
    lab.set(smtp__disable_esmtp=True)
    lab.send("encoded on its way", body="gr\u00fc\u00df")
    came = lab.came("encoded on its way")
    assert "gr=C3=BC=C3=9F" in came and "DKIM-Signature" not in came
    lab.send("nothing to encode")
    assert lab.came("nothing to encode").count("DKIM-Signature: ") == 2


def test_auth_is_not_for_port_25_where_that_is_so_chosen(lab: Lab) -> None:
    with smtplib.SMTP("localhost", lab.here.port("smtp"), timeout=10) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login("alice@example.test", PASSWORD)
        lab.set(smtp__disable_auth=True)
    with smtplib.SMTP("localhost", lab.here.port("smtp"), timeout=10) as smtp:
        smtp.starttls(context=lab.here.tls())
        with pytest.raises(smtplib.SMTPNotSupportedError):
            smtp.login("alice@example.test", PASSWORD)
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=10) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login("alice@example.test", PASSWORD)


def test_malformed_addresses(lab: Lab) -> None:
    def answers() -> list[str]:
        with Wire(lab) as wire:
            wire.reply()
            wire.say("EHLO out.example")
            told = [wire.say(f"MAIL FROM:{path}")[:3] for path in ("<a b@out.example>",)]
            wire.say("RSET", "MAIL FROM:<a@out.example>")
            return [*told, wire.say("RCPT TO:x@here.test")[:3]]

    assert answers() == ["501", "501"]
    lab.set(smtp__lenient_addresses=True)
    assert answers() == ["250", "250"]


def test_vrfy_and_expn(lab: Lab) -> None:
    lab.here.ask("group.add", address="all@example.test", name="All", members=["alice@example.test"])

    def answers(port: str = "smtp", login: bool = False) -> tuple[int, int]:
        with smtplib.SMTP("localhost", lab.here.port(port), timeout=10) as smtp:
            if login:
                smtp.starttls(context=lab.here.tls())
                smtp.login("alice@example.test", PASSWORD)
            smtp.ehlo_or_helo_if_needed()
            return smtp.verify("alice@example.test")[0], smtp.expn("all@example.test")[0]

    assert answers() == (252, 502)
    lab.set(smtp__vrfy="authenticated", smtp__expn="authenticated")
    assert answers() == (252, 530)
    assert answers("submission", login=True) == (250, 250)
    lab.set(smtp__vrfy="on", smtp__expn="on")
    assert answers() == (250, 250)


def test_names_of_hosts_are_looked_up(lab: Lab) -> None:
    def bring(subject: str) -> str:
        with Wire(lab) as wire:
            wire.reply()
            wire.say("EHLO out.example", "MAIL FROM:<a@out.example>", "RCPT TO:<x@here.test>", "DATA")
            assert wire.say(f"Subject: {subject}\r\n\r\nx\r\n.").startswith("250 ")
        return lab.came(subject)

    assert "from out.example (mail.lab.test [192.0.2.7])" in bring("by its name")
    lab.set(smtp__reverse_dns=False)
    assert "from out.example ([192.0.2.7])" in bring("by its address")


def test_etrn(lab: Lab) -> None:
    lab.set(ims__domains=[{"domain": "held.test", "route": "etrn"}])
    with Wire(lab) as wire:
        wire.reply()
        assert "ETRN" in wire.say("EHLO out.example")
        assert wire.say("ETRN held.test")[:2] == "25"
    lab.set(smtp__etrn=False)
    with Wire(lab) as wire:
        wire.reply()
        assert "ETRN" not in wire.say("EHLO out.example")
        assert wire.say("ETRN held.test")[:2] == "50"


def test_mail_is_divided_as_the_bounds_of_a_session_are_told(lab: Lab) -> None:
    """imsd keeps to LIMITS (RFC 9422), and comes again where a session ends."""
    lab.set(smtp__transactions=1)
    assert hello(lab)[1]["LIMITS"].startswith("MAILMAX=1 ")
    for number in range(3):
        lab.send(f"one of each {number}")
    for number in range(3):
        lab.came(f"one of each {number}")
    with Wire(lab) as wire:
        wire.reply()
        wire.say("EHLO out.example", "MAIL FROM:<a@out.example>", "RCPT TO:<x@here.test>", "DATA")
        assert wire.say("Subject: s\r\n\r\nx\r\n.").startswith("250 ")
        assert wire.say("MAIL FROM:<a@out.example>")[:3] in ("421", "452")


def test_who_asks_for_many_that_are_nobody_and_who_talks_nonsense_is_sent_away(lab: Lab) -> None:
    lab.set(smtp__refused_recipients=2, smtp__bad_commands=2, smtp__recipient_domains=1)
    with Wire(lab) as wire:
        wire.reply()
        wire.say("EHLO out.example", "MAIL FROM:<a@out.example>")
        assert [wire.say(f"RCPT TO:<nobody{n}@example.test>")[:3] for n in range(2)] == ["550", "550"]
        assert wire.say("RCPT TO:<nobody@example.test>")[:3] in ("550", "421")
        assert wire.say("NOOP")[:3] in ("", "421")
    with Wire(lab, "192.0.2.8") as wire:
        wire.reply()
        assert [wire.say("NONSENSE")[:3] for _ in range(2)] == ["500", "500"]
        assert wire.say("NONSENSE")[:3] in ("500", "421")
        assert wire.say("NOOP")[:3] in ("", "421")
    with Wire(lab, "192.0.2.9") as wire:
        wire.reply()
        wire.say("EHLO out.example", "MAIL FROM:<a@out.example>")
        assert wire.say("RCPT TO:<x@here.test>")[:3] == "250"
        assert wire.say("RCPT TO:<alice@example.test>")[:7] == "452 4.5"
        assert wire.say("RCPT TO:<y@here.test>")[:3] == "250"


def test_who_does_not_wait(lab: Lab) -> None:
    burst = b"EHLO out.example\r\nMAIL FROM:<a@out.example>\r\n"
    with Wire(lab, say=burst) as wire:
        assert "554 5.5.0 " in wire.reply() + wire.reply() + wire.reply()
    lab.set(smtp__strict_pipelining=False)
    with Wire(lab, say=burst) as wire:
        assert [wire.reply()[:3] for _ in range(3)] == ["220", "250", "250"]
    lab.set(smtp__greeting_delay=0.3)
    with Wire(lab, say=burst) as wire:
        assert wire.reply().startswith("554 ")
    with Wire(lab) as wire:
        assert wire.reply().startswith("220 ")


def test_deadlines_and_release_times(lab: Lab) -> None:
    assert hello(lab)[1]["DELIVERBY"] == ""
    lab.set(smtp__deliver_by_seconds=600)
    with Wire(lab) as wire:
        wire.reply()
        assert "DELIVERBY 600" in wire.say("EHLO out.example")
        assert wire.say("MAIL FROM:<a@out.example> BY=60;R")[:1] == "5"
    lab.set(smtp__deliver_by=False, smtp__hold_hours=0)
    assert "DELIVERBY" not in hello(lab)[1]
    assert "futurerelease" not in submission(lab)
    lab.set(smtp__hold_hours=1)
    assert submission(lab)["futurerelease"].startswith("3600 ")


def test_a_kind_of_solicitation_that_is_not_wanted_comes_back(lab: Lab) -> None:
    lab.send("unasked for", "Solicitation: net.example:ADV\r\n")
    lab.came("unasked for")
    lab.set(smtp__no_soliciting=["net.example:ADV"])
    assert hello(lab)[1]["NO-SOLICITING"] == "net.example:ADV"
    lab.send("not wanted", "Solicitation: net.example:ADV\r\n")
    assert "SOLICIT=net.example:ADV" in lab.back("Not delivered: not wanted")


# Reports (ims_spec 8) ------------------------------------------------------------------------

NONE = "nobody@none.test"


def report(lab: Lab, subject: str) -> Message:
    return email.message_from_string(lab.back(f"Not delivered: {subject}"))


def test_reports_come_from_the_domain_of_the_site(lab: Lab) -> None:
    change(lab.away, ims__site_domain="site.test")
    lab.send("of a site", to=(NONE,))
    told = report(lab, "of a site")
    assert told["From"] == "Mail Delivery System <postmaster@site.test>"
    assert told["Return-Path"] == "<>"
    assert "Remote-MTA: " in told.as_string()
    assert "Diagnostic-Code: smtp; 550 5.1.1" in told.as_string()


def test_what_is_returned_and_how_many_are_named(lab: Lab) -> None:
    def parts(subject: str) -> tuple[int, str]:
        """Recipients that are named, and the type of what is returned."""
        told = report(lab, subject)
        return told.as_string().count("Final-Recipient"), told.get_payload(2).get_content_type()  # type: ignore[union-attr]

    many = tuple(f"nobody{number}@none.test" for number in range(12))
    body = "x" * 70 + "\r\n"
    lab.send("all of it", to=many, body=body * 20)
    assert parts("all of it") == (12, "message/rfc822")
    change(lab.away, queue__return_kb=1, ims__ndr__recipients=10)
    lab.send("less of it", to=many, body=body * 20)
    assert parts("less of it") == (10, "text/rfc822-headers")


def test_what_senders_elsewhere_are_told(lab: Lab) -> None:
    def fail(subject: str) -> None:
        lab.away.deliver(f"Subject: {subject}\r\n\r\nx\r\n", [NONE], sender="s@here.test")

    fail("told to the sender")
    lab.came("Not delivered: told to the sender")
    change(lab.away, ims__ndr__external="admin_only", ims__admin_mailbox="bob@example.test")
    fail("told to the administrator")
    lab.back("Not delivered: told to the administrator")
    assert "told to the administrator" not in "".join(subjects(lab.here))


def test_a_report_that_nobody_takes_ends_at_the_postmaster_of_choice(lab: Lab) -> None:
    change(lab.away, queue__postmaster="bob@example.test")
    lab.away.deliver("Subject: of nobody\r\n\r\nx\r\n", [NONE], sender="nobody@none.test")
    lab.back("Not delivered: of nobody")


# What was hidden -----------------------------------------------------------------------------


def test_catch_all(lab: Lab) -> None:
    def answer() -> str:
        with Wire(lab) as wire:
            wire.reply()
            return wire.say("EHLO out.example", "MAIL FROM:<a@out.example>", f"RCPT TO:<{NONE}>")[:9]

    assert answer() == "550 5.1.1"
    lab.set(routing__catch_all={"none.test": "alice@example.test"})
    assert answer()[:3] == "250"
    lab.send("for somebody after all", to=(NONE,))
    assert f"Delivered-To: {NONE}" in lab.came("for somebody after all")


def test_no_more_recipients_in_a_transaction_than_set(lab: Lab) -> None:
    two = ("x@here.test", "y@here.test")
    lab.send("both at once", to=two)
    lab.came("both at once")
    change(lab.away, ims__limits__recipients_out=1)
    lab.send("one after the other", to=two)
    poll(lambda: subjects(lab.here).count("one after the other") == 2)
    assert subjects(lab.here).count("both at once") == 1


def test_journals(lab: Lab) -> None:
    lab.here.add_user("journal")
    lab.away.add_user("journal")
    lab.send("not written down")
    lab.came("not written down")
    lab.set(hooks__journal_in="journal@example.test")
    change(lab.away, hooks__journal_out="journal@example.test")
    lab.send("written down")
    for server in (lab.here, lab.away):
        copy = found(server, "journal", "written down")
        assert "X-Envelope-From: <bob@example.test>\r\nX-Envelope-To: <x@here.test>\r\n" in copy
        assert subjects(server, "journal") == ["written down"]


def test_a_command_is_run_for_its_events(lab: Lab, tmp_path: Path) -> None:
    told = tmp_path / "told"
    row = {"events": [4183], "command": ["sh", "-c", f'echo "$IMSD_EVENT $IMSD_TEXT" > {told}']}
    lab.set(hooks__commands=[row])
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=10) as smtp:
        smtp.starttls(context=lab.here.tls())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login("alice@example.test", "no password of hers")
    poll(lambda: told.exists() and told.read_text().endswith("\n"))
    assert told.read_text().startswith("4183 ") and "127.0.0.1" in told.read_text()


def test_addresses_of_people_here_become_their_primary_ones(lab: Lab) -> None:
    away = ldap3.Server("127.0.0.1", lab.away.port("ldap"), get_info=None)
    with ldap3.Connection(away, lab.away.address("administrator"), PASSWORD, auto_bind=True) as client:
        (bob,) = [one["dn"] for one in lab.away.ask("user.list") if one["address"] == "bob@example.test"]
        assert client.modify(bob, {"otherMailbox": [(ldap3.MODIFY_ADD, ["smtp$bobby@example.test"])]})
    lab.send("as it was written", header="Cc: bobby@example.test\r\n")
    assert "Cc: bobby@example.test" in lab.came("as it was written")
    change(lab.away, routing__resolve_headers=["cc"])
    lab.send("as it should be", header="Cc: bobby@example.test\r\n")
    assert "Cc: bob@example.test" in lab.came("as it should be")


def test_kinds_of_solicitation_are_passed_on_to_who_asks(lab: Lab) -> None:
    for server in (lab.here, lab.away):
        change(server, smtp__no_soliciting=["org.example:OTHER"])
    lab.set(protocol_log__level="medium")
    bob = lab.away.address("bob")
    with smtplib.SMTP("localhost", lab.away.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=lab.away.tls())
        smtp.login(bob, PASSWORD)
        text = f"From: {bob}\r\nSubject: solicited\r\nSolicitation: net.example:ADV\r\n\r\nx\r\n"
        smtp.sendmail(bob, ["x@here.test"], text, mail_options=["SOLICIT=net.example:ADV"])
    lab.came("solicited")
    log = lab.here.home / "log/smtp.log"
    poll(lambda: log.exists() and "SOLICIT=net.example:ADV" in log.read_text())


def test_addresses_are_made_as_the_formats_say(lab: Lab) -> None:
    lab.set(
        addressing__smtp=["%g.%s@example.test", "@example.test"],
        addressing__ms="ORG/SITE",
        addressing__ccmail="SITE",
        addressing__x400="c=US;a= ;p=Org;o=Site;",
    )
    alice = next(one["dn"] for one in lab.here.ask("user.list") if one["uid"] == "alice")
    directory = ldap3.Server("127.0.0.1", lab.here.port("ldap"), get_info=None)
    login = lab.here.address("administrator")
    with ldap3.Connection(directory, login, PASSWORD, auto_bind=True) as client:
        values = {"sn": "Clark", "givenName": "Mark", "uid": "mclark", "userPassword": PASSWORD}
        name = f"cn=mclark,{alice.partition(',')[2]}"
        assert client.add(name, ["inetOrgPerson"], values), client.result
    forms = (
        "Mark.Clark@example.test",
        "mclark@example.test",
        "IMCEAMS-ORG_SITE_MCLARK@example.test",
        "IMCEACCMAIL-mclark+20at+20SITE@example.test",
    )
    for number, to in enumerate(forms):
        with Wire(lab) as wire:
            assert wire.begin().bring(f"form {number}", to).startswith("250 "), to
    poll(lambda: len(subjects(lab.here, "Mark.Clark")) == len(forms))


def test_pop3_hands_out_the_newest_first_and_breaks_lines(lab: Lab) -> None:
    lab.here.add_user("reader")
    for number in range(2):
        head = f"Subject: {number}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n"
        lab.here.deliver(f"{head}\r\n<p>{'word ' * 40}</p>\r\n", ["reader@example.test"])

    def maildrop() -> list[list[bytes]]:
        pop3 = poplib.POP3_SSL("localhost", lab.here.port("pop3s"), context=lab.here.tls(), timeout=10)
        pop3.user("reader@example.test")
        pop3.pass_(PASSWORD)
        found = [pop3.retr(number + 1)[1] for number in range(2)]
        pop3.quit()
        return found

    assert b"Subject: 0" in maildrop()[0]
    assert max(map(len, maildrop()[0])) > 200
    lab.set(pop3__order="newest_first", pop3__format="plain", pop3__line_wrap=40)
    first = maildrop()[0]
    assert b"Subject: 1" in first
    body = first[first.index(b"") + 1 :]
    assert max(map(len, body)) <= 40 and sum(line.count(b"word") for line in body) == 40


def test_the_plug_in_that_comes_along(lab: Lab, tmp_path: Path) -> None:
    plugins = lab.here.home / "plugins"
    plugins.mkdir(exist_ok=True)
    sample = Path(__file__).parents[2] / "etc/plugins/house_rules.py"
    (plugins / "lab_house_rules.py").write_text(sample.read_text())
    diary = tmp_path / "fates.jsonl"
    row = {"name": "lab_house_rules.HouseRules", "failure": "closed"}
    lab.set(hooks__plugins=[{**row, "settings": {"refused": [".exe"], "diary": str(diary)}}])
    lab.send("a note")
    assert "\r\nX-External: yes\r\nReceived: " in lab.came("a note")
    poll(lambda: diary.exists() and "delivered" in diary.read_text())
    lab.send(
        "a program",
        "MIME-Version: 1.0\r\nContent-Type: application/x; name=a\r\n"
        "Content-Disposition: attachment; filename=GAME.EXE\r\n",
    )
    assert "5.7.1 We do not take files like game.exe" in lab.back("a program").replace("\r\n ", " ")
    (listed,) = lab.here.ask("plugins.list")
    assert (listed["failures"], listed["problem"]) == (0, "")
    explained = lab.here.ask("route.explain", address="x@here.test")
    assert "plug-in lab_house_rules.HouseRules will be asked: received" in explained["rules"]
    # One that is broken lets nothing by; mended and read anew, it does.
    (plugins / "lab_house_rules.py").write_text("oh")
    assert lab.here.ask("plugins.reload")[0]["problem"]
    assert any("hooks.plugins" in one["text"] for one in lab.here.ask("check"))
    with Wire(lab) as wire:
        assert wire.begin().bring("broken", "x@here.test")[:9] == "451 4.3.0"
    (plugins / "lab_house_rules.py").write_text(sample.read_text())
    lab.here.ask("plugins.reload")
    with Wire(lab) as wire:
        assert wire.begin().bring("mended", "x@here.test")[:3] == "250"
