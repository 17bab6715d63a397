"""The index beside SQLite: HOME/data/search.db, trigrams of FTS5 without positions.

Tables come in shards of `SHARD` blob ids, each with a header and a body table, which hold no
text and no sizes (content='', columnsize=0, detail=none: 0.6 to 1.2 octets to an octet of
text). A shard of which most is dead is copied from the store into tables of the next
generation, and those take its place in one transaction.

The file is synced at checkpoints only: a power failure may take the last documents away, and
`upto` with them, which is one transaction. The log of what was written beside it is a few MiB while
there is work, and is emptied when there is none.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from imsd.store.search.filling import Document
from imsd.store.search.grams import grams
from imsd.store.search.matches import NONE, Matches, State, Unusable

FORMAT: Final = 2
"""Of the tables, and of the rules by which texts are made (`grams`, `texts`, decoders)."""
APPLICATION_ID: Final = 0x494D5353
SHARD: Final = 1 << 16
_HASH = 16 << 20
_MERGE = 8
_CHECKPOINT_PAGES = 1000
_LOG_OCTETS = 4 << 20

_SCHEMA = (
    "CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE partial (blob INTEGER PRIMARY KEY)",
    "CREATE TABLE shard (number INTEGER PRIMARY KEY, generation INTEGER NOT NULL, "
    "documents INTEGER NOT NULL)",
)


def path_of(home: Path) -> Path:
    return home / "data" / "search.db"


def remove(home: Path) -> None:
    """Forget the index; nobody may have it open."""
    path = path_of(home)
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16384")
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit={_LOG_OCTETS}")
    return connection


def _state(connection: sqlite3.Connection, name: str) -> Any:
    row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


@contextmanager
def _guarded() -> Iterator[None]:
    """An SQLite that fails for good is an index that is unusable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise
        raise Unusable(str(error)) from error


