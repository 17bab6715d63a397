"""Operations on who was deleted and may come back."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.directory import undeleting
from imsd.directory.entry import Kind
from imsd.directory.undeleting import primary
from imsd.errors import NoSuchEntry
from imsd.store import deleted_entries, entries
from imsd.store.deleted_entries import Deleted
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction

PAGE = 500


def until_of(tx: Transaction, entry: EntryId) -> int | None:
    """Until when somebody can be brought back, in microseconds; None: he cannot."""
    try:
        return deleted_entries.load(tx, entry).until
    except NoSuchEntry:
        return None


@operation("directory.deleted")
async def deleted(core: Any, after: int = 0) -> Json:
    """Whoever may come back, some after a number; times in microseconds since the epoch."""
    return await core.db.read(_page, after)


def _page(tx: Transaction, after: int) -> Json:
    return [_row(tx, kept, size) for kept, size in undeleting.listed(tx, after, PAGE)]


def _row(tx: Transaction, kept: Deleted, size: int) -> Json:
    return {
        "number": kept.id,
        "kind": Kind(kept.draft.kind).name.lower(),
        "name": primary(kept),
        "deleted": kept.deleted,
        "until": kept.until,
        "by": _name(tx, kept.actor),
        "mailbox_bytes": size,
    }


def _name(tx: Transaction, actor: EntryId) -> str:
    """Who did it: a person's name, or the server."""
    if not actor:
        return "imsctl"
    try:
        return entries.load(tx, actor).rdn_value
    except NoSuchEntry:
        return f"#{actor}"


@operation("directory.undelete")
async def undelete(core: Any, who: str) -> Json:
    """Bring somebody back, with mailbox, password and rights. who: address, login name, or #number."""
    entry = await core.db.write(undeleting.undelete, who, core.directory.now())
    return {"dn": await core.directory.cache.dn(entry)}


@operation("directory.purge")
async def purge(core: Any, who: str) -> Json:
    """Take somebody away for good, before his time."""
    kept = await core.db.write(undeleting.purge, who, core.directory.now())
    return {"name": primary(kept)}
