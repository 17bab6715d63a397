"""What store functions hold: a `Transaction` to read, a `Unit` to read and write.

Both work alike on sqlite3 and psycopg 3: each driver's connection executes text with
parameters and gives a cursor. A unit function may run more than once (rule 1): it has no
effect outside its unit, and what it did for others to know it says by `changed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from imsd.store import counters
from imsd.store.changes import Change, Scope
from imsd.store.sql import SQLITE, Bound, Form, Insertion, Params, Statement
from imsd.store.tables import now

Execute = Callable[[str, Bound], Any]
Row = tuple[Any, ...]


class Transaction:
    """One snapshot of the database."""

    __slots__ = ("_execute", "dialect")

    def __init__(self, dialect: int, execute: Execute) -> None:
        self.dialect = dialect
        self._execute = execute

    def _cursor(self, statement: Statement, params: Params) -> Any:
        form = statement.forms[self.dialect] or statement.compile(self.dialect)
        bound = params if form.prepare is None else form.prepare(params)
        return self._execute(form.text, bound)

    def all(self, statement: Statement, /, **params: Any) -> list[Row]:
        """Every row."""
        rows: list[Row] = self._cursor(statement, params).fetchall()
        return rows

    def one(self, statement: Statement, /, **params: Any) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._cursor(statement, params).fetchone()
        return row

    def value(self, statement: Statement, /, **params: Any) -> Any:
        """The first column of the first row, or None."""
        row = self._cursor(statement, params).fetchone()
        return None if row is None else row[0]

    def each(self, statement: Statement, /, **params: Any) -> Iterator[Row]:
        """The rows one by one; finish within the function (rule 6)."""
        return iter(self._cursor(statement, params))

    def now(self) -> int:
        """Microseconds since the epoch by the database's clock, which all nodes share (rule 24)."""
        if self.dialect == SQLITE:
            return now()
        (micros,) = self._execute(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT", {}
        ).fetchone()
        return int(micros)

    def counter(self, scope: Scope) -> int:
        """The scope's number in this snapshot."""
        return counters.read(self, scope)


class Unit(Transaction):
    """A piece of writing that happens wholly or not at all."""

    __slots__ = ("_many", "changes")

    def __init__(self, dialect: int, execute: Execute, many: Callable[[str, Iterable[Bound]], Any]) -> None:
        super().__init__(dialect, execute)
        self._many = many
        self.changes: list[Change] = []

    def run(self, statement: Statement, /, **params: Any) -> int:
        """Execute; the number of rows it touched."""
        count: int = self._cursor(statement, params).rowcount
        return count

    def many(self, statement: Statement, rows: Iterable[Params]) -> None:
        """Execute once for each mapping of parameters."""
        form = statement.forms[self.dialect] or statement.compile(self.dialect)
        self._many(form.text, rows if form.prepare is None else map(form.prepare, rows))

    def insert(self, statement: Statement, /, **params: Any) -> int:
        """Insert one row; its id, for tables whose key the database numbers, 0 where it was there."""
        if self.dialect == SQLITE:
            done = self._cursor(statement, params)
            # After ON CONFLICT DO NOTHING, lastrowid is still that of the row before.
            return done.lastrowid if done.rowcount else 0
        return self._returned(statement.returning_id(), params)

    def _returned(self, form: Form, params: Any) -> int:
        cursor = self._execute(form.text, params if form.prepare is None else form.prepare(params))
        if cursor.description is None:
            return 0
        row = cursor.fetchone()
        return 0 if row is None else int(row[0])

    def put(self, statement: Insertion, row: Sequence[Any]) -> int:
        """Insert one row given by position; its id, as `insert` gives it."""
        if self.dialect == SQLITE:
            form = statement.forms[SQLITE] or statement.compile(SQLITE)
            done = self._execute(form.text, row)
            return done.lastrowid if done.rowcount else 0
        return self._returned(statement.returning_id(), row)

    def put_all(self, statement: Insertion, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows given by position."""
        form = statement.forms[self.dialect] or statement.compile(self.dialect)
        self._many(form.text, rows if form.prepare is None else map(form.prepare, rows))

    def changed(self, change: Change) -> None:
        """Publish this after the commit."""
        self.changes.append(change)

    def advance(self, scope: Scope) -> tuple[int, int]:
        """Move the scope's counter by one; (previous, next) for the change."""
        return counters.advance(self, scope)
