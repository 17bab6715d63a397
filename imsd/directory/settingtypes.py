"""Settings as attributes: `ldap.size_limit` is `conf-ldap-size-limit`, of the class `confPage-ldap`.

Switches and numbers have their own syntaxes. A list of texts or of rows has a value for each (a row
is written as JSON); what has another form is JSON in one value. OIDs are made of the
names, so that they stay when settings come and go.
"""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from zlib import crc32

from pydantic import BaseModel

from imsd.directory.attributes import ARC, Definition, Visible, Writer
from imsd.settings import PAGES
from imsd.settings.page import Page
from imsd.settings.typed import from_json
from protocols.ldap.schema import AttributeType, Kind, ObjectClass

_SYNTAX: Final = "1.3.6.1.4.1.1466.115.121.1."
BASE_CLASS: Final = "confPage"


class Form(Enum):
    """How a setting's value is written as values of an attribute."""

    BOOLEAN = "7"
    INTEGER = "27"
    TEXT = "15"
    TEXTS = "15+"
    ROWS = "15++"
    JSON = "15#"

    @property
    def single(self) -> bool:
        return self not in (Form.TEXTS, Form.ROWS)


_RULES: Final = {
    "7": ("booleanMatch", "", ""),
    "27": ("integerMatch", "integerOrderingMatch", ""),
    "15": ("caseExactMatch", "caseExactOrderingMatch", "caseExactSubstringsMatch"),
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a page, and the attribute that shows it."""

    section: str
    field: str
    form: Form
    definition: Definition


def _plain(kind: Any) -> Any:
    """A type without annotations, without None."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            kinds = [each for each in get_args(kind) if each is not type(None)]
            if len(kinds) != 1:
                return kind
            kind = kinds[0]
        else:
            return kind


def _is_text(kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return all(isinstance(each, str) for each in get_args(kind))
    return kind is str


def form_of(kind: Any) -> Form:
    """The form of a field by its type."""
    kind = _plain(kind)
    if kind is bool:
        return Form.BOOLEAN
    if kind is int:
        return Form.INTEGER
    if _is_text(kind):
        return Form.TEXT
    if get_origin(kind) in (tuple, frozenset):
        inner = _plain(get_args(kind)[0])
        if _is_text(inner):
            return Form.TEXTS
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return Form.ROWS
    return Form.JSON


def _number(text: str) -> int:
    return crc32(text.encode())


def _attribute(page: type[Page], name: str) -> Setting:
    field = page.model_fields[name]
    key = f"{page.section}.{name}"
    form = form_of(field.annotation)
    syntax = form.value.rstrip("+#")
    equality, ordering, substrings = _RULES[syntax]
    standard = field.get_default(call_default_factory=True)
    said = "" if isinstance(standard, tuple | dict | None) else f". Default: {json.dumps(standard)}"
    made = AttributeType(
        oid=f"{ARC}.3.{_number(key)}",
        names=(f"conf-{key.replace('.', '-').replace('_', '-')}",),
        description=f"{key}: {field.description or ''}{said}",
        equality=equality,
        ordering=ordering,
        substrings=substrings,
        syntax=_SYNTAX + syntax,
        single=form.single,
    )
    return Setting(page.section, name, form, Definition(made, Visible.ADMINISTRATOR, Writer.ADMINISTRATOR))


SETTINGS: Final = tuple(_attribute(page, name) for page in PAGES for name in page.model_fields)
BY_KEY: Final = {each.definition.key: each for each in SETTINGS}


@cache
def of_section(section: str) -> tuple[Setting, ...]:
    return tuple(each for each in SETTINGS if each.section == section)


def class_name(section: str) -> str:
    return f"{BASE_CLASS}-{section.replace('.', '-').replace('_', '-')}"


def _class(page: type[Page]) -> ObjectClass:
    return ObjectClass(
        oid=f"{ARC}.4.{_number(page.section)}",
        names=(class_name(page.section),),
        description=" ".join((page.__doc__ or "").split()),
        sup=(BASE_CLASS,),
        kind=Kind.STRUCTURAL,
        may=tuple(each.definition.type.name for each in of_section(page.section)),
    )


CLASSES: Final = (
    ObjectClass(
        f"{ARC}.4.1", (BASE_CLASS,), "A property page of the server", False, ("top",), Kind.STRUCTURAL,
        ("cn",), ("description",),
    ),
    *map(_class, PAGES),
)  # fmt: skip


# Values ----------------------------------------------------------------------------------

HIDDEN: Final = "sealed:hidden"
"""What stands in the place of a secret; written back, the secret stays as it is."""


def shown(form: Form, value: Any) -> tuple[bytes, ...]:
    """Values of the attribute for a JSON value of the setting, its secrets left out."""
    value = _without_secrets(value)
    if value is None or value in ("", [], {}):
        return ()
    if form is Form.BOOLEAN:
        return (b"TRUE" if value else b"FALSE",)
    if form is Form.TEXTS:
        return tuple(str(each).encode() for each in value if each != "")
    if form is Form.ROWS:
        return tuple(_written(each) for each in value)
    return (str(value).encode() if form in (Form.INTEGER, Form.TEXT) else _written(value),)


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_secrets(each) for each in value]
    return HIDDEN if isinstance(value, str) and value.startswith("sealed:") else value


def read(form: Form, values: list[bytes], former: Any) -> Any:
    """The JSON value of the setting for values of the attribute. former: where hidden secrets are taken of.

    Raises ValueError for what cannot be read; whether it fits is for the page to say.
    """
    texts = [value.decode() for value in values]
    if form in (Form.TEXTS, Form.ROWS) and len(texts) == 1 and texts[0].lstrip().startswith("["):
        made = from_json(texts[0])
    elif form is Form.TEXTS:
        return texts
    elif form is Form.ROWS:
        made = [from_json(text) for text in texts]
    else:
        (text,) = texts
        if form is Form.BOOLEAN:
            return text.upper() == "TRUE"
        if form is Form.INTEGER:
            return int(text)
        if form is Form.TEXT:
            return text
        made = from_json(text)
    return _with_secrets(made, former)


def _with_secrets(value: Any, former: Any) -> Any:
    if value == HIDDEN:
        if not (isinstance(former, str) and former.startswith("sealed:")):
            raise ValueError("the password is to be given anew")
        return former
    if isinstance(value, dict):
        old = former if isinstance(former, dict) else {}
        return {key: _with_secrets(each, old.get(key)) for key, each in value.items()}
    if isinstance(value, list):
        rows = former if isinstance(former, list) else []
        return [_with_secrets(each, _same(each, rows)) for each in value]
    return value


def _same(row: Any, rows: list[Any]) -> Any:
    """The row that this one was, or was made of: equal but for secrets, else of the same first field."""
    for each in rows:
        if _without_secrets(each) == row:
            return each
    if isinstance(row, dict) and row:
        first = next(iter(row))
        for each in rows:
            if isinstance(each, dict) and each.get(first) == row[first]:
                return each
    return None
