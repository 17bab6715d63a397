"""Tens of thousands of malformed messages against one door, with a neighbour on it."""

from __future__ import annotations

import os

import pytest

from tests.support.malformed import besieged

COUNT = int(os.environ.get("IMSD_MALFORMED", "8000"))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_connection_ends_or_answers_and_no_other_is_disturbed(seed: int) -> None:
    siege = besieged(seed)
    siege.run(COUNT)
    siege._again()
    assert {"notice", "answered", "waits"} <= set(siege.outcomes)
    assert min(siege.outcomes[each] for each in ("notice", "answered")) > COUNT // 10
    assert len(siege.connection.clock.getDelayedCalls()) < 10  # type: ignore[attr-defined]
