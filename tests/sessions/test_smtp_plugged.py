"""What plug-ins decide and hear of mail that comes by SMTP, and of logins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from imsd.errors import NotAuthorized, Throttled
from imsd.store import tracking
from imsd.store.database import Database
from protocols.security import Security
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import Site
from tests.support.plugged import Made
from tests.support.stores import run

TEXT = b"From: x@out.example\r\nSubject: s\r\n\r\nbody"


def plug(site: Site, made: Made, **says: Any) -> None:
    site.delivery.plugins = site.auth.plugins = made.plugins(site.settings, site.db.reactor, **says)


@pytest.fixture
def site(sqlite_database: Database) -> Iterator[Site]:
    made = Site(sqlite_database)
    yield made
    made.stop()


@pytest.fixture
def made() -> Made:
    return Made()


def settled(site: Site) -> None:
    for _ in range(5):
        site.db.reactor.advance(0)
        run(site.db.read(lambda tx: None))


def test_a_host_is_refused_at_its_first_mail(site: Site, made: Made) -> None:
    plug(site, made, connected=lambda one: "refuse:Not you" if one.client == "192.0.2.66" else None)
    talk = site.talk(host="192.0.2.66")
    assert talk.greeting.startswith("220 ")
    talk.say(b"EHLO out.example")
    for _ in range(2):
        assert talk.say(b"MAIL FROM:<x@out.example>") == "550 5.7.1 Not you\r\n"
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@out.example", TEXT, b"bob@example.test").startswith("250 ")
    assert [(one.service, one.client) for one in made.told["connected"]] == [
        ("smtp", "192.0.2.66"),
        ("smtp", "192.0.2.7"),
    ]


def test_senders_and_recipients_are_asked_about(site: Site, made: Made) -> None:
    plug(
        site,
        made,
        mail=lambda one: "later:Soon" if one.sender == "slow@out.example" else None,
        recipient=lambda one: "refuse" if one.recipient.startswith("bob") else None,
        refused=None,
    )
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.say(b"MAIL FROM:<slow@out.example>") == "451 4.3.0 Soon\r\n"
    talk.say(b"MAIL FROM:<x@out.example> SIZE=50")
    assert talk.say(b"RCPT TO:<bob@example.test>") == "550 5.7.1 Refused by policy\r\n"
    assert talk.say(b"RCPT TO:<alice@example.test>").startswith("250 ")
    # Who is refused anyway is not asked about.
    assert talk.say(b"RCPT TO:<nobody@example.test>").startswith("550 5.1.1")
    assert [one.recipient for one in made.told["recipient"]] == ["bob@example.test", "alice@example.test"]
    asked = made.told["mail"][-1]
    assert (asked.connection.hello, asked.connection.login, asked.size) == ("out.example", "", 50)
    talk.say(b"QUIT")
    settled(site)
    assert [one.recipient for one in made.told["refused"]] == [
        "",
        "bob@example.test",
        "nobody@example.test",
    ]


def test_a_message_gets_fields_or_is_refused_or_discarded(site: Site, made: Made) -> None:
    seen: list[bytes] = []

    def judge(message: Any) -> Any:
        seen.append(b"".join(message.pieces()))
        assert seen[-1].startswith(message.header + b"\r\n")
        if b"refuse" in seen[-1]:
            return "refuse:Spam"
        return "discard" if b"discard" in seen[-1] else ["field:X-Spam-Score: 3", "field:X-Seen: yes"]

    plug(site, made, received=judge, delivered=None)
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@out.example", TEXT, b"bob@example.test", b"alice@example.test").startswith("250 ")
    for who in (site.bob, site.alice):
        (row,) = site.inbox(who)
        head, _, rest = site.text(row).partition(b"X-Spam-Score: 3\r\nX-Seen: yes\r\n")
        assert head.startswith(b"Return-Path: <x@out.example>\r\nDelivered-To: ")
        assert rest == seen[0] and rest.endswith(TEXT + b"\r\n")
    assert talk.send(b"x@out.example", TEXT + b" refuse", b"bob@example.test") == "550 5.7.1 Spam\r\n"
    # A large one is a file, and is read as well.
    large = TEXT + b"\r\n" + b"x" * 70 + (b"\r\n" + b"x" * 70) * 3_000
    assert talk.send(b"x@out.example", large + b" discard", b"bob@example.test").startswith("250 2.0.0 ")
    assert len(seen[-1]) > 200_000
    assert len(site.inbox(site.bob)) == 1
    settled(site)
    (event,) = run(site.db.read(lambda tx: tracking.query(tx, event="filtered")))
    assert (event.recipient, event.reason) == (
        "bob@example.test",
        "discarded by the plug-in tests.support.plugged.make",
    )
    assert {one.recipient for one in made.told["delivered"]} == {"bob@example.test", "alice@example.test"}


def test_lmtp_recipients_are_discarded_one_by_one(site: Site, made: Made) -> None:
    plug(site, made, received=lambda one: "discard" if one.recipients == ("bob@example.test",) else None)
    talk = site.talk(Role.LMTP)
    talk.say(b"LHLO out.example", b"MAIL FROM:<x@out.example>", b"RCPT TO:<bob@example.test>")
    talk.say(b"RCPT TO:<alice@example.test>", b"DATA")
    talk.server.dataReceived(TEXT + b"\r\n.\r\n")
    assert talk.heard(2).count("250 ") == 2
    assert (len(site.inbox(site.bob)), len(site.inbox(site.alice))) == (0, 1)


def test_who_logs_in_is_asked_about(site: Site, made: Made) -> None:
    says: dict[str, Any] = {"login": None, "login_failed": None}
    plug(site, made, **says)
    encrypted = Security(encrypted=True, peer="192.0.2.9")
    assert run(site.auth.password("", "alice", "pw of alice", encrypted)).address == "alice@example.test"
    with pytest.raises(Exception, match="Authentication"):
        run(site.auth.password("", "alice", "wrong", encrypted))
    made.says["login"] = "refuse:Not from there"
    with pytest.raises(NotAuthorized, match="Not from there"):
        run(site.auth.password("", "alice", "pw of alice", encrypted))
    made.says["login"] = "later:Not now"
    with pytest.raises(Throttled, match="Not now"):
        run(site.auth.password("", "alice", "pw of alice", encrypted))
    settled(site)
    told = made.told["login_failed"]
    assert [(one.name, one.client, one.protocol) for one in told] == [("alice", "192.0.2.9", "smtp")] * 3
    assert [one.address for one in told] == ["", "alice@example.test", "alice@example.test"]
    assert [one.reason for one in told][1:] == ["Not from there", "Not now"]


def test_who_a_proxy_speaks_for_is_asked_about(site: Site, made: Made) -> None:
    site.configure(smtp__xclient_hosts='["198.51.100.9"]')
    plug(site, made, connected=lambda one: "refuse:No" if one.client == "192.0.2.66" else None, mail=None)
    talk = site.talk(host="198.51.100.9")
    assert talk.say(b"XCLIENT ADDR=192.0.2.66").startswith("220 ")
    assert talk.say(b"EHLO out.example", b"MAIL FROM:<x@out.example>") == "550 5.7.1 No\r\n"
    talk = site.talk(host="198.51.100.9")
    talk.say(b"XCLIENT ADDR=192.0.2.7", b"EHLO out.example")
    assert talk.say(b"MAIL FROM:<x@out.example>").startswith("250 ")
    assert made.told["mail"][-1].connection.client == "192.0.2.7"


def test_a_host_that_hangs_up_is_no_longer_asked_about(site: Site, made: Made) -> None:
    asking: list[Deferred[None]] = []

    def never(_: Any) -> Any:
        asking.append(Deferred())
        return asking[-1]

    plug(site, made, connected=None)
    (plugin,) = site.delivery.plugins.all  # type: ignore[union-attr]

    async def connected(one: Any) -> None:
        await never(one)

    plugin.methods["connected"] = connected
    talk = site.talk()
    talk.server.connectionLost(Failure(ConnectionDone()))
    assert len(asking) == 1 and asking[0].called, "it was cancelled"
