"""Schedules of links: what they say, and when that is next."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.settings.schedules import next_of, parse

# A Wednesday.
NOON = datetime(2026, 11, 25, 12, 0)  # noqa: DTZ001 - of the server's zone


@pytest.mark.parametrize(
    ("text", "after", "then"),
    [
        ("daily at 6:30", NOON, "Thu 06:30"),
        ("at 18:00,6:30", NOON, "Wed 18:00"),
        ("at 12:00", NOON, "Thu 12:00"),
        ("every 1:30", NOON, "Wed 13:30"),
        ("every 0:15 from 8:00 to 18:00", NOON.replace(hour=18), "Thu 08:00"),
        ("every 0:15 from 8:00 to 18:00", NOON.replace(hour=17, minute=46), "Wed 18:00"),
        ("weekly at 6:00", NOON, ""),
        ("mon at 7:00", NOON, "Mon 07:00"),
        ("wed at 7:00", NOON, "Wed 07:00"),
        ("weekend every 4:00", NOON, "Sat 00:00"),
        ("weekdays at 9:00", NOON.replace(day=27, hour=9), "Mon 09:00"),
        ("mon,thu at 7:00", NOON, "Thu 07:00"),
        ("every 24:00", NOON, "Thu 00:00"),
        ("MON AT 7:00", NOON, "Mon 07:00"),
    ],
)
def test_the_next_time(text: str, after: datetime, then: str) -> None:
    if not then:
        with pytest.raises(ValueError, match="expected"):
            parse(text)
        return
    found = next_of([text], after)
    assert found is not None and found > after
    assert found.strftime("%a %H:%M") == then


def test_the_soonest_of_several_and_never() -> None:
    found = next_of(["weekdays every 1:00 from 8:00 to 12:00", "weekend at 10:00"], NOON.replace(day=27))
    assert found == NOON.replace(day=28, hour=10)
    assert next_of([], NOON) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "at", "never", "at 25:00", "at 6:60", "at 6", "at 24:00", "at 6:00 sharp"),
        *("every 0:00", "every 25:00", "every 1:00 from 9:00", "every 1:00 from 9:00 to 8:00"),
        *("daily", "weekend", "mo at 6:00", "mon, tue at 6:00"),
    ],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|never"):
        parse(text)


@given(st.text("dailyweknsturmohvpt 0123456789:,", max_size=40))
def test_anything_is_a_schedule_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    then = found.after(NOON)
    assert then is not None and NOON < then <= NOON + timedelta(days=8)
