"""Exchange's directory export and import as CSV, turned from and into LDIF.

The first line names the columns, by the names of Exchange's Administrator program or by those of
attributes. Obj-Class is mailbox, remote (a custom recipient), dl or public folder. Mode is Create,
Modify, Delete or Update (make it or change it), which is also what holds without a Mode. A field
may have several values with % between them; ~DEL takes a value away; an empty field says nothing.

Members and managers are put in behind everything else: a list may stand before its members.
"""

from __future__ import annotations

import csv
import io
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import click

from protocols.errors import BadSyntax
from protocols.ldap import dn, ldif

_GONE: Final = "~del"

_ATTRIBUTES: Final = {
    "first name": "givenName",
    "given-name": "givenName",
    "last name": "sn",
    "surname": "sn",
    "initials": "initials",
    "display name": "cn",
    "display-name": "cn",
    "simple display name": "name",
    "alias name": "uid",
    "mail-nickname": "uid",
    "primary windows nt account": "Assoc-Account",
    "home-server": "Home-MTA",
    "e-mail address": "Target-Address",
    "e-mail addresses": "proxyAddresses",
    "proxy-addresses": "proxyAddresses",
    "members": "member",
    "member": "member",
    "manager": "manager",
    "owner": "owner",
    "hide from ab": "Hide-From-Address-Book",
    "hide from address book": "Hide-From-Address-Book",
    "title": "title",
    "company": "Company",
    "department": "department",
    "office": "physicalDeliveryOfficeName",
    "assistant": "secretary",
    "address": "postalAddress",
    "city": "l",
    "state": "st",
    "postal code": "postalCode",
    "country": "co",
    "phone number": "telephoneNumber",
    "phone number 2": "Telephone-Office2",
    "fax number": "facsimileTelephoneNumber",
    "home phone number": "homePhone",
    "home phone number 2": "Telephone-Home2",
    "mobile number": "mobile",
    "pager number": "pager",
    "notes": "info",
    "comment": "info",
}
_CLASSES: Final = {
    "mailbox": ("inetOrgPerson", "Mailbox"),
    "remote": ("inetOrgPerson", "remote-address"),
    "dl": ("groupOfNames",),
    "public folder": ("public-folder",),
    "public-folder": ("public-folder",),
}
_REFERENCES: Final = frozenset({"member", "manager", "owner"})
_DELIMITERS: Final = (",", ";", "\t")
"""A comma, or what spreadsheet programs write in its place; the one that the first line has most of."""
_MODES: Final = frozenset({"create", "modify", "delete", "update"})

COLUMNS: Final = (
    "First name", "Last name", "Display Name", "Alias Name", "Directory Name", "Primary Windows NT Account",
    "Home-Server", "E-mail address", "E-mail Addresses", "Members", "Obj-Container", "Hide from AB", "Title",
    "Company", "Department", "Office", "Phone number", "Mobile number", "Fax number", "Home phone number",
    "Address", "City", "State", "Postal code", "Country", "Notes",
)  # fmt: skip


# Reading ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that is none, why, and what it says."""

    row: int
    reason: str
    fields: tuple[str, ...]


def as_ldif(source: Path, recipients: str) -> tuple[Path, list[Wrong]]:
    """The file as LDIF, beside it, and the rows that are not in it. recipients: the name of the
    container cn=Recipients.

    Raises click.ClickException for a file that is not such a table.
    """
    target = source.with_name(source.name + ".imsd-ldif")
    wrong: list[Wrong] = []
    try:
        with target.open("wb") as file:
            file.write(b"version: 1\n\n")
            file.writelines(_records(_rows(source, wrong), recipients, wrong))
    except click.ClickException:
        target.unlink()
        raise
    return target, wrong


def _text(octets: bytes) -> str:
    """What the Administrator program writes is Unicode (UTF-16) or ANSI; other programs write UTF-8."""
    if octets.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return octets.decode("utf-16", "replace")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _rows(source: Path, wrong: list[Wrong]) -> Iterator[tuple[int, dict[str, str]]]:
    """(row, fields by column in small letters)."""
    text = _text(source.read_bytes())
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(table, [])]
        if "obj-class" not in header or not {"directory name", "alias name", "common-name"} & set(header):
            raise click.ClickException(
                f"{source}: the first line must name the columns, Obj-Class and Directory Name among them"
            )
        for number, fields in enumerate(table, 2):
            if not any(field.strip() for field in fields):
                continue
            if len(fields) > len(header):
                wrong.append(Wrong(number, "more fields than columns", tuple(fields)))
                continue
            yield (
                number,
                {name: field.strip() for name, field in zip(header, fields, strict=False) if field.strip()},
            )
    except csv.Error as error:
        raise click.ClickException(f"{source}, row {table.line_num}: {error}") from None