class Writer:
    """The index as its one writer holds it. Raises Unusable, and sqlite3.Error where waiting may help."""

    def __init__(self, home: Path, incarnation: str) -> None:
        with _guarded():
            self._raw = _connect(path_of(home))
            self._execute: Callable[..., sqlite3.Cursor] = self._raw.execute
            tables = self._execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                self._execute("PRAGMA auto_vacuum=INCREMENTAL")
                self._execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._execute("PRAGMA journal_mode=WAL")
            self._execute("BEGIN IMMEDIATE")
            if not tables or self._is_another(incarnation):
                self._make(incarnation)
            self._execute("COMMIT")
            self.upto: int = _state(self._raw, "upto")

    def _is_another(self, incarnation: str) -> bool:
        (number,) = self._execute("PRAGMA user_version").fetchone()
        return bool(number != FORMAT or _state(self._raw, "incarnation") != incarnation)

    def _make(self, incarnation: str) -> None:
        kept = "type = 'table' AND name NOT LIKE 'sqlite%'"
        # The tables that an FTS5 table consists of go with it.
        made = self._execute(f"SELECT name FROM sqlite_master WHERE {kept} ORDER BY sql NOT LIKE '%fts5%'")
        for (name,) in made.fetchall():
            self._execute(f'DROP TABLE IF EXISTS "{name}"')
        for statement in _SCHEMA:
            self._execute(statement)
        self._execute("INSERT INTO state VALUES ('incarnation', ?), ('upto', 0)", (incarnation,))
        self._execute(f"PRAGMA user_version={FORMAT}")

    def add(self, documents: list[Document], base: int, upto: int) -> bool:
        """Documents above `base`, the id up to which all is indexed, which becomes `upto`.
        False where it is another by now: there is another writer."""
        with _guarded():
            self._execute("BEGIN IMMEDIATE")
            try:
                found = _state(self._raw, "upto")
                if found == base:
                    self._add(documents)
                    self._execute("UPDATE state SET value = ? WHERE name = 'upto'", (upto,))
                self._execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        self.upto = upto if found == base else found
        return bool(found == base)

    def _add(self, documents: list[Document]) -> None:
        at = 0
        while at < len(documents):
            number = documents[at].blob // SHARD
            some = [one for one in documents[at:] if one.blob // SHARD == number]
            row = self._execute("SELECT generation FROM shard WHERE number = ?", (number,)).fetchone()
            if row is None:
                self._make_shard(number, 0)
                self._execute("INSERT INTO shard VALUES (?, 0, 0)", (number,))
            self._fill(number, 0 if row is None else row[0], some)
            self._execute("UPDATE shard SET documents = documents + ? WHERE number = ?", (len(some), number))
            at += len(some)

    def _make_shard(self, number: int, generation: int) -> None:
        for kind in ("head", "body"):
            name = f"{kind}_{number}_{generation}"
            self._execute(
                f"CREATE VIRTUAL TABLE {name} USING fts5(text, content='', columnsize=0, detail=none, "
                "tokenize='trigram case_sensitive 1')"
            )
            self._execute(f"INSERT INTO {name}({name}, rank) VALUES ('hashsize', {_HASH})")
            self._execute(f"INSERT INTO {name}({name}, rank) VALUES ('automerge', {_MERGE})")

    def _fill(self, number: int, generation: int, documents: Sequence[Document]) -> None:
        many = self._raw.executemany
        for kind, texts in (
            ("head", [(one.blob, one.text.head) for one in documents]),
            ("body", [(one.blob, one.text.body) for one in documents]),
        ):
            many(f"INSERT INTO {kind}_{number}_{generation}(rowid, text) VALUES (?, ?)", texts)
        many(
            "INSERT OR IGNORE INTO partial VALUES (?)", [(one.blob,) for one in documents if one.text.partial]
        )

    def rest(self) -> None:
        """Everything is indexed, for now: the log is emptied, where nobody reads."""
        try:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError:
            pass  # Another time.

    # Renewing --------------------------------------------------------------------------

    def stale(self, alive: Callable[[int, int], int]) -> int | None:
        """A full shard of which half or more is dead. alive(after, upto): how many blobs live."""
        for number, count in self._execute("SELECT number, documents FROM shard").fetchall():
            last = (number + 1) * SHARD - 1
            if last <= self.upto and alive(number * SHARD - 1, last) <= count // 2:
                return int(number)
        return None

    def renew(self, number: int, documents: Callable[[int, int], tuple[list[Document], int]]) -> None:
        """Make a shard anew from what lives. documents(after, upto): `filling.documents`."""
        with _guarded():
            (old,) = self._execute("SELECT generation FROM shard WHERE number = ?", (number,)).fetchone()
            new, after, last, count = old + 1, number * SHARD - 1, (number + 1) * SHARD - 1, 0
            self._drop_shard(number, new)
            self._make_shard(number, new)
            while after < last:
                some, after = documents(after, last)
                self._execute("BEGIN IMMEDIATE")
                self._fill(number, new, some)
                self._execute("COMMIT")
                count += len(some)
            self._execute("BEGIN IMMEDIATE")
            if count:
                self._execute(
                    "UPDATE shard SET generation = ?, documents = ? WHERE number = ?", (new, count, number)
                )
            else:
                self._execute("DELETE FROM shard WHERE number = ?", (number,))
                self._execute("DELETE FROM partial WHERE blob BETWEEN ? AND ?", (number * SHARD, last))
                self._drop_shard(number, new)
            self._drop_shard(number, old)
            self._execute("COMMIT")
            self._execute("PRAGMA incremental_vacuum").fetchall()

    def _drop_shard(self, number: int, generation: int) -> None:
        for kind in ("head", "body"):
            self._execute(f"DROP TABLE IF EXISTS {kind}_{number}_{generation}")

    def _roll_back(self) -> None:
        if self._raw.in_transaction:
            try:
                self._execute("ROLLBACK")
            except sqlite3.Error:
                pass  # SQLite rolls back by itself where ROLLBACK fails.

    def close(self) -> None:
        self._raw.close()


class Reader:
    """The index as the server asks it, from any thread, one question at a time."""

    def __init__(self, home: Path) -> None:
        self._path = path_of(home)
        self.incarnation = ""
        self._raw: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self.unusable = ""

    def _open(self) -> sqlite3.Connection | None:
        if self._raw is None and self._path.exists():
            self._raw = _connect(self._path)
            self._raw.execute("PRAGMA query_only=1")
        return self._raw

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """The index as it is now, where there is one of this store; None else."""
        with self._lock:
            try:
                raw = self._open()
                if raw is None:
                    yield None
                    return
                raw.execute("BEGIN")
                try:
                    (number,) = raw.execute("PRAGMA user_version").fetchone()
                    same = number == FORMAT and _state(raw, "incarnation") == self.incarnation
                    yield raw if same and self.incarnation else None
                finally:
                    if raw.in_transaction:
                        raw.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                # What cannot be asked now is read; what cannot be read at all is made anew.
                code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
                if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_SCHEMA):
                    self.unusable = str(error)
                raise Unusable(str(error)) from error

    def match(self, heads: Sequence[str], bodies: Sequence[str], low: int, high: int) -> Matches:
        """Of the blobs from low to high. Blocks."""
        try:
            with self._snapshot() as raw:
                if raw is None:
                    return NONE
                shards = raw.execute(
                    "SELECT number, generation FROM shard WHERE number BETWEEN ? AND ? ORDER BY number",
                    (low // SHARD, high // SHARD),
                ).fetchall()
                partial = raw.execute("SELECT blob FROM partial WHERE blob BETWEEN ? AND ?", (low, high))
                return Matches(
                    _state(raw, "upto"),
                    frozenset(blob for (blob,) in partial.fetchall()),
                    self._each(raw, "head", heads, shards, low, high),
                    self._each(raw, "body", bodies, shards, low, high),
                )
        except Unusable:
            return NONE

    def _each(
        self,
        raw: sqlite3.Connection,
        kind: str,
        texts: Sequence[str],
        shards: Sequence[tuple[int, int]],
        low: int,
        high: int,
    ) -> dict[str, frozenset[int]]:
        found: dict[str, frozenset[int]] = {}
        for text in texts:
            wanted = grams(text)
            if not wanted:
                continue
            asked = " AND ".join('"' + gram.replace('"', '""') + '"' for gram in wanted)
            blobs: set[int] = set()
            for number, generation in shards:
                name = f"{kind}_{number}_{generation}"
                rows = raw.execute(
                    f"SELECT rowid FROM {name} WHERE {name} MATCH ? AND rowid BETWEEN ? AND ?",
                    (asked, low, high),
                )
                blobs.update([blob for (blob,) in rows.fetchall()])
            found[text] = frozenset(blobs)
        return found

    def state(self) -> State:
        """How far it is. Blocks."""
        try:
            with self._snapshot() as raw:
                if raw is None:
                    return State()
                (count,) = raw.execute("SELECT coalesce(sum(documents), 0) FROM shard").fetchone()
                (partial,) = raw.execute("SELECT count(*) FROM partial").fetchone()
                return State(_state(raw, "upto"), count, partial, self._octets())
        except Unusable:
            return State()

    def _octets(self) -> int:
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def check(self) -> list[str]:
        """What is wrong with it; nothing when it is sound, or is not there. Blocks."""
        found: list[str] = []
        try:
            with self._snapshot() as raw:
                if raw is None:
                    return []
                found += [text for (text,) in raw.execute("PRAGMA quick_check(5)") if text != "ok"]
                for number, generation in raw.execute("SELECT number, generation FROM shard").fetchall():
                    for kind in ("head", "body"):
                        found += self._check_table(raw, f"{kind}_{number}_{generation}")
        except Unusable as error:
            found.append(str(error))
        return found

    def _check_table(self, raw: sqlite3.Connection, name: str) -> list[str]:
        try:
            # It writes nothing, but is an INSERT.
            raw.execute("PRAGMA query_only=0")
            raw.execute(f"INSERT INTO {name}({name}) VALUES ('integrity-check')")
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return []
            return [f"{name}: {error}"]
        except sqlite3.DatabaseError as error:
            return [f"{name}: {error}"]
        finally:
            raw.execute("PRAGMA query_only=1")
        return []

    def close(self) -> None:
        with self._lock:
            if self._raw is not None:
                self._raw.close()
                self._raw = None

    def forget(self) -> None:
        """Remove the file; the writer is not running."""
        self.close()
        remove(self._path.parent.parent)
        self.unusable = ""
