"""Flush mode begins and ends by the mark, with one event each, and refuses new mail in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from imsd.errors import StoreFull
from imsd.lowwater import EVERY, LowWater
from imsd.settings import PAGES, LiveSettings


def test_flush_mode(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    settings, clock, answers = LiveSettings(PAGES), Clock(), [1 << 40]
    waiting: list[Deferred[int]] = []

    def in_thread(fn: object, home: Path) -> Deferred[int]:
        assert home == tmp_path
        return succeed(answers[0]) if answers[0] >= 0 else fail(OSError("no such disk"))

    globalLogPublisher.addObserver(events.append)
    water = LowWater(tmp_path, settings, clock, in_thread)
    try:
        water.start()
        water.check()
        answers[0] = (100 << 20) - 1
        water.check()
        clock.advance(EVERY)
        with pytest.raises(StoreFull):
            water.check()
        clock.advance(EVERY)
        assert water.describe() == {
            "free_bytes": (100 << 20) - 1,
            "low_water_bytes": 100 << 20,
            "flush_mode": True,
        }
        answers[0] = -1
        clock.advance(EVERY)
        assert water.low, "what cannot be read changes nothing"
        settings.replace({"spool.low_water_bytes": json.dumps(50 << 20)})
        water.check()
        settings.replace({})
        assert water.low
        answers[0] = 100 << 20
        clock.advance(EVERY)
        water.check()
    finally:
        globalLogPublisher.removeObserver(events.append)
        water.stop()
    assert not waiting
    assert [event["event_id"] for event in events if "event_id" in event] == [3018, 3019, 3018, 3019]
