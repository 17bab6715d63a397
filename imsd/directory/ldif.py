"""The directory as LDIF (RFC 2849), written and read with ldaptor.

An export holds every entry after the one it is below, with its entryUUID, and without
passwords. An import adds entries first and the names they refer to afterwards, each in a unit
of its own, so that it may be stopped and run again. Records of changes are not read.

ldaptor's reader keeps the values of an attribute as a set; what has an order here (the display
name before the directory name) is exported as an attribute of its own as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from ldaptor.protocols.ldap.distinguishedname import InvalidRelativeDistinguishedName
from ldaptor.protocols.ldap.ldif import asLDIF
from ldaptor.protocols.ldap.ldifprotocol import LDIF, LDIFParseError

from imsd.directory.access import SERVER, Policy
from imsd.directory.attributes import Kept, Visible
from imsd.directory.directory import Directory
from imsd.directory.entry import Entry
from imsd.directory.update import Change, Modification
from imsd.directory.view import View
from imsd.directory.working import known
from imsd.errors import InvalidDN, InvalidSyntax, NoSuchEntry, Refusal, TryLater
from imsd.store import entries
from protocols.errors import BadSyntax
from protocols.ldap import dn

MOST: Final = 1 << 28
"""Octets of one line."""
_HEADER: Final = b"version: 1\n\n"

Record = tuple[str, dict[str, tuple[bytes, ...]]]


# Writing ---------------------------------------------------------------------------------


async def export(directory: Directory, suffix: int = 0) -> AsyncIterator[bytes]:
    """Pieces of LDIF. suffix: under which names are written, 0 for o=, 1 for dc=."""
    yield _HEADER
    here = await directory.cache.the_tree()
    waiting = [here.root]
    while waiting:
        above = waiting.pop()
        yield await _record(directory, await directory.cache.entry(above), suffix)
        after = 0
        while ids := await directory.db.read(entries.children, above, after, 200):
            after = ids[-1]
            waiting.extend(ids)


async def _record(directory: Directory, entry: Entry, suffix: int) -> bytes:
    view = View(directory.cache, Policy(), entry, Visible.ADMINISTRATOR, suffix)
    keys = [*entry.user, *entry.row.references]
    await view.prepare(keys)
    attributes = [(known(key).type.name.encode(), view.values(key) or ()) for key in keys]
    attributes.append((b"entryUUID", view.values("entryUUID") or ()))
    name = await directory.cache.dn(entry.id, suffix)
    written: bytes = asLDIF(name.encode(), attributes)
    return written


# Reading ---------------------------------------------------------------------------------


class _Reader(LDIF):  # type: ignore[misc]
    """ldaptor's reader, which calls back with each entry."""

    MAX_LENGTH = MOST

    def __init__(self) -> None:
        self.records: list[Record] = []

    def gotEntry(self, obj: Any) -> None:
        attributes = {key.decode("utf-8", "replace"): tuple(values) for key, values in obj.items()}
        self.records.append((obj.dn.getText(), attributes))


def parse(text: bytes) -> list[Record]:
    """The entries of LDIF. Raises InvalidSyntax."""
    reader = _Reader()
    lines = text.replace(b"\r\n", b"\n").lstrip()
    while lines.startswith(b"#"):
        lines = lines.partition(b"\n")[2].lstrip()
    if not lines:
        return []
    try:
        reader.dataReceived(lines + b"\n\n")
    except (LDIFParseError, InvalidRelativeDistinguishedName, ValueError, NotImplementedError) as error:
        raise InvalidSyntax(f"LDIF: {str(error)[:200]!a}") from None
    return reader.records


@dataclass(slots=True)
class Report:
    """What an import did, by DN; why not, where it did nothing."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


async def load(directory: Directory, text: bytes, replace: bool = False) -> Report:
    """Import. replace: whether what is there takes the attributes of the file, or stays.

    Raises InvalidSyntax for what is no LDIF, before anything is changed.
    """
    records = sorted(parse(text), key=lambda record: _depth(record[0]))
    report = Report()
    later: list[tuple[str, dict[str, tuple[bytes, ...]]]] = []
    for name, attributes in records:
        try:
            now, references, uuid = _split(attributes)
            fresh = await _add(directory, name, now, uuid, replace, report)
        except TryLater:
            raise
        except Refusal as refusal:
            report.refused[name] = refusal.text
            continue
        if references and (fresh or replace):
            later.append((name, references))
    for name, references in later:
        try:
            await directory.modify_entry(name, _replacing(references), SERVER)
        except TryLater:
            raise
        except Refusal as refusal:
            report.refused[name] = refusal.text
    return report


def _depth(name: str) -> int:
    try:
        return len(dn.parse(name))
    except BadSyntax:
        return 0


def _split(
    attributes: dict[str, tuple[bytes, ...]],
) -> tuple[dict[str, tuple[bytes, ...]], dict[str, tuple[bytes, ...]], bytes | None]:
    """Attributes to add with, references for later, and the entryUUID.

    Raises UndefinedAttribute, InvalidSyntax.
    """
    now, later = {}, {}
    uuid = None
    is_alias = b"alias" in {value.lower() for value in attributes.get("objectClass", ())}
    for name, values in attributes.items():
        definition = known(name)
        if definition.key == "entryuuid":
            try:
                uuid = UUID(values[0].decode("ascii", "replace")).bytes
            except ValueError:
                raise InvalidSyntax("entryUUID: no UUID") from None
        elif definition.kept is Kept.REFERENCE and not is_alias:
            later[name] = values
        elif not definition.type.operational and definition.kept not in (Kept.COMPUTED, Kept.BACKLINK):
            now[name] = values
    return now, later, uuid


async def _add(
    directory: Directory,
    name: str,
    attributes: dict[str, tuple[bytes, ...]],
    uuid: bytes | None,
    replace: bool,
    report: Report,
) -> bool:
    """Add the entry; whether it is new. One that is there is changed, or left."""
    try:
        await directory.cache.locate(name)
    except (NoSuchEntry, InvalidDN):
        await directory.add_entry(name, list(attributes.items()), SERVER, uuid)
        report.added.append(name)
        return True
    if replace:
        await directory.modify_entry(name, _replacing(attributes), SERVER)
        report.changed.append(name)
    return False


def _replacing(attributes: dict[str, tuple[bytes, ...]]) -> list[Modification]:
    return [Modification(Change.REPLACE, name, values) for name, values in attributes.items()]
