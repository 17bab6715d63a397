"""Settings of the SMTP page, changed while the server runs: what a client hears before and after."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher

from imsd.mail.rerouting import RoutingPlugin
from imsd.store.database import Database
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import Site
from tests.support.stores import run


@pytest.fixture
def site(sqlite_database: Database) -> Any:
    made = Site(sqlite_database)
    yield made
    made.stop()


def offered(site: Site, role: Role = Role.MX) -> dict[str, str]:
    """EHLO keywords with what follows them."""
    lines = site.talk(role).say(b"EHLO out.example").splitlines()[1:]
    return {line[4:].partition(" ")[0]: line[4:].partition(" ")[2] for line in lines}


def test_banner(site: Site) -> None:
    assert site.talk().greeting == "220 mx.example.test ESMTP ready\r\n"
    site.configure(smtp__banner='"ESMTP No UBE"')
    assert site.talk().greeting == "220 mx.example.test ESMTP No UBE\r\n"


def test_port_25_without_extensions(site: Site) -> None:
    assert "SIZE" in offered(site)
    site.configure(smtp__disable_esmtp="true")
    assert offered(site) == {}
    assert site.talk().greeting == "220 mx.example.test SMTP ready\r\n"
    assert "SIZE" in offered(site, Role.SUBMISSION)


def test_port_25_without_auth(site: Site) -> None:
    assert "AUTH" in offered(site)
    site.configure(smtp__disable_auth="true")
    assert "AUTH" not in offered(site)
    assert "AUTH" in offered(site, Role.SUBMISSION)


def test_malformed_addresses(site: Site) -> None:
    def answers() -> list[str]:
        talk = site.talk()
        return [
            talk.say(line)[:3]
            for line in (b"EHLO x", b"MAIL FROM:<a b@out.example>", b"RSET", b"MAIL FROM:a@out.example")
        ]

    assert answers() == ["250", "501", "250", "501"]
    site.configure(smtp__lenient_addresses="true")
    assert answers() == ["250", "250", "250", "250"]


def test_recipients_of_one_message(site: Site) -> None:
    site.configure(smtp__recipients="100")
    assert "RCPTMAX=100" in offered(site)["LIMITS"].split()
    talk = site.talk()
    talk.say(b"EHLO x", b"MAIL FROM:<a@out.example>")
    to = [b"RCPT TO:<alice+%d@example.test>" % number for number in range(101)]
    assert talk.say(*to[:100]).startswith("250 ")
    assert talk.say(to[100]).startswith("452 4.5.3 ")


def test_bounds_of_a_session(site: Site) -> None:
    site.configure(smtp__transactions="2", smtp__recipient_domains="3", smtp__bad_commands="1")
    assert offered(site)["LIMITS"] == "MAILMAX=2 RCPTMAX=1000 RCPTDOMAINMAX=3"
    talk = site.talk()
    talk.say(b"EHLO x", b"NONSENSE")
    assert "421 " in talk.say(b"NONSENSE")
    limits = site.door().limits()
    assert (limits.idle, limits.content) == (300, 3600)
    site.configure(smtp__idle_seconds="10", smtp__content_seconds="60", smtp__refused_recipients="1")
    limits = site.door().limits()
    assert (limits.idle, limits.content, limits.refused) == (10, 60, 1)


def test_deadlines_and_release_times(site: Site) -> None:
    assert "DELIVERBY" in offered(site)
    assert offered(site, Role.SUBMISSION)["FUTURERELEASE"].startswith("2592000 ")
    site.configure(smtp__deliver_by_seconds="600", smtp__hold_hours="1")
    assert offered(site)["DELIVERBY"] == "600"
    assert offered(site, Role.SUBMISSION)["FUTURERELEASE"].startswith("3600 ")
    site.configure(smtp__deliver_by="false", smtp__hold_hours="0")
    assert "DELIVERBY" not in offered(site)
    assert "FUTURERELEASE" not in offered(site, Role.SUBMISSION)


def test_a_routing_program_decides_about_recipients(site: Site, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/imsd_test_wire.py").write_text(
        "def route(question):\n"
        "    if question.recipient.startswith('sales@'):\n"
        "        return 'recipient:bob@example.test'\n"
        "    if question.recipient.startswith('slow@'):\n"
        "        return 'later:Come again\\r\\nlater'\n"
        "    if not question.authenticated and question.sender.endswith('@spam.example'):\n"
        "        return 'refuse:Not from you'\n"
    )
    site.policy.plugin = RoutingPlugin(site.settings, site.db.reactor, tmp_path)
    site.configure(routing__plugin='"imsd_test_wire.route"')
    talk = site.talk()
    talk.say(b"EHLO out.example", b"MAIL FROM:<x@out.example>")
    assert talk.say(b"RCPT TO:<slow@example.test>") == "451 4.3.0 Come again??later\r\n"
    talk.say(b"RSET")
    assert talk.send(b"x@out.example", b"Subject: s\r\n\r\nx", b"sales@example.test").startswith("250 ")
    assert len(site.inbox(site.bob)) == 1
    talk.say(b"MAIL FROM:<x@spam.example>")
    assert talk.say(b"RCPT TO:<bob@example.test>") == "550 5.7.1 Not from you\r\n"
    site.policy.plugin.stop()


def test_a_proxy_says_who_has_logged_in_there(site: Site) -> None:
    site.configure(smtp__xclient_hosts='["198.51.100.9"]')
    talk = site.talk(host="198.51.100.9")
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=alice").startswith("550 5.7.0 ")
    site.configure(smtp__xclient_hosts='["198.51.100.9"]', smtp__xclient_logins="true")
    talk = site.talk(host="198.51.100.9")
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=nobody").startswith("535 5.7.8 ")
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=alice").startswith("220 ")
    talk.say(b"EHLO client.example")
    # She may relay, and write as herself alone; and her session ends with her account.
    assert talk.say(b"MAIL FROM:<bob@example.test>").startswith("550 5.7.1 ")
    assert talk.say(b"MAIL FROM:<alice@example.test>").startswith("250 ")
    assert talk.say(b"RCPT TO:<x@example.net>").startswith("250 ")
    run(site.directory.change(site.alice.dn, {"imsAccountDisabled": ["TRUE"]}))
    talk = site.talk(host="198.51.100.9")
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=alice").startswith("535 5.7.13 ")


def test_a_journal_has_what_others_bring(site: Site) -> None:
    journal = site.person("journal")
    site.configure(hooks__journal_in='"journal@example.test"')
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@out.example", b"Subject: s\r\n\r\nx", b"alice@example.test").startswith("250 ")
    site.submission("bob").send(b"bob@example.test", b"Subject: s\r\n\r\nx", b"alice@example.test")
    (copy,) = site.inbox(journal)
    assert b"X-Envelope-From: <x@out.example>\r\nX-Envelope-To: <alice@example.test>\r\n" in site.text(copy)
    assert len(site.inbox(site.alice)) == 2


def test_refusals_that_administrators_want_to_know_of_are_events(site: Site) -> None:
    seen: list[tuple[int, str]] = []

    def note(event: Any) -> None:
        if "event_id" in event:
            seen.append((event["event_id"], formatEvent(event)))

    globalLogPublisher.addObserver(note)
    try:
        site.submission().say(b"MAIL FROM:<bob@example.test>")
        talk = site.talk(host="192.0.2.7")
        talk.say(b"EHLO x")
        talk.send(b"x@out.example", b"Received: by x; y\r\n" * 31 + b"\r\nx", b"alice@example.test")
        login = site.talk(Role.SUBMISSION)
        login.say(b"EHLO x")
        login.say(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0wrong"))
    finally:
        globalLogPublisher.removeObserver(note)
    assert [number for number, _ in seen] == [4151, 4098, 4183]
    assert "bob@example.test to nobody yet, by alice@example.test at 127.0.0.1" in seen[0][1]
    assert seen[2][1].endswith("from 127.0.0.1 failed")
    assert "wrong" not in seen[2][1]
