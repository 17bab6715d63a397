"""When a connection is due: the schedules of the Dial-up page (ims_spec 3.8), as text.

schedule = [ days SP ] ( "at" SP time *( "," time ) / "every" SP time [ SP "from" SP time SP "to" SP time ] )
days     = "daily" / "weekdays" / "weekend" / day *( "," day )
day      = "mon" / "tue" / "wed" / "thu" / "fri" / "sat" / "sun"
time     = hours ":" minutes

`every 1:30` counts from midnight, or from `from`; `to` is the last time. No schedule is never. Times are
those of the server's clock and time zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORDS = {"daily": range(7), "weekdays": range(5), "weekend": range(5, 7)}
_TIME = re.compile(r"(\d{1,2}):(\d\d)\Z")
DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Schedule:
    """days: 0 is Monday. minutes: of the day, ascending."""

    days: frozenset[int]
    minutes: tuple[int, ...]

    def after(self, time: datetime) -> datetime | None:
        """The next time after that one."""
        midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in range(9):
            date = midnight + timedelta(days=day)
            if date.weekday() not in self.days:
                continue
            for minute in self.minutes:
                found = date + timedelta(minutes=minute)
                if found > time:
                    return found
        return None


def parse(text: str) -> Schedule:
    """Raises ValueError."""
    words = text.lower().split()
    days = frozenset(range(7))
    if words and words[0] not in ("at", "every"):
        days = frozenset(_days(words.pop(0)))
    match words:
        case ["at", times]:
            minutes = sorted({_minutes(each, DAY - 1) for each in times.split(",")})
        case ["every", step]:
            minutes = list(range(0, DAY, _step(step)))
        case ["every", step, "from", start, "to", end]:
            minutes = list(range(_minutes(start, DAY - 1), _minutes(end, DAY) + 1, _step(step)))
        case _:
            raise ValueError(
                f'{text}: "[DAYS] at H:MM[,H:MM]" or "[DAYS] every H:MM [from H:MM to H:MM]" expected'
            )
    if not minutes:
        raise ValueError(f"{text}: never")
    return Schedule(days, tuple(minutes))


def _days(word: str) -> Iterator[int]:
    if word in _WORDS:
        yield from _WORDS[word]
        return
    for each in word.split(","):
        if each not in DAYS:
            raise ValueError(f'{word}: "daily", "weekdays", "weekend" or days such as mon,thu expected')
        yield DAYS.index(each)


def _minutes(text: str, most: int) -> int:
    match = _TIME.match(text)
    found = int(match[1]) * 60 + int(match[2]) if match is not None and int(match[2]) < 60 else DAY + 1
    if found > most:
        raise ValueError(f"{text}: a time such as 6:30 expected")
    return found


def _step(text: str) -> int:
    step = _minutes(text, DAY)
    if not step:
        raise ValueError(f"{text}: at least one minute expected")
    return step


def next_of(schedules: Iterable[str], time: datetime) -> datetime | None:
    """The next time that any of these schedules has after that one; None: never."""
    found = [each for each in (parse(text).after(time) for text in schedules) if each is not None]
    return min(found, default=None)


def _checked(text: str) -> str:
    parse(text)
    return " ".join(text.lower().split())


ScheduleText = Annotated[str, AfterValidator(_checked)]
"""The type of a field of settings that holds a schedule."""
