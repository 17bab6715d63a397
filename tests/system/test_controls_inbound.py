"""Connections and Routing (ims_spec 3.4, 3.11) on the wire: who may bring mail, how much, and for whom."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.clients import poll, subjects
from tests.support.pair import Lab, Wire, as_it_was, lab
from tests.support.servers import PASSWORD

__all__ = ["as_it_was", "lab"]

pytestmark = pytest.mark.system

STRANGER = "192.0.2.7"


@contextmanager
def alice(lab: Lab, port: str = "smtp", tls: bool = True, login: bool = True) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", lab.here.port(port), timeout=10) as smtp:
        if tls:
            smtp.starttls(context=lab.here.tls())
        if login:
            smtp.login("alice@example.test", PASSWORD)
        smtp.ehlo()
        yield smtp


# Accept connections -------------------------------------------------------------------------


def test_what_a_host_has_to_use(lab: Lab) -> None:
    def answers() -> list[int]:
        """By nothing, by a login alone, by TLS alone, by both."""
        codes = []
        for tls, login in ((False, False), (False, True), (True, False), (True, True)):
            with alice(lab, tls=tls, login=login) as smtp:
                codes.append(smtp.mail("alice@example.test")[0])
        return codes

    assert answers() == [250, 250, 250, 250]
    for policy, wanted in (
        ("auth", [530, 250, 530, 250]),
        ("tls", [530, 530, 250, 250]),
        ("auth+tls", [530, 530, 530, 250]),
    ):
        lab.set(ims__accept__policy=policy)
        assert answers() == wanted, policy
    # A row says something else of one host; imsd, which has no login here, comes through by it.
    lab.set(ims__accept__hosts=[{"network": "127.0.0.1/32", "relay_server": True}])
    assert answers() == [250, 250, 250, 250]
    lab.send("of a relay server")
    lab.came("of a relay server")
    with Wire(lab, STRANGER) as wire:
        assert wire.begin().bring("of a stranger").startswith("530 5.7.0 ")


def test_the_smallest_network_decides_whether_a_host_is_accepted(lab: Lab) -> None:
    lab.set(
        ims__accept__hosts=[
            {"network": "192.0.2.0/24", "action": "reject"},
            {"network": "192.0.2.8/32", "action": "accept"},
        ]
    )
    with Wire(lab, STRANGER) as wire:
        assert wire.reply() == "521 localhost access denied\r\n"
        assert wire.reply() == ""
    with Wire(lab, "192.0.2.8") as wire:
        assert wire.begin().bring("accepted within").startswith("250 ")
    lab.set(ims__accept__refuse_with="554")
    with Wire(lab, STRANGER) as wire:
        assert wire.reply().startswith("554 ")
    lab.set(ims__accept__refuse_at="mail")
    with Wire(lab, STRANGER) as wire:
        assert wire.begin().bring("later refused").startswith("550 5.7.1 ")


def test_clients_only_submit_if_homed_here(lab: Lab) -> None:
    with Wire(lab) as wire:
        assert wire.begin().bring("by anybody").startswith("250 ")
    lab.set(ims__accept__require_home=True)
    with Wire(lab) as wire:
        assert wire.begin().bring("by nobody").startswith("530 5.7.0 ")
    with alice(lab) as smtp:
        assert smtp.sendmail("alice@example.test", ["x@here.test"], "Subject: by her\r\n\r\nx\r\n") == {}


def test_the_account_matches_the_submission_address(lab: Lab) -> None:
    def answers() -> list[int]:
        codes = []
        for port in ("smtp", "submission"):
            with alice(lab, port) as smtp:
                codes.append(smtp.mail("somebody@else.test")[0])
        return codes

    assert answers() == [550, 550]
    lab.set(ims__accept__match_sender="submission")
    assert answers() == [250, 550]
    lab.set(ims__accept__match_sender="never")
    assert answers() == [250, 250]


def test_mail_of_some_originators_is_filtered(lab: Lab) -> None:
    def bring(subject: str, sender: str = "a@spam.test") -> str:
        with Wire(lab) as wire:
            return wire.begin().bring(subject, sender=sender)[:9]

    turf = lab.here.home / "turf"
    assert bring("not filtered")[:3] == "250"
    lab.set(ims__filter__senders=["@spam.test", "#@alone.test", "bulk"])
    for sender in ("a@spam.test", "a@below.spam.test", "a@alone.test", "bulk@any.test"):
        assert bring("rejected", sender) == "550 5.7.1", sender
    assert bring("of another", "a@below.alone.test")[:3] == "250"
    lab.set(ims__filter__action="delete")
    assert bring("deleted")[:3] == "250"
    lab.set(ims__filter__action="turf")
    assert bring("turfed")[:3] == "250"
    poll(lambda: any(b"Subject: turfed" in file.read_bytes() for file in turf.rglob("*") if file.is_file()))
    # imsd's own sender, filtered, hears of it by a report.
    lab.set(ims__filter__action="reject", ims__filter__senders=["bob@example.test"])
    lab.send("of bob's")
    lab.back("Not delivered: of bob's")
    assert not {"rejected", "deleted", "turfed", "of bob's"} & set(subjects(lab.here))
    assert {"not filtered", "of another"} <= set(subjects(lab.here))


# Limits -------------------------------------------------------------------------------------


def test_rates_of_one_host(lab: Lab) -> None:
    lab.set(ims__limits__messages_per_minute=2)
    with Wire(lab, "198.51.100.1") as wire:
        wire.begin()
        said = [wire.bring(f"rate {number}")[:9] for number in range(3)]
    assert said[0][:3] == said[1][:3] == "250" and said[2][:4] in ("450 ", "451 ", "452 ", "421 "), said
    with Wire(lab, "198.51.100.2") as wire:
        assert wire.begin().bring("rate of another").startswith("250 ")
    lab.set(ims__limits__messages_per_minute=0, ims__limits__recipients_per_minute=2)
    with Wire(lab, "198.51.100.3") as wire:
        wire.begin().say("MAIL FROM:<a@out.example>")
        said = [wire.say(f"RCPT TO:<{number}@here.test>")[:3] for number in range(3)]
    assert said[:2] == ["250", "250"] and said[2][0] == "4", said
    lab.set(ims__limits__recipients_per_minute=0, ims__limits__connections_per_minute=2)
    greetings = []
    for _ in range(3):
        with Wire(lab, "198.51.100.4") as wire:
            greetings.append(wire.reply()[:3])
    assert greetings == ["220", "220", "421"]


def test_connections_at_once(lab: Lab) -> None:
    def greeting(host: str) -> str:
        with Wire(lab, host) as wire:
            return wire.reply()[:3]

    with Wire(lab, "198.51.100.11") as wire:
        assert wire.reply().startswith("220 ")
        assert greeting("198.51.100.11") == "220"
        lab.set(ims__limits__per_address=1)
        assert greeting("198.51.100.11") == "421"
        assert greeting("198.51.100.12") == "220"
        lab.set(ims__limits__per_network=1)
        assert greeting("198.51.100.12") == "421"
        assert greeting("203.0.113.1") == "220"
        lab.set(ims__limits__inbound=1)
        assert greeting("203.0.113.1") == "421"
    lab.send("when there is room again")
    lab.came("when there is room again")


def test_who_guesses_at_recipients_is_answered_late_and_sent_away(lab: Lab) -> None:
    lab.set(ims__limits__tarpit_after=1, ims__limits__tarpit_seconds=0.3, ims__limits__unknown_per_hour=3)
    with Wire(lab, "198.51.100.21") as wire:
        wire.begin().say("MAIL FROM:<a@out.example>")
        took = []
        for number in range(4):
            started = time.monotonic()
            said = wire.say(f"RCPT TO:<nobody{number}@none.test>")
            took.append((said[:3], time.monotonic() - started))
    assert took[0][0] == "550" and took[0][1] < 0.25
    assert took[1][0] == "550" and took[1][1] > 0.28
    assert took[-1][0] in ("421", ""), took


def test_hosts_that_nobody_knows_come_again(lab: Lab) -> None:
    lab.set(ims__greylist__enabled=True, ims__greylist__delay_seconds=1)
    with Wire(lab, "198.51.100.31") as wire:
        wire.begin()
        assert wire.bring("greylisted").startswith("451 4.7.1 ")
        time.sleep(1.05)
        assert wire.bring("greylisted").startswith("250 ")
    lab.set(ims__greylist__enabled=False)
    lab.names.zone["41.100.51.198.list.test", "A"] = ["127.0.0.2"]
    lab.set(ims__dnsbl__lists=[{"zone": "list.test"}])
    with Wire(lab, "198.51.100.41") as wire:
        assert wire.begin().bring("listed").startswith("550 5.7.1 ")
    with Wire(lab, "198.51.100.42") as wire:
        assert wire.begin().bring("not listed").startswith("250 ")
    lab.set(ims__dnsbl__action="tag")
    with Wire(lab, "198.51.100.41") as wire:
        assert wire.begin().bring("tagged").startswith("250 ")
    assert "X-Listed:" in lab.came("tagged")
    assert "X-Listed:" not in lab.came("not listed")


# Routing ------------------------------------------------------------------------------------


def relayed(lab: Lab, host: str = STRANGER, login: bool = False, to: str = "x@far.test") -> bool:
    """Whether `here` takes mail for elsewhere."""
    with Wire(lab, host) as wire:
        wire.begin()
        if login:
            with alice(lab) as smtp:
                return smtp.mail("alice@example.test")[0] == 250 and smtp.rcpt(to)[0] == 250
        wire.say("MAIL FROM:<a@out.example>")
        return wire.say(f"RCPT TO:<{to}>").startswith("250 ")


def test_only_people_here_send_out_where_nothing_is_rerouted(lab: Lab) -> None:
    lab.set(routing__restrictions__allow=["192.0.2.7"])
    assert relayed(lab) and relayed(lab, login=True)
    lab.set(routing__mode="local_only")
    assert not relayed(lab) and relayed(lab, login=True)
    lab.send("for who is here")
    lab.came("for who is here")


@pytest.mark.parametrize("deny", [False, True])
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("authenticated", [False, True])
def test_the_sixteen_combinations_of_routing_restrictions(
    lab: Lab, authenticated: bool, allow: bool, local: bool, deny: bool
) -> None:
    """RelayFlags: any criterion that is set and met lets mail go on; who may never, may not."""
    lab.set(
        routing__restrictions__authenticated=authenticated,
        routing__restrictions__allow=["192.0.2.7"] if allow else [],
        routing__restrictions__local=["192.0.2.1"] if local else [],
        routing__restrictions__deny=["192.0.2.9"] if deny else [],
    )
    # 192.0.2.1 is the address of ours that a stranger's PROXY header names.
    assert relayed(lab, "192.0.2.7") == (allow or local)
    assert relayed(lab, "192.0.2.8") == local
    assert relayed(lab, "192.0.2.9") == (local and not deny)
    assert relayed(lab, login=True) == authenticated


def test_domains_of_the_table(lab: Lab) -> None:
    """A domain stands for those below it, #domain for itself alone (ims_spec 3.11.2)."""
    rows = [
        {"domain": "wide.test", "action": "relay", "override": True},
        {"domain": "#narrow.test", "action": "relay", "override": True},
        {"domain": "deep.wide.test", "action": "relay"},
    ]
    lab.set(routing__table=rows)
    taken = {
        to: relayed(lab, to=f"x@{to}")
        for to in (
            "wide.test", "a.wide.test", "a.b.wide.test", "notwide.test", "narrow.test", "a.narrow.test",
            "deep.wide.test", "a.deep.wide.test",
        )
    }  # fmt: skip
    assert taken == {
        "wide.test": True,
        "a.wide.test": True,
        "a.b.wide.test": True,
        "notwide.test": False,
        "narrow.test": True,
        "a.narrow.test": False,
        "deep.wide.test": False,
        "a.deep.wide.test": False,
    }


