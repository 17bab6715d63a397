"""Growing delays, decided before hashing, with bounded tables."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from imsd.auth.throttle import Throttle
from imsd.errors import Throttled
from imsd.settings.logins import Logins


class Gate:
    def __init__(self, **settings: float) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.settings = Logins(**settings)  # type: ignore[arg-type]
        self.throttle = Throttle(lambda: self.settings, self.clock.seconds)

    def fail(self, name: str = "alice", peer: str = "192.0.2.1") -> None:
        self.throttle.failed(self.throttle.admit(name, peer))

    def succeed(self, name: str = "alice", peer: str = "192.0.2.1") -> None:
        self.throttle.succeeded(self.throttle.admit(name, peer))

    def open(self, name: str = "alice", peer: str = "192.0.2.1") -> bool:
        try:
            self.throttle.check(name, peer)
        except Throttled:
            return False
        return True


def test_the_delay_doubles() -> None:
    gate = Gate(account_failures=3, longest_delay=10)
    for _ in range(2):
        gate.fail()
        assert gate.open()
    for delay in (1, 2, 4, 8, 10, 10):
        gate.fail()
        gate.clock.advance(delay - 0.01)
        assert not gate.open()
        gate.clock.advance(0.02)
        assert gate.open()


def test_an_account_is_guarded_from_many_addresses() -> None:
    gate = Gate(account_failures=3)
    for number in range(3):
        gate.fail(peer=f"192.0.2.{number}")
    assert not gate.open(peer="198.51.100.9")
    assert gate.open("bob", "198.51.100.9")


def test_an_address_is_held_back_over_many_accounts() -> None:
    gate = Gate(address_failures=4)
    for number in range(4):
        gate.fail(f"user{number}")
    assert not gate.open("somebody")
    assert gate.open("somebody", "192.0.2.2")


def test_a_network_of_ipv6_is_one_address() -> None:
    gate = Gate(address_failures=4)
    for number in range(4):
        gate.fail(f"user{number}", f"2001:db8::{number + 1}")
    assert not gate.open("somebody", "2001:db8::ffff")
    assert gate.open("somebody", "2001:db8:0:1::1")


def test_loopback_is_many_people() -> None:
    gate = Gate(address_failures=4)
    for number in range(10):
        gate.fail(f"user{number}", "127.0.0.1")
    assert gate.open("somebody", "127.0.0.1")


def test_friends_are_not_locked_out_by_strangers() -> None:
    gate = Gate(account_failures=3, address_failures=4)
    gate.succeed(peer="203.0.113.5")
    for number in range(10):
        gate.clock.advance(1000)
        gate.fail(peer=f"192.0.2.{number}")
    assert not gate.open(peer="198.51.100.9")
    assert gate.open(peer="203.0.113.5")
    for number in range(4):  # nor by neighbours behind the same address
        gate.fail(f"user{number}", "203.0.113.5")
    assert gate.open(peer="203.0.113.5")
    for _ in range(3):  # but by themselves
        gate.fail(peer="203.0.113.5")
    assert not gate.open(peer="203.0.113.5")


def test_attempts_at_once_are_counted_before_they_are_decided() -> None:
    gate = Gate(account_failures=3)
    attempts = [gate.throttle.admit("alice", "192.0.2.1") for _ in range(3)]
    with pytest.raises(Throttled):
        gate.throttle.admit("alice", "192.0.2.2")
    gate.throttle.undecided(attempts[0])
    gate.throttle.admit("alice", "192.0.2.2")


def test_a_success_takes_back_its_own_count_alone() -> None:
    gate = Gate(account_failures=3)
    gate.fail()
    gate.fail()
    gate.succeed()
    gate.fail(peer="192.0.2.7")
    assert not gate.open(peer="192.0.2.8")


def test_failures_are_forgotten() -> None:
    gate = Gate(account_failures=3, forget_after=100)
    for _ in range(3):
        gate.fail()
        gate.clock.advance(50)
    gate.clock.advance(101)
    gate.fail()
    gate.fail()
    assert gate.open()


def test_tables_are_bounded() -> None:
    gate = Gate(throttle_entries=100, address_failures=10_000)
    for number in range(500):
        gate.fail(f"user{number}", f"10.0.{number // 250}.{number % 250}")
        gate.succeed(f"friend{number}", "192.0.2.1")
    assert len(gate.throttle._failures) <= 100
    assert len(gate.throttle._friends) <= 100
