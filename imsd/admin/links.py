"""Operations on links: what is up, what is due, and doing it by hand (ims_spec 3.8)."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.mail.links import Links, Standing
from imsd.settings.links import Link


def _links(core: Any) -> Links:
    links: Links = core.server.links
    return links


def _row(link: Link, standing: Standing) -> Json:
    return {
        "name": link.name,
        "state": standing.state.value,
        "held": standing.held,
        "elsewhere": standing.elsewhere,
        "last_up": standing.raised or None,
        "last_try": standing.tried or None,
        "next": standing.due.isoformat(sep=" ", timespec="minutes") if standing.due is not None else None,
        "retrieve": link.retrieve,
        "asked": standing.asked,
        "error": standing.error,
    }


@operation("link.status", needs_server=True)
async def status(core: Any) -> Json:
    """Every link: whether it is up, since when, and when it is due."""
    return [_row(link, standing) for link, standing in _links(core).status()]


@operation("link.up", needs_server=True)
async def up(core: Any, name: str) -> Json:
    """Bring a link up and keep it until it is taken down."""
    await _links(core).up(name)
    return await _one(core, name)


@operation("link.run", needs_server=True)
async def run(core: Any, name: str) -> Json:
    """Bring a link up once, as its schedule does."""
    await _links(core).up(name, hold=False)
    return await _one(core, name)


@operation("link.down", needs_server=True)
async def down(core: Any, name: str) -> Json:
    """Take a link down."""
    await _links(core).down(name)
    return await _one(core, name)


async def _one(core: Any, name: str) -> Json:
    rows = await status(core)
    return next(row for row in rows if row["name"].lower() == name.lower())
