"""Events of hosts that cannot be had: which number, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from imsd.mail.relay.noticing import HOUR, Notices


@pytest.fixture
def numbers() -> Iterator[list[int]]:
    seen: list[int] = []

    def note(event: Any) -> None:
        if "event_id" in event:
            seen.append(event["event_id"])

    globalLogPublisher.addObserver(note)
    yield seen
    globalLogPublisher.removeObserver(note)


def test_once_an_hour_for_each(numbers: list[int]) -> None:
    clock = Clock()
    notices = Notices(clock.seconds)
    for _ in range(3):
        notices.unresolved("far.test", "no")
        notices.unreached("a[192.0.2.1]:25", "far.test", Refused())
        notices.unreached("a[192.0.2.1]:25", "far.test", TimeoutError())
    notices.unresolved("near.test", "no")
    assert numbers == [2006, 3011, 3010, 2006]
    clock.advance(2.1 * HOUR)
    notices.unresolved("far.test", "no")
    assert numbers[-1] == 2006
