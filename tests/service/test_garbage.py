"""What lives is walked once, and garbage is found all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from imsd.garbage import THAW, Garbage


class Node:
    """Something that can be in a cycle."""

    def __init__(self) -> None:
        self.other: Node | None = None


def cycle() -> Node:
    node, other = Node(), Node()
    node.other, other.other = other, node
    return node


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    garbage = Garbage(clock)
    garbage.start()
    yield clock
    garbage.stop()
    assert gc.get_freeze_count() == 0


def test_what_survived_a_full_collection_is_not_walked_again(clock: Clock) -> None:
    frozen = gc.get_freeze_count()
    assert frozen > 0
    kept = [[number] for number in range(1_000)]
    gc.collect(1)
    # What is frozen may still end by its reference count, so the number falls by itself.
    assert gc.get_freeze_count() <= frozen
    gc.collect()
    assert gc.get_freeze_count() > frozen + len(kept) // 2
    assert len(gc.get_objects(generation=2)) < 1_000


def test_cycles_that_die_young_are_found(clock: Clock) -> None:
    gone = weakref.ref(cycle())
    gc.collect()
    assert gone() is None


def test_cycles_that_die_old_are_found_after_a_thaw(clock: Clock) -> None:
    node = cycle()
    gone = weakref.ref(node)
    gc.collect()
    del node
    gc.collect()
    assert gone() is not None, "it is frozen"
    clock.advance(THAW)
    gc.collect()
    assert gone() is None
