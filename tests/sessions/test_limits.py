"""Limits of port 25 (ims_spec 3.4.2) on the wire, and mail that is held because its sender sent enough."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock

from imsd.mail.limits import Arrivals, InboundLimits
from imsd.mail.sending import SendingLimits
from imsd.settings import PAGES, LiveSettings
from imsd.store import spool, tracking
from protocols.connection import Connection, ConnectionFactory, Limits
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import MESSAGE, Site, Talk, site
from tests.smtp.fakes import Transport
from tests.support.stores import run

__all__ = ["site"]

FULL = b"421 4.3.2 Too many connections\r\n"


class Port:
    """Port 25 of a server with limits, and peers that come and go."""

    def __init__(self, **limits: object) -> None:
        self.clock = Clock()
        self.settings = LiveSettings(PAGES)
        self.set(**limits)
        self.inbound = InboundLimits(self.settings, self.clock)
        arrivals = Arrivals(self.clock, lambda: Limits(loopback_exempt=True), self.inbound)
        self.factory = ConnectionFactory(lambda: Connection(self.clock), arrivals, FULL)

    def set(self, **limits: object) -> None:
        rows = {f"ims.limits.{key}": json.dumps(value) for key, value in limits.items()}
        hosts = [{"network": "198.51.100.0/24", "relay_server": True}]
        self.settings.replace({**rows, "ims.accept.hosts": json.dumps(hosts)})
        assert not self.settings.rejected

    def arrive(self, host: str) -> Callable[[], None] | None:
        """What makes the peer go, None if it was turned away."""
        kind = IPv6Address if ":" in host else IPv4Address
        protocol = self.factory.buildProtocol(kind("TCP", host, 4000))
        assert protocol is not None
        transport = Transport(host)
        protocol.makeConnection(transport)
        if not isinstance(protocol, Connection):
            assert transport.value() == FULL
            return None
        return protocol.connectionLost


def test_too_many_connections_are_told_at_once_and_room_comes_back() -> None:
    port = Port(inbound=3)
    gone = [port.arrive(f"192.0.2.{number}") for number in range(3)]
    assert port.arrive("203.0.113.1") is None
    assert [row["limit"] for row in port.inbound.limited()] == ["inbound"]
    # This machine and relay servers have no part in it.
    assert port.arrive("127.0.0.1")
    assert port.arrive("198.51.100.1")
    assert gone[0] is not None
    gone[0]()
    assert port.arrive("203.0.113.1")
    assert port.arrive("203.0.113.1") is None
    port.set(inbound=0)
    assert port.arrive("203.0.113.1")


@pytest.mark.parametrize(
    ("limits", "come", "refused"),
    [
        ({"per_address": 2}, ["192.0.2.1"] * 3 + ["192.0.2.2"], [2]),
        ({"per_address": 2, "per_network": 0}, ["2001:db8::1"] * 3 + ["2001:db8::2"], [2]),
        ({"per_network": 3}, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.255", "192.0.3.1"], [3]),
        ({"per_network": 2}, ["2001:db8::1", "2001:db8::ffff", "2001:db8::2", "2001:db8:0:1::1"], [2]),
        ({"per_network": 1, "per_address": 0}, ["::ffff:192.0.2.1", "192.0.2.9"], [1]),
    ],
)
def test_address_and_network(limits: dict[str, int], come: list[str], refused: list[int]) -> None:
    port = Port(**limits)
    assert [number for number, host in enumerate(come) if port.arrive(host) is None] == refused


def test_what_is_counted_goes_with_the_connections() -> None:
    port = Port(per_address=2, per_network=4)
    for _ in range(3):
        gone = [port.arrive(host) for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2")]
        assert all(gone)
        assert {row["who"] for row in port.inbound.limited()} == {"192.0.2.1", "192.0.2.2", "192.0.2.0/24"}
        for go in gone:
            assert go is not None
            go()
    assert not port.inbound.addresses
    assert not port.inbound.networks
    assert port.inbound.inbound == 0


def test_new_connections_a_minute() -> None:
    port = Port(connections_per_minute=3)
    for _ in range(5):
        go = port.arrive("192.0.2.1")
        if go is not None:
            go()
    (row,) = port.inbound.limited()
    assert (row["limit"], row["who"], row["used"], row["refused"]) == (
        "connections_per_minute", "192.0.2.1", 3, 2,
    )  # fmt: skip
    assert port.arrive("192.0.2.2")
    assert port.inbound.forget("192.0.2.1")
    assert port.arrive("192.0.2.1")
    port.clock.advance(130)
    assert port.arrive("192.0.2.1")


# In a session -----------------------------------------------------------------------------


class Busy:
    """Talks that share the counters of one server."""

    def __init__(self, site: Site, **limits: object) -> None:
        self.site = site
        site.configure(**{f"ims__limits__{key}": json.dumps(value) for key, value in limits.items()})
        inbound = InboundLimits(site.settings, site.db.reactor)
        make = site.door

        def door(role: Role = Role.MX) -> Any:
            made = make(role)
            made.inbound = inbound
            return made

        site.door = door  # type: ignore[method-assign]
        self.inbound = inbound

    def talk(self, host: str = "192.0.2.7") -> Talk:
        talk = self.site.talk(host=host)
        talk.say(b"EHLO out.example")
        return talk


def late(site: Site, seconds: float) -> bool:
    """Whether something is to be done in so many seconds."""
    reactor = site.db.reactor
    return any(abs(call.getTime() - reactor.seconds() - seconds) < 0.01 for call in reactor.getDelayedCalls())


def in_the_tar(site: Site, seconds: float) -> None:
    """Wait until the directory has answered and the answer is kept back."""
    for _ in range(1_000):
        if late(site, seconds):
            return
        run(site.db.read(lambda tx: None))
    raise AssertionError("nothing is late")


def test_messages_a_minute_from_one_address(site: Site) -> None:
    busy = Busy(site, messages_per_minute=2)
    for _ in range(2):
        assert busy.talk().send(b"x@example.org", MESSAGE, b"alice@example.test").startswith("250 ")
    talk = busy.talk()
    assert talk.say(b"MAIL FROM:<x@example.org>") == "450 4.7.1 Too many messages from your address\r\n"
    assert busy.talk("192.0.2.8").say(b"MAIL FROM:<x@example.org>").startswith("250 ")
    assert busy.talk("127.0.0.1").say(b"MAIL FROM:<x@example.org>").startswith("250 ")
    # Who has logged in is not counted by address.
    assert site.submission().say(b"MAIL FROM:<alice@example.test>").startswith("250 ")
    site.db.reactor.advance(130)
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("250 ")


def test_recipients_a_minute_from_one_address(site: Site) -> None:
    busy = Busy(site, recipients_per_minute=2)
    talk = busy.talk()
    talk.say(b"MAIL FROM:<x@example.org>", b"RCPT TO:<alice@example.test>", b"RCPT TO:<bob@example.test>")
    assert talk.say(b"RCPT TO:<alice@example.test>") == "450 4.7.1 Too many recipients from your address\r\n"
    assert busy.inbound.limited()[0]["who"] == "192.0.2.7"


def test_who_guesses_is_answered_late_and_then_sent_away(site: Site) -> None:
    busy = Busy(site, unknown_per_hour=4, tarpit_after=2, tarpit_seconds=3)
    talk = busy.talk()
    talk.say(b"MAIL FROM:<x@example.org>")
    assert talk.say(b"RCPT TO:<aa@example.test>").startswith("550 5.1.1")
    # Who looks for an open relay guesses, too.
    assert talk.say(b"RCPT TO:<bb@elsewhere.example>").startswith("550 5.7.1")
    for _ in range(2):
        talk.server.dataReceived(b"RCPT TO:<cc@example.test>\r\n")
        in_the_tar(site, 3)
        site.db.reactor.advance(2.9)
        assert talk.transport.value() == b""
        site.db.reactor.advance(0.2)
        assert talk.heard(1).startswith("550 5.1.1")
    # What is right goes on meanwhile.
    assert talk.say(b"RCPT TO:<alice@example.test>").startswith("250 ")
    talk.server.dataReceived(b"RCPT TO:<dd@example.test>\r\n")
    in_the_tar(site, 3)
    site.db.reactor.advance(3.1)
    assert talk.heard(1) == "421 4.7.0 Too many unknown recipients from your address\r\n"
    assert talk.transport.disconnecting
    assert busy.talk().say(b"MAIL FROM:<x@example.org>").startswith("421 4.7.0 ")
    assert busy.talk("192.0.2.8").say(b"MAIL FROM:<x@example.org>").startswith("250 ")


def test_peer_that_hangs_up_in_the_tar_leaves_nothing_behind(site: Site) -> None:
    busy = Busy(site, tarpit_after=0, tarpit_seconds=3)
    talk = busy.talk()
    talk.say(b"MAIL FROM:<x@example.org>")
    talk.server.dataReceived(b"RCPT TO:<aa@example.test>\r\n")
    in_the_tar(site, 3)
    talk.server.connectionLost()
    assert not late(site, 3)


def test_connections_of_one_account(site: Site) -> None:
    busy = Busy(site, per_account=2)
    talks = [site.submission() for _ in range(3)]
    assert (
        talks[0].say(b"MAIL FROM:<alice@example.test>").startswith("421 4.7.0 Too many connections of this")
    )
    talks[0].server.connectionLost()
    assert talks[1].say(b"MAIL FROM:<alice@example.test>").startswith("250 ")
    for talk in talks:
        talk.server.connectionLost()
    assert not busy.inbound.accounts


# Sending ------------------------------------------------------------------------------------


def queued(site: Site) -> list[tuple[str, str]]:
    rows = run(site.db.read(spool.listed))
    states = []
    for row in rows:
        for each in run(site.db.read(spool.recipients_of, row.id)):
            states.append((each.address, spool.State(each.state).name))
    return states


def test_an_entry_has_limits_of_its_own(site: Site) -> None:
    def send(who: str, number: int) -> str:
        content = b"Subject: s\r\n\r\nx"
        site.submission(who).send(b"%s@example.test" % who.encode(), content, b"%d@example.org" % number)
        return queued(site)[-1][1]

    # The site has no limit; the entry's 0 lets nothing leave, and its 1 one.
    run(site.directory.change(site.alice.dn, {"imsSendMessagesPerHour": ["0"]}))
    assert (send("alice", 1), send("bob", 2)) == ("HELD", "WAITING")
    run(site.directory.change(site.alice.dn, {"imsSendMessagesPerHour": ["1"]}))
    assert (send("alice", 3), send("alice", 4)) == ("WAITING", "HELD")
    (row,) = run(site.delivery.sending.limited())
    assert (row["who"], row["used"], row["allowed"]) == ("alice@example.test", 1, 1)
    # The site's limit holds for the others, and not for who has any number.
    site.configure(ims__sending__messages_per_hour="1")
    run(site.directory.change(site.alice.dn, {"imsSendMessagesPerHour": ["-1"]}))
    assert (send("bob", 5), send("bob", 6), send("alice", 6)) == ("WAITING", "HELD", "WAITING")
    run(site.directory.change(site.alice.dn, {"imsSendMessagesPerHour": []}))
    assert send("alice", 7) == "HELD"
    # A restart clears nothing.
    site.delivery.sending = SendingLimits(site.db, site.settings, time.time)
    assert send("bob", 8) == "HELD"


@pytest.mark.parametrize(
    "limits",
    [
        {"messages_per_hour": 2},
        {"messages_per_day": 2},
        {"recipients_per_hour": 2},
        {"recipients_per_day": 3},
        {"messages_per_hour": 1, "mailboxes": [{"address": "Alice@Example.test", "messages_per_hour": 2}]},
        {"domains": [{"domain": "example.test", "recipients_per_hour": 2}]},
    ],
)
def test_mail_beyond_the_limit_is_held_and_the_administrator_is_told_once(
    site: Site, limits: dict[str, object]
) -> None:
    told: list[tuple[str, str]] = []
    site.delivery.sending.alert = lambda subject, text: told.append((subject, text))
    site.configure(**{f"ims__sending__{key}": json.dumps(value) for key, value in limits.items()})
    for number in range(2):
        to = b"%d@example.org" % number
        assert site.submission().send(b"alice@example.test", b"Subject: s\r\n\r\nx", to).startswith("250 ")
    assert [state for _, state in queued(site)] == ["WAITING"] * 2
    for _ in range(2):
        content = b"Subject: much\r\n\r\nx"
        to_two = (b"bob@example.test", b"3@example.org", b"4@example.org")
        assert site.submission().send(b"alice@example.test", content, *to_two).startswith("250 ")
    assert [state for _, state in queued(site)] == ["WAITING"] * 2 + ["HELD"] * 4
    assert len(site.inbox(site.bob)) == 2
    (letter,) = told
    assert letter[0] == "Mail of alice@example.test is held"
    events = run(site.db.read(lambda tx: tracking.query(tx, event="held")))
    assert {event.reason.partition("_per_")[0] for event in events} <= {"messages", "recipients"}
    assert len(events) == 4
    assert run(site.delivery.sending.limited())
    # Somebody else, and what comes from outside, goes on; unless the domain has used it up.
    site.submission("bob").send(b"bob@example.test", b"Subject: s\r\n\r\nx", b"5@example.org")
    assert queued(site)[-1] == ("5@example.org", "HELD" if "domains" in limits else "WAITING")
    run(site.delivery.sending.forget("alice@example.test"))
    run(site.delivery.sending.forget("@example.test"))
    site.submission().send(b"alice@example.test", b"Subject: s\r\n\r\nx", b"6@example.org")
    assert queued(site)[-1] == ("6@example.org", "WAITING")
