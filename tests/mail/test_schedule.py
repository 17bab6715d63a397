"""Retry timetables, time-outs and delay notices by a clock of their own (ims_spec 3.4.5, 15-A1 to A3)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imsd.errors import ConstraintViolation
from imsd.mail.schedule import due_again, ends, is_late, next_try
from imsd.mail.work import HOUR
from imsd.settings import PAGES, LiveSettings
from imsd.settings.scheduling import PROFILES
from imsd.store.ids import BlobId
from imsd.store.spool import Queued

MINUTE = HOUR // 60
MESSAGE = Queued("Q", BlobId(1), 10, "a@example.test", 0, 1_000 * HOUR)


def settings(**rows: object) -> LiveSettings:
    live = LiveSettings(PAGES)
    live.replace({f"ims.{key.replace('__', '.')}": json.dumps(value) for key, value in rows.items()})
    return live


def timetable(message: Queued, live: LiveSettings) -> list[float]:
    """Hours at which a message that nobody takes is tried, the first time left out."""
    tries: list[float] = []
    time = 0
    while True:
        due = due_again(message, len(tries), time, live)
        if due is None:
            return tries
        time = due
        tries.append(round(time / HOUR, 2))


@pytest.mark.parametrize(
    ("rows", "hours"),
    [
        ({}, [1, 2.5, 4.75, 8.13, 13.19, 20.78, 32.17, 49.26, 66.34, 72]),
        ({"retry__profile": "exchange55"}, [0.25, 0.75, 1.75, *(n + 0.75 for n in range(5, 46, 4)), 48]),
        (
            {"retry__profile": "prompt"},
            [0.08, 0.33, 0.83, 1.83, 3.83, *(n + 0.83 for n in range(7, 44, 4)), 47.83, 48],
        ),
        (
            {"retry__profile": "intervals", "retry__intervals": ".5, 2", "timeout__normal": 6},
            [0.5, 2.5, 4.5, 6],
        ),
        ({"retry__profile": "intervals", "retry__intervals": [0.25, 0]}, [0.25]),
        ({"retry__profile": "intervals", "retry__intervals": "0"}, []),
        (
            {"retry__profile": "growing", "retry__first": 2, "retry__factor": 2, "retry__count": 3},
            [2, 6, 14, 22, 30, 38, 46, 48],
        ),
        ({"retry__profile": "growing", "retry__count": 0}, []),
    ],
)
def test_timetables(rows: dict[str, object], hours: list[float]) -> None:
    assert timetable(MESSAGE, settings(**rows)) == pytest.approx(hours, abs=0.011)


@pytest.mark.parametrize(("priority", "end", "notice"), [(1, 24, 4), (0, 72, 12), (-1, 72, 24)])
def test_each_priority_has_its_time_out_and_its_notice(priority: int, end: int, notice: int) -> None:
    message, live = replace(MESSAGE, priority=priority), settings()
    assert ends(message, live) == end * HOUR
    assert timetable(message, live)[-1] == end
    assert not is_late(message, notice * HOUR - 1, live)
    assert is_late(message, notice * HOUR, live)
    assert not is_late(message, 500 * HOUR, _never())


def _never() -> LiveSettings:
    return settings(delay_notice__urgent=0, delay_notice__normal=0, delay_notice__nonurgent=0)


def test_a_shorter_time_out_ends_what_waits_already() -> None:
    assert ends(MESSAGE, settings(timeout__normal=1)) == HOUR
    assert due_again(MESSAGE, 0, 2 * HOUR, settings(timeout__normal=1)) is None
    assert ends(replace(MESSAGE, expires=5), settings()) == 5
    assert ends(MESSAGE, settings(retry__profile="exchange55")) == 48 * HOUR


def test_the_last_try_is_at_the_end_and_not_at_once() -> None:
    assert next_try(0, 0, MINUTE // 2, PROFILES["prompt"]) == MINUTE
    assert next_try(0, 0, 10**15, PROFILES["prompt"]) == 5 * MINUTE


@pytest.mark.parametrize("value", ["0,1", "-1", "721", "often", "[]"])
def test_intervals_that_mean_nothing(value: str) -> None:
    with pytest.raises(ConstraintViolation):
        settings().parse("ims.retry.intervals", value)


def test_intervals_are_typed_as_people_write_them() -> None:
    assert settings().parse("ims.retry.intervals", ".25,.5,1,4") == (
        "ims.retry.intervals",
        "[0.25, 0.5, 1.0, 4.0]",
    )
    assert settings().parse("ims.retry.intervals", ".25")[1] == "[0.25]"
