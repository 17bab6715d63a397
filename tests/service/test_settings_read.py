"""Settings read while others are being read hold for whoever asked; the newest hold in the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from imsd.core import Core


def reading() -> tuple[Any, list[Deferred[dict[str, str]]], list[dict[str, str]]]:
    """A core with nothing but settings: the reads that wait, and what was taken."""
    waiting: list[Deferred[dict[str, str]]] = []
    taken: list[dict[str, str]] = []

    def read(_fn: object) -> Deferred[dict[str, str]]:
        waiting.append(Deferred())
        return waiting[-1]

    core = SimpleNamespace(
        db=SimpleNamespace(read=read),
        settings=SimpleNamespace(replace=taken.append, rejected={}),
        _settings_read=0,
        _settings_taken=0,
    )
    return core, waiting, taken


@pytest.mark.parametrize(
    ("order", "expected"),
    [((0, 1), [{"n": "0"}, {"n": "1"}]), ((1, 0), [{"n": "1"}])],
    ids=["in turn", "the later comes first"],
)
def test_what_was_asked_for_holds_when_it_returns(
    order: tuple[int, int], expected: list[dict[str, str]]
) -> None:
    core, waiting, taken = reading()
    asked = [Deferred.fromCoroutine(Core.read_settings(core)) for _ in range(2)]
    for number in order:
        waiting[number].callback({"n": str(number)})
        assert asked[number].called and int(taken[-1]["n"]) >= number
    assert taken == expected
