"""Operations about limits: who is at one, and who may begin anew."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.errors import NoSuchEntry


@operation("limits.list", needs_server=True)
async def list_(core: Any) -> Json:
    """Hosts, networks, accounts and mailboxes that are at a limit."""
    return [*core.limits.limited(), *await core.delivery.sending.limited()]


@operation("limits.clear", needs_server=True)
async def clear(core: Any, who: str) -> Json:
    """Let an address, a mailbox or @domain begin anew."""
    if not core.limits.forget(who) | await core.delivery.sending.forget(who):
        raise NoSuchEntry(f"Nothing was counted of {who}")
    return who
