"""Operations on the search index."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.errors import Unsupported
from imsd.store.sql import SQLITE


async def describe(core: Any) -> Json:
    """The index as `status` shows it."""
    state = await core.search.state()
    newest = await core.search.newest()
    return {**state.as_json(), "newest": newest, "waiting": max(0, newest - state.upto)}


@operation("search.status")
async def status(core: Any) -> Json:
    """How far the search index is, and how large."""
    return await describe(core)


@operation("search.rebuild")
async def rebuild(core: Any) -> Json:
    """Make the search index anew; until it is there, searches read the messages."""
    server = core.server
    if server is not None:
        await server.indexing.rebuild()
    elif core.db.dialect == SQLITE:
        await core.search.forget()
    else:
        # Another node may be filling it.
        raise Unsupported("Start the server first")
    return await describe(core)
