"""Fixtures that every test may use, and the order of the files."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.support.stores", "tests.support.servers"]

LONGEST = (
    *("test_crash", "test_imsctl", "test_readme", "test_killed", "test_wheel", "test_search_index"),
    *("test_links", "test_interop", "test_outbound", "test_queue"),
)
"""Files that take a worker half a minute and more: they begin, so that no worker ends alone with one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        name = item.path.stem
        if item.get_closest_marker("system") is None:
            return len(LONGEST) + 1
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=rank)
