"""Counts over a window that moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imsd.mail.pace import Pace


def test_what_is_taken_comes_back_as_the_window_moves() -> None:
    pace = Pace(60)
    assert [pace.take("a", 1, 3, 10) for _ in range(5)] == [True, True, True, False, False]
    assert pace.take("b", 1, 3, 10)
    (row,) = pace.over(3, 10)
    assert (row.key, row.used, row.refused) == ("a", 3, 2)
    # Half a window on, half of it counts.
    assert pace.used("a", 90) == 1.5
    assert pace.take("a", 1, 3, 90)
    assert not pace.take("a", 1, 3, 90)
    assert pace.used("a", 180) == 0
    assert pace.over(3, 180) == []


def test_one_that_is_larger_than_the_limit_is_taken_alone() -> None:
    pace = Pace(60)
    assert pace.take("a", 50, 10, 0)
    assert not pace.take("a", 1, 10, 1)
    assert pace.forget("a")
    assert not pace.forget("a")
    assert pace.take("a", 1, 10, 1)


def test_memory_is_bounded_and_the_busy_are_kept() -> None:
    pace = Pace(60, most=100)
    for number in range(10_000):
        pace.add("busy", 1, 0)
        pace.add(str(number), 1, 0)
    assert len(pace) == 100
    assert pace.used("busy", 0) == 10_000


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3)), max_size=60))
def test_no_window_holds_more_than_twice_the_limit(steps: list[tuple[float, int]]) -> None:
    pace = Pace(60)
    time, taken = 0.0, []
    for wait, amount in steps:
        time += wait
        if pace.take("a", amount, 10, time):
            taken.append((time, amount))
        assert sum(amount for when, amount in taken if when > time - 60) <= 20
        assert sum(amount for when, amount in taken if when // 60 == time // 60) <= 12
