"""Operations on the directory as a whole."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.directory import ldif


@operation("directory.export")
async def export(core: Any, domain_names: bool = False) -> Json:
    """Every entry as LDIF, without passwords; domain_names: under dc= instead of o=."""
    pieces = [piece async for piece in ldif.export(core.directory, int(domain_names))]
    return b"".join(pieces).decode()


@operation("directory.import")
async def import_(core: Any, text: str, replace: bool = False) -> Json:
    """Add the entries of LDIF; replace: those that are there take the file's attributes."""
    report = await ldif.load(core.directory, text.encode(), replace)
    return {"added": report.added, "changed": report.changed, "refused": report.refused}