def test_a_routing_program_is_asked_before_the_table(lab: Lab) -> None:
    plugins = lab.here.home / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "lab_routes.py").write_text(
        "import time\n"
        "def route(question):\n"
        "    if question.recipient.startswith('sales@'):\n"
        "        return 'recipient:alice@example.test'\n"
        "    if question.recipient.startswith('slow@'):\n"
        "        time.sleep(1)\n"
    )

    def answer(to: str) -> str:
        with Wire(lab) as wire:
            return wire.begin().bring(f"for {to}", to)[:3]

    assert answer("sales@none.test") == "550"
    lab.set(routing__plugin="lab_routes.route", routing__plugin_seconds=0.2)
    assert answer("sales@none.test") == "250"
    assert "Delivered-To: " in lab.came("for sales@none.test")
    assert answer("slow@here.test") == "250"
    lab.set(routing__plugin_failure="refuse")
    assert answer("slow@here.test") == "451"
    (plugins / "lab_routes.py").write_text("def route(question):\n    return 'refuse:nobody at all'\n")
    assert answer("sales@none.test") == "250"
    lab.here.ask("plugins.reload")
    assert answer("sales@none.test") == "550"


def test_addresses_of_more_domains_and_with_details(lab: Lab) -> None:
    lab.set(routing__catch_all={})

    def answers() -> list[str]:
        with Wire(lab) as wire:
            wire.begin().say("MAIL FROM:<a@out.example>")
            to = (
                "alice@example.test",
                "alice+detail@example.test",
                "alice-detail@example.test",
                "x@more.test",
            )
            return [wire.say(f"RCPT TO:<{each}>")[:9] for each in to]

    first = answers()
    assert [said[:3] for said in first] == ["250", "250", "550", "550"]
    assert first[2] == "550 5.1.1" and first[3] == "550 5.7.1"
    lab.set(addressing__separator="-", addressing__domains=["here.test", "more.test"])
    again = answers()
    assert again[1] == again[3] == "550 5.1.1" and again[2][:3] == "250"


def test_encapsulated_addresses_are_understood(lab: Lab) -> None:
    lab.set(
        ims__address_space=[
            {"type": "SMTP", "pattern": "*"},
            {"type": "FAX", "pattern": "*", "via": "fax.test"},
        ]
    )
    with Wire(lab) as wire:
        wire.begin().say("MAIL FROM:<a@out.example>")
        # No address of ours of that type, and no relaying by dressing one up.
        assert wire.say("RCPT TO:<IMCEAFAX-+2B1+20555@example.test>")[:1] == "5"
        assert wire.say("RCPT TO:<IMCEASMTP-x+40far+2Etest@example.test>")[:1] == "5"
    with alice(lab) as smtp:
        smtp.mail("alice@example.test")
        assert smtp.rcpt("IMCEAFAX-+2B1+20555@example.test")[0] == 250