def _records(
    rows: Iterable[tuple[int, dict[str, str]]], recipients: str, wrong: list[Wrong]
) -> Iterator[bytes]:
    referring: list[bytes] = []
    for number, row in rows:
        fields = tuple(row.values())
        comment = b"# row %d\n" % number
        kind, mode = (
            row.pop("obj-class").lower() if "obj-class" in row else "",
            row.pop("mode", "update").lower(),
        )
        classes = _CLASSES.get(kind)
        if classes is None or mode not in _MODES:
            what = f"Obj-Class {kind!r}" if classes is None else f"Mode {mode!r}"
            known = f"Obj-Class is {', '.join(_CLASSES)}; Mode is {', '.join(sorted(_MODES))}"
            wrong.append(Wrong(number, f"{what} is not known. {known}", fields))
            continue
        given_name = row.pop("directory name", "") or row.pop("common-name", "") or row.get("alias name", "")
        if not given_name:
            wrong.append(Wrong(number, "a Directory Name is wanted", fields))
            continue
        name = f"cn={dn.escape(given_name)},{_container(row.pop('obj-container', ''), recipients)}"
        if mode == "delete":
            yield comment + ldif.line("dn", name.encode()) + b"changetype: delete\n\n"
            continue
        attributes = {
            _ATTRIBUTES.get(column, column): _values(column, field) for column, field in row.items()
        }
        if kind != "remote":
            attributes.pop("Target-Address", None)
        references = {key: attributes.pop(key) for key in [*attributes] if key in _REFERENCES}
        yield comment + _record(name, mode, classes, attributes)
        if references:
            named = {
                key: [_reference(value, recipients) for value in values] for key, values in references.items()
            }
            referring.append(comment + _modification(name, named))
    yield from referring


def _values(column: str, field: str) -> list[str]:
    if field.lower() == _GONE:
        return []
    several = column in ("e-mail addresses", "proxy-addresses", "members", "member")
    return [value for value in (field.split("%") if several else [field]) if value]


def _record(name: str, mode: str, classes: tuple[str, ...], attributes: dict[str, list[str]]) -> bytes:
    if mode == "modify":
        return _modification(name, attributes)
    lines = [ldif.line("dn", name.encode())]
    if mode == "create":
        lines.append(b"changetype: add\n")
    lines.extend(ldif.line("objectClass", value.encode()) for value in classes)
    lines.extend(ldif.line(key, value.encode()) for key, values in attributes.items() for value in values)
    return b"".join(lines) + b"\n"


def _modification(name: str, attributes: dict[str, list[str]]) -> bytes:
    lines = [ldif.line("dn", name.encode()), b"changetype: modify\n"]
    for key, values in attributes.items():
        lines.append(b"replace: %s\n" % key.encode())
        lines.extend(ldif.line(key, value.encode()) for value in values)
        lines.append(b"-\n")
    return b"".join(lines) + b"\n"


def _container(given: str, recipients: str) -> str:
    """Recipients, Recipients/Sub or /o=Org/ou=Site/cn=Recipients/cn=Sub; the site is always ours."""
    levels = [
        level.partition("=")[2] or level
        for level in given.split("/")
        if level[:2].lower() not in ("o=", "ou")
    ]
    below = [level for level in levels if level]
    if below and below[0].lower() == "recipients":
        del below[0]
    return ",".join([*(f"cn={dn.escape(level)}" for level in reversed(below)), recipients])


def _reference(given: str, recipients: str) -> str:
    """A DN, or a container with a directory name behind it."""
    if "," in given and "=" in given:
        return given
    container, _, name = given.rpartition("/")
    name = name.partition("=")[2] or name
    return f"cn={dn.escape(name)},{_container(container, recipients)}"


# Writing ---------------------------------------------------------------------------------


class Writer:
    """Recipients of LDIF as rows."""

    def __init__(self, target: BinaryIO, recipients: str) -> None:
        self._text = io.TextIOWrapper(target, "utf-8", newline="", write_through=True)
        self._table = csv.writer(self._text)
        self._table.writerow(("Obj-Class", "Mode", *COLUMNS))
        self._base = dn.parse(recipients)

    def write(self, text: bytes) -> int:
        """Rows for the recipients among these entries; how many there were."""
        count = 0
        for chunk in ldif.chunks(text.splitlines(keepends=True)):
            record = ldif.record(chunk.text)
            if isinstance(record, ldif.Content):
                row = self._row(record)
                if row is not None:
                    self._table.writerow(row)
                    count += 1
        return count

    def _row(self, record: ldif.Content) -> list[str] | None:
        found = {
            name.lower(): [value.decode("utf-8", "replace") for value in values]
            for name, values in record.attributes
        }
        classes = {name.lower() for name in found.get("objectclass", ())}
        kind = (
            "remote" if "remote-address" in classes
            else "mailbox" if "mailbox" in classes
            else "dl" if "groupofnames" in classes
            else "public folder" if "public-folder" in classes
            else ""
        )  # fmt: skip
        place = self._place(record.dn)
        if not kind or place is None:
            return None
        container, name = place
        row = [kind, "Update"]
        for column in COLUMNS:
            key = _ATTRIBUTES.get(column.lower(), "").lower()
            if column == "Directory Name":
                row.append(name)
            elif column == "Obj-Container":
                row.append(container)
            elif column == "Display Name":
                row.append("".join(found.get("displayname", found.get("cn", []))[:1]))
            elif key in _REFERENCES:
                places = [self._place(value) for value in found.get(key, ())]
                row.append("%".join(f"{place[0]}/{place[1]}" for place in places if place is not None))
            else:
                row.append("%".join(found.get(key, ())))
        return row

    def _place(self, name: str) -> tuple[str, str] | None:
        """Container and directory name; None outside the container of recipients."""
        try:
            parsed = dn.parse(name)
        except BadSyntax:
            return None
        depth = len(self._base)
        if len(parsed) <= depth or dn.DN(parsed.rdns[-depth:]) != self._base:
            return None
        below = [rdn.value for rdn in parsed.rdns[1:-depth]]
        return "/".join(["Recipients", *reversed(below)]), parsed.rdn.value
