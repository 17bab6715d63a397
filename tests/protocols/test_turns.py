"""Turns of the reactor are shared by those who work long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from protocols.turns import FEW, SHARE, SHORT, SLICE, another_turn, hand_over, patience


class Clock:
    """A reactor of which each turn is one `advance`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, call: Callable[..., Any], *arguments: Any) -> None:
        assert delay == 0
        self.calls.append((call, arguments))

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call, arguments in calls:
            call(*arguments)


def test_each_turn_of_the_reactor_has_a_share_of_the_work() -> None:
    clock = Clock()
    served: list[int] = []

    def work(number: int) -> None:
        served.append(number)
        clock.now += SHARE / 2

    for number in range(5):
        another_turn(clock).addCallback(lambda _, n=number: work(n))  # type: ignore[misc]
    assert served == []
    clock.turn()
    # The share is over with the second; the one that finds it over is the last of this turn.
    assert served == [0, 1, 2]
    clock.turn()
    assert served == [0, 1, 2, 3, 4]
    assert not clock.calls


def test_who_asks_again_waits_for_the_next_turn() -> None:
    clock = Clock()
    served: list[str] = []

    def again(_: None) -> None:
        served.append("first")
        another_turn(clock).addCallback(lambda _: served.append("again"))

    another_turn(clock).addCallback(again)
    another_turn(clock).addCallback(lambda _: served.append("second"))
    clock.turn()
    assert served == ["first", "second"]
    clock.turn()
    assert served == ["first", "second", "again"]


def test_who_gives_up_waiting_has_no_turn() -> None:
    clock = Clock()
    served: list[int] = []
    first = another_turn(clock)
    first.addErrback(lambda _: None)
    another_turn(clock).addCallback(lambda _: served.append(2))
    first.cancel()
    clock.turn()
    assert served == [2]


def test_who_fails_does_not_keep_the_others_waiting() -> None:
    clock = Clock()
    served: list[int] = []

    def fail(_: None) -> None:
        clock.now += SHARE * 2
        raise LookupError

    failed = another_turn(clock).addCallback(fail)
    another_turn(clock).addCallback(lambda _: served.append(2))
    clock.turn()
    clock.turn()
    assert served == [2]
    failed.addErrback(lambda failure: failure.trap(LookupError))


def test_what_a_thread_found_waits_behind_those_who_asked_before() -> None:
    clock = Clock()
    served: list[str] = []
    at_once: Deferred[str] = Deferred()
    at_once.addCallback(served.append)
    hand_over(clock, at_once, "at once")
    another_turn(clock).addCallback(lambda _: served.append("first"))
    late: Deferred[str] = Deferred()
    late.addCallback(served.append)
    hand_over(clock, late, "second")
    gone: Deferred[str] = Deferred(lambda _: None)
    gone.addErrback(lambda _: served.append("cancelled"))
    hand_over(clock, gone, "never")
    gone.cancel()
    assert served == ["at once", "cancelled"]
    clock.turn()
    assert served == ["at once", "cancelled", "first", "second"]


def test_where_many_wait_slices_are_short() -> None:
    clock = Clock()
    assert patience(clock) == SLICE
    for _ in range(FEW):
        another_turn(clock)
    assert patience(clock) == SLICE
    another_turn(clock)
    assert patience(clock) == SHORT
