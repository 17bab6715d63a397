"""Something that is done again and again, once at a time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from imsd.errors import StoreFull
from imsd.rounds import Rounds


class Working:
    """Rounds of a minute whose work waits for `done`, or fails by `error`."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.log = Logger(observer=self.events.append, namespace="rounds")  # type: ignore[arg-type]
        self.rounds = Rounds(self.work, self.clock, self.log, "it failed")
        self.begun = 0
        self.done: Deferred[None] | None = None
        self.error: Exception | None = None
        self.cancelled = False

    async def work(self) -> None:
        self.begun += 1
        if self.error is not None:
            raise self.error
        try:
            if self.done is not None:
                await self.done
        except CancelledError:
            self.cancelled = True
            raise


def test_a_round_that_takes_long_is_the_only_one() -> None:
    one = Working()
    one.rounds.start(60)
    one.clock.advance(60)
    assert one.begun == 2
    one.done = Deferred()
    one.clock.advance(60)
    one.rounds.soon(1)
    one.rounds.soon(1)
    one.clock.pump([1, 1, 1, 120])
    assert one.begun == 3
    done, one.done = one.done, None
    done.callback(None)
    one.clock.advance(1)
    assert one.begun == 4, "the one that was wanted meanwhile"
    one.clock.advance(1)
    assert one.begun == 4
    one.rounds.stop()
    one.rounds.soon(1)
    assert not one.rounds.running and one.clock.getDelayedCalls() == []


def test_what_fails_is_told_and_tried_again_but_a_refusal_is_no_failure() -> None:
    one = Working()
    one.error = StoreFull()
    one.rounds.start(60)
    assert one.events == []
    one.error = ValueError("mistake")
    one.clock.advance(60)
    assert [event["log_format"] for event in one.events] == ["it failed"]
    one.clock.advance(60)
    assert one.begun == 3


def test_what_is_being_done_ends_with_it() -> None:
    one = Working()
    one.done = Deferred()
    one.rounds.start(60)
    one.rounds.stop()
    one.clock.advance(120)
    assert (one.begun, one.cancelled, one.events) == (1, True, [])
