"""A dry run of an import: what would become of each record, though none before it is put in.

The server looks at records one by one and keeps nothing. What a record of the file refers to (the entry it
stands below, members, managers, the entry that a change is of) may be there by an earlier record only. So it
is remembered which names the file makes: nobody who refers to one of them is refused because it is not there.
Whether such a record is right otherwise cannot be told, where the entry is needed for that: it is *unjudged*.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from imsd.ctl.recordfile import ENTRIES, RecordFile, Standing
from protocols.errors import BadSyntax
from protocols.ldap import dn, ldif

UNJUDGED: Final = "unjudged"
_NO_ENTRY: Final = "names no entry here"
_TAKEN: Final = "The address or alias is taken"


def rehearse(
    records: RecordFile, ask: Callable[..., Any], standing: Standing, advance: Callable[[int], object]
) -> None:
    """ask: an operation by its name, `directory.import` or `directory.unresolved`. Raises what it does."""
    made: set[str] = set()
    owners: dict[str, str] = {}
    for piece in records.pieces(range(len(records))):
        numbers = list(piece)
        texts = [text.decode("latin-1") for text in piece.values()]
        answer = ask("directory.import", records=texts, step=ENTRIES, repeated=False)
        refused = {at: (kind, reason) for at, kind, reason in answer["refused"]}
        counts = dict(answer["counts"])
        for at, number in enumerate(numbers):
            record = _record(piece[number])
            if record is None or (at in refused and not _follows(record, refused[at], made)):
                continue
            if at not in refused and (given := _addresses(record)) is not None:
                own = _normal(record.dn)
                if any(owners.setdefault(address, own) != own for address in given):
                    # Of the same file: what the server has, it has said itself.
                    refused[at] = ("ConstraintViolation", _TAKEN)
                    counts[next(name for name in ("added", "changed", "there") if counts.get(name))] -= 1
                    counts["refused"] += 1
                    continue
            if refused.pop(at, None):
                counts["refused"] -= 1
                counts[UNJUDGED] = counts.get(UNJUDGED, 0) + 1
            made.add(_becomes(record))
        standing.take(
            {
                "step": ENTRIES,
                "next": numbers[-1] + 1,
                "counts": counts,
                "later": [numbers[at] for at in answer["later"]],
                "refused": [[numbers[at], *why] for at, why in refused.items()],
            }
        )
        advance(len(piece))
    for piece in records.pieces(sorted(standing.later)):
        numbers = list(piece)
        texts = [text.decode("latin-1") for text in piece.values()]
        wrong: dict[int, str] = {}
        for at, attribute, name in ask("directory.unresolved", records=texts):
            if _normal(name) not in made:
                wrong.setdefault(numbers[at], attribute)
        for number, attribute in wrong.items():
            standing.refused.append((number, "ConstraintViolation", f"{attribute}: {_NO_ENTRY}"))


def _record(text: bytes) -> ldif.Record | None:
    try:
        return ldif.record(text)
    except BadSyntax:
        return None


def _addresses(record: ldif.Record) -> set[str] | None:
    """The Internet addresses that a record gives; None of one that adds nothing."""
    if not isinstance(record, (ldif.Content, ldif.Add)):
        return None
    found = set()
    for name, values in record.attributes:
        sign = {"mail": "", "rfc822mailbox": "", "othermailbox": "smtp$", "proxyaddresses": "smtp:"}.get(
            name.lower()
        )
        for value in values if sign is not None else ():
            text = value.decode("utf-8", "replace").casefold()
            if text.startswith(sign or ""):
                found.add(text[len(sign or "") :])
    return found


def _follows(record: ldif.Record, refused: tuple[str, str], made: set[str]) -> bool:
    """Whether it may have been refused only because no record before it is put in."""
    kind, reason = refused
    if kind == "NoSuchEntry":
        superior = record.superior if isinstance(record, ldif.Rename) else None
        return any(_below(name, made) for name in (record.dn, superior) if name)
    if not reason.endswith(_NO_ENTRY):
        return False
    given = (
        [value for _, values in record.attributes for value in values]
        if isinstance(record, ldif.Add)
        else [value for _, _, values in record.changes for value in values]
        if isinstance(record, ldif.Modify)
        else []
    )
    return any(b"=" in value and _normal(value.decode("utf-8", "replace")) in made for value in given)


def _below(name: str, made: set[str]) -> bool:
    """Whether a name, or one that it is below, is made by the file."""
    try:
        rdns = dn.parse(name).rdns
    except BadSyntax:
        return False
    return any(dn.DN(rdns[at:]).normal in made for at in range(len(rdns)))


def _becomes(record: ldif.Record) -> str:
    """What an entry is called once the record is put in."""
    if not isinstance(record, ldif.Rename):
        return _normal(record.dn)
    above = record.superior
    if above is None:
        try:
            above = str(dn.parse(record.dn).parent)
        except BadSyntax:
            return ""
    return _normal(f"{record.new_rdn},{above}")


def _normal(name: str) -> str:
    try:
        return dn.parse(name).normal
    except BadSyntax:
        return ""
