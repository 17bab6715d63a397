"""Questions to the name system about a peer, within two seconds, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns, error

from imsd.mail.lookups import MOST_ASKED, Lookups, host_name
from imsd.mail.names import LookupFailed
from imsd.mail.peers import Facts


class Zone:
    """Stands in for the resolver: answers at once, later, or never."""

    def __init__(self, **records: list[Any]) -> None:
        self.records = records
        self.asked: list[tuple[str, int]] = []
        self.slow: list[Deferred[Any]] | None = None

    def query(self, query: Any, timeout: Any) -> Deferred[Any]:
        name = query.name.name.decode()
        self.asked.append((name, query.type))
        done: Deferred[Any] = Deferred()
        if self.slow is not None:
            self.slow.append(done)
            return done
        found = self.records.get(f"{dns.QUERY_TYPES[query.type]}_{name}")
        if found is None:
            done.errback(error.DNSNameError())
        else:
            answers = [dns.RRHeader(name, query.type, dns.IN, 300, payload) for payload in found]
            done.callback((answers, [], []))
        return done


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lookups(clock: Clock, zone: Zone) -> Lookups:
    made = Lookups(clock)
    made._current = lambda: zone  # type: ignore[method-assign]
    return made


def fired(awaitable: Any) -> Any:
    found: list[Any] = []
    Deferred.fromCoroutine(awaitable).addBoth(found.append)
    return found


ZONE = {
    "PTR_7.2.0.192.in-addr.arpa": [dns.Record_PTR("Mail.Example.org")],
    "A_mail.example.org": [dns.Record_A("192.0.2.99"), dns.Record_A("192.0.2.7")],
    "PTR_8.2.0.192.in-addr.arpa": [dns.Record_PTR("mail.example.org")],
    "PTR_1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": [
        dns.Record_PTR("six.example.org")
    ],
    "AAAA_six.example.org": [dns.Record_AAAA("2001:db8::1")],
}


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        ("192.0.2.7", "mail.example.org"),
        ("192.0.2.8", ""),
        ("192.0.2.9", ""),
        ("2001:db8::1", "six.example.org"),
    ],
)
def test_name_counts_when_it_has_the_address(clock: Clock, peer: str, name: str) -> None:
    assert fired(host_name(lookups(clock, Zone(**ZONE)), peer)) == [name]


def test_answers_are_kept_while_they_live(clock: Clock) -> None:
    zone = Zone(A_x=[dns.Record_A("192.0.2.1")])
    asking = lookups(clock, zone)
    for _ in range(3):
        assert fired(asking.ask("x", "A")) == [("192.0.2.1",)]
    clock.advance(301)
    assert fired(asking.ask("x", "A")) == [("192.0.2.1",)]
    assert len(zone.asked) == 2


def test_dead_name_server_costs_two_seconds_once(clock: Clock) -> None:
    zone = Zone()
    zone.slow = []
    asking = lookups(clock, zone)
    first, second = fired(asking.ask("x", "A")), fired(asking.ask("x", "A"))
    clock.advance(1.9)
    assert first == second == []
    clock.advance(0.2)
    assert first[0].check(LookupFailed)
    assert second[0].check(LookupFailed)
    assert fired(asking.ask("x", "A"))[0].check(LookupFailed)
    assert len(zone.asked) == 1


def test_questions_under_way_are_bounded(clock: Clock) -> None:
    zone = Zone()
    zone.slow = []
    asking = lookups(clock, zone)
    waiting = [fired(asking.ask(f"x{number}", "A")) for number in range(MOST_ASKED)]
    assert fired(asking.ask("one-more", "A"))[0].check(LookupFailed)
    assert len(zone.asked) == MOST_ASKED
    clock.advance(3)
    assert all(waiting)


def test_facts_come_in_time_or_never(clock: Clock) -> None:
    zone = Zone()
    zone.slow = []
    asking = lookups(clock, zone)
    facts = Facts(lambda: host_name(asking, "192.0.2.7"), clock)
    known = fired(facts.known())
    assert known == []
    clock.advance(2.1)
    assert known == [None]
    assert facts.name == ""
    gone = Facts(lambda: host_name(asking, "192.0.2.8"), clock)
    waiting = fired(gone.known())
    gone.forget()
    assert waiting == [None]
    there = Facts(lambda: host_name(lookups(clock, Zone(**ZONE)), "192.0.2.7"), clock)
    assert fired(there.known()) == [None]
    assert there.name == "mail.example.org"
