"""Statements: an SQLAlchemy Core construct, compiled once for each driver.

`sql(select(...))` costs nothing at import; the first use on a database compiles it to that
driver's text, and every later use hands text and parameters straight to the driver.

    BY_NAME = sql(select(mailbox.c.id).where(mailbox.c.name == bindparam("name")))
    tx.value(BY_NAME, name="INBOX")

`among(column, "ids")` is membership in a list bound at run time. `insert` is an INSERT that
knows ON CONFLICT on both databases (`.on_conflict_do_update`, `.on_conflict_do_nothing`);
`insert_row(table, "a", "b")` is the plain INSERT of those columns; `insertion` is one whose rows are given by
position, for what every message writes: a name for each value costs as much as SQLite itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import ARRAY, Boolean, Integer, LargeBinary, Table, Text, any_, bindparam, not_, type_coerce
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import insert as insert
from sqlalchemy.dialects.postgresql.psycopg import dialect as postgresql_dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

SQLITE: Final = 0
POSTGRESQL: Final = 1

# sqlite3 binds by position in half the time: by name it looks each name up for each call.
DIALECTS: Final = (sqlite.dialect(paramstyle="qmark"), postgresql_dialect())  # type: ignore[no-untyped-call]

Params = Mapping[str, Any]


class among(FunctionElement[bool]):  # named like a function, because it is used as one
    """column IN (the list bound to `name`); bytes columns take bytes, others numbers or text."""

    type = Boolean()
    name = "among"
    inherit_cache = False

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.list_name = name
        self.of_bytes = isinstance(column.type, LargeBinary)
        super().__init__(column)

    def self_group(self, against: Any = None) -> Any:
        # Core would write "(...) = 1" for a truth on SQLite, which hides it from indexes.
        return self

    def _negate(self) -> Any:
        return not_(type_coerce(self, Integer()))


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    listed = bindparam(element.list_name, type_=Text())
    value = "unhexed(value)" if element.of_bytes else "value"
    return (
        f"({compiler.process(element.column, **kw)} IN "
        f"(SELECT {value} FROM json_each({compiler.process(listed, **kw)})))"
    )


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    listed = bindparam(element.list_name, type_=ARRAY(element.column.type))
    return f"({compiler.process(element.column == any_(listed), **kw)})"


Bound = Mapping[str, Any] | Sequence[Any]
"""Parameters as a driver takes them: by name for PostgreSQL, by position for SQLite."""


class Form:
    """A statement's text for one driver, and what its parameters need before they are bound."""

    __slots__ = ("prepare", "text")

    def __init__(self, text: str, prepare: Callable[[Any], Bound] | None) -> None:
        self.text = text
        self.prepare = prepare


class Statement:
    """A Core construct with its compiled forms; `forms[dialect]` is None until first used."""

    __slots__ = ("_returned", "construct", "forms")

    def __init__(self, construct: ClauseElement) -> None:
        self.construct = construct
        self.forms: list[Form | None] = [None, None]
        self._returned: Form | None = None

    def compile(self, dialect: int) -> Form:
        """Compile for one dialect, and remember it."""
        form = self.forms[dialect] = _compile(self.construct, dialect)
        return form

    def returning_id(self) -> Form:
        """PostgreSQL's form of an INSERT that gives the new row's id."""
        if self._returned is None:
            construct = self.construct
            assert isinstance(construct, Insert), "insert() wants an INSERT"
            table = construct.table
            assert isinstance(table, Table)
            key = table.autoincrement_column
            if key is not None and not construct._returning:
                construct = construct.returning(key)
            self._returned = _compile(construct, POSTGRESQL)
        return self._returned


class Insertion(Statement):
    """An INSERT of rows given by position, in the order of `names`: what `Unit.put` takes."""

    __slots__ = ("names",)

    def __init__(self, construct: Insert, names: Sequence[str]) -> None:
        super().__init__(construct)
        self.names = tuple(names)

    def compile(self, dialect: int) -> Form:
        text = super().compile(dialect).text
        form = self.forms[dialect] = Form(text, None if dialect == SQLITE else self._named)
        return form

    def returning_id(self) -> Form:
        if self._returned is None:
            self._returned = Form(super().returning_id().text, self._named)
        return self._returned

    def _named(self, row: Any) -> Params:
        return dict(zip(self.names, row, strict=True))


def _compile(construct: ClauseElement, dialect: int) -> Form:
    compiled = construct.compile(dialect=DIALECTS[dialect])
    assert isinstance(compiled, SQLCompiler)
    # Values written into the construct are parameters too; the compiler named them.
    required = {name for bind, name in compiled.bind_names.items() if bind.required}
    state = compiled.construct_expanded_state(dict.fromkeys(required))
    text = state.statement
    defaults = {name: value for name, value in state.parameters.items() if name not in required}
    encoders: dict[str, Callable[[Sequence[Any]], Any]] = {}
    if dialect == SQLITE:
        for element in _lists(construct):
            encoders[element.list_name] = _hex_list if element.of_bytes else _json_list
    else:
        encoders = {element.list_name: list for element in _lists(construct)}
    place = _places(state.positiontup or ()) if dialect == SQLITE else None
    if not defaults and not encoders:
        return Form(text, place)

    def prepare(params: Params) -> Bound:
        merged = {**defaults, **params}
        for name, encode in encoders.items():
            merged[name] = encode(merged[name])
        return merged if place is None else place(merged)

    return Form(text, prepare)


def _places(names: Sequence[str]) -> Callable[[Params], Sequence[Any]]:
    """What puts named values in the order of a statement's question marks."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda params: [params[name] for name in names]


def _lists(construct: ClauseElement) -> list[among]:
    return [element for element in iterate(construct) if isinstance(element, among)]


def _json_list(values: Sequence[Any]) -> str:
    return json.dumps(list(values))


def _hex_list(values: Sequence[bytes]) -> str:
    return json.dumps([bytes(value).hex() for value in values])


def sql(construct: ClauseElement) -> Statement:
    """Wrap a construct as a statement that is compiled at first use."""
    return Statement(construct)


def insert_row(table: Table, *columns: str) -> Statement:
    """INSERT of the named columns (all when none is named), each bound by its own name."""
    names = columns or tuple(table.c.keys())
    return Statement(insert(table).values({name: bindparam(name) for name in names}))


def insertion(table: Table, *columns: str, known: str = "") -> Insertion:
    """INSERT of rows by position, of the named columns in the table's order, or of all. known: a unique
    column; a row whose value is there already is left out."""
    names = [column.name for column in table.c if column.name in columns or not columns]
    assert not columns or names == list(columns), "columns in the order of the table"
    construct = insert(table).values({name: bindparam(name) for name in names})
    if known:
        construct = construct.on_conflict_do_nothing(index_elements=[known])
    return Insertion(construct, names)
