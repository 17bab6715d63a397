"""Results that come while others are written go together; one that is wrong fails alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from imsd.errors import TryLater
from imsd.mail import recording
from imsd.mail.recording import Recorder


class Store:
    """Units in the order in which they were submitted, and their Deferreds."""

    def __init__(self) -> None:
        self.units: list[tuple[list[str], Deferred[Any]]] = []

    def write(self, fn: Any, settlements: Any, now: int) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.units.append(([each.claim.message.id for each in settlements], done))
        return done


def settlement(name: str) -> Any:
    return SimpleNamespace(claim=SimpleNamespace(message=SimpleNamespace(id=name)))


def begin(*names: str) -> tuple[Store, dict[str, Any]]:
    store, found = Store(), dict[str, Any]()
    recorder = Recorder(store)  # type: ignore[arg-type]
    for name in names:
        done = recorder.write(settlement(name), 1)
        done.addBoth(lambda result, name=name: found.setdefault(name, result))
    return store, found


def test_what_waits_is_one_unit() -> None:
    names = [f"m{n}" for n in range(recording.UNITS + recording.MOST + 1)]
    store, found = begin(*names)
    assert [each for each, _ in store.units] == [[name] for name in names[: recording.UNITS]]
    store.units[0][1].callback({"m0"})
    assert store.units[-1][0] == names[recording.UNITS :][: recording.MOST]
    assert found == {"m0": True}
    for _, done in store.units[1:]:
        done.callback(set())
    store.units[-1][1].callback(set())
    assert found == {"m0": True, **dict.fromkeys(names[1:], False)}


def test_one_that_is_wrong_fails_alone() -> None:
    store, found = begin("a", "b", "c", "d")
    store.units[0][1].callback(set())
    store.units[2][1].errback(ValueError("c is wrong"))
    assert [each for each, _ in store.units[3:]] == [["c"], ["d"]]
    store.units[3][1].errback(ValueError("c is wrong"))
    store.units[4][1].callback(set())
    store.units[1][1].callback(set())
    assert found.pop("c").check(ValueError)
    assert found == {"a": False, "b": False, "d": False}


def test_a_store_that_cannot_fails_all_of_a_unit() -> None:
    store, found = begin("a", "b", "c", "d")
    store.units[0][1].callback(set())
    store.units[2][1].errback(TryLater())
    assert found["c"].check(TryLater) and found["d"].check(TryLater)
    assert len(store.units) == 3
