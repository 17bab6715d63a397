"""Connections never take all descriptors."""

from __future__ import annotations

import resource

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from imsd import descriptors
from imsd.descriptors import MOST, Room, for_connections, raise_limit


@pytest.mark.parametrize(
    ("limits", "raised", "asked"),
    [
        ((1_024, 20_000), 20_000, (20_000, 20_000)),
        ((1_024, 1_048_576), MOST, (MOST, 1_048_576)),
        ((1_024, resource.RLIM_INFINITY), MOST, (MOST, resource.RLIM_INFINITY)),
        ((65_536, 65_536), 65_536, None),
        ((200_000, 1_048_576), 200_000, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), MOST, None),
    ],
)
def test_as_many_as_the_system_allows(
    limits: tuple[int, int],
    raised: int,
    asked: tuple[int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: calls.append(both))
    assert raise_limit() == raised
    assert calls == ([] if asked is None else [asked])


def test_where_a_sandbox_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    assert raise_limit() == 1_024


@pytest.mark.parametrize(("limit", "connections"), [(1_024, 384), (20_000, 9_872), (64, 24), (1, 1)])
def test_the_part_that_connections_have(limit: int, connections: int) -> None:
    assert for_connections(limit) == connections


def test_the_log_says_so_once_a_minute() -> None:
    clock = Clock()
    opened = 0
    told: list[str] = []

    def heard(event: dict[str, object]) -> None:
        if event.get("log_namespace") == descriptors.Room.log.namespace:
            told.append(str(event["count"]))

    room = Room(1_024, lambda: opened, clock.seconds)
    globalLogPublisher.addObserver(heard)
    try:
        assert room()
        opened = 384
        assert [room() for _ in range(3)] == [False, False, False]
        clock.advance(61)
        assert not room()
        opened = 383
        assert room()
    finally:
        globalLogPublisher.removeObserver(heard)
    assert told == ["384", "384"]
