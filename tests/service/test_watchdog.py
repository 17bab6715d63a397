"""A reactor that is kept from its work is noticed."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from imsd.watchdog import INTERVAL, LIMIT, Watchdog


@pytest.mark.parametrize(("busy", "late"), [(0.0, 0), (LIMIT - INTERVAL - 0.001, 0), (LIMIT, 1), (1.0, 1)])
def test_a_turn_over_the_limit_is_logged_with_what_was_done(busy: float, late: int) -> None:
    clock = Clock()
    watchdog = Watchdog(clock, lambda: "FETCH")
    logged: list[dict[str, Any]] = []
    watchdog.log = type("Log", (), {"warn": lambda self, text, **fields: logged.append(fields)})()
    watchdog.start()
    clock.pump([INTERVAL] * 5)
    # The turn begins just after a firing; the timer comes when it is over.
    clock.rightNow += busy
    clock.advance(INTERVAL)
    clock.pump([INTERVAL] * 5)
    watchdog.stop()
    assert watchdog.late == late
    assert [fields["verb"] for fields in logged] == ["FETCH"] * late
    assert watchdog.longest == pytest.approx(busy, abs=0.001)
    assert not clock.getDelayedCalls()
