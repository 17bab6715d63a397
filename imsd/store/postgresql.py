"""PostgreSQL: its connections, what its errors mean, and how nodes tell each other of changes.

1. A unit sees one snapshot (REPEATABLE READ). Two units that change the same scope collide on
   its counter row: the later one gets 40001 and runs again, alone (rule 2 makes that enough;
   what a unit only reads in another scope may be a moment old).
2. Several connections write; units are shared out by account, so that one account's do not
   collide. Groups are short, because their locks are held until COMMIT (rule 3).
3. lock_timeout and statement_timeout bound every wait; whoever meets them gets TryLater.
4. A COMMIT whose answer was lost is TryLater. A connection lost before COMMIT is opened again
   and the group runs again.
5. After a COMMIT the names of the changed scopes are sent by NOTIFY from a connection of their
   own: a hint. Each node also compares the counters of the scopes it watches.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.types.numeric import NumericBinaryLoader, NumericLoader

from imsd.errors import StoreUnavailable
from imsd.store.changes import AccountScope, MailboxScope, NamedScope, Scope
from imsd.store.ids import AccountId, MailboxId
from imsd.store.sql import POSTGRESQL, Bound
from imsd.store.transaction import Transaction, Unit
from imsd.store.writer import Fault

CHANNEL = "imsd"
_OPTIONS = (
    "-c lock_timeout=2000 -c statement_timeout=20000 "
    "-c idle_in_transaction_session_timeout=60000 -c client_encoding=UTF8"
)
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
_LOST = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)
_IN_TRANSACTION = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


class _Whole(NumericLoader):
    """sum() of whole numbers is numeric there; here it is a whole number."""

    def load(self, data: Any) -> Any:
        return _whole(super().load(data))


class _WholeBinary(NumericBinaryLoader):
    def load(self, data: Any) -> Any:
        return _whole(super().load(data))


def _whole(value: Any) -> Any:
    return int(value) if value.is_finite() and value == int(value) else value


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection with our settings; transactions are begun and ended in so many words."""
    try:
        connection = psycopg.connect(
            url, autocommit=True, options=_OPTIONS, connect_timeout=10, application_name="imsd"
        )
    except psycopg.OperationalError as error:
        raise StoreUnavailable from error
    connection.adapters.register_loader("numeric", _Whole)
    connection.adapters.register_loader("numeric", _WholeBinary)
    return connection


def connect_plainly(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection as SQLAlchemy expects it, for migrations, which may take long."""
    try:
        return psycopg.connect(url, connect_timeout=10, application_name="imsd-migrate")
    except psycopg.Error as error:  # an URL that libpq cannot read, too
        raise StoreUnavailable from error


def fault(error: Exception) -> Fault | None:
    """What an error means; None when it is not the database's."""
    if isinstance(error, StoreUnavailable):
        return Fault.BROKEN
    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, _AGAIN):
        return Fault.AGAIN
    if isinstance(error, errors.UniqueViolation):
        return Fault.TAKEN
    if isinstance(error, errors.DiskFull):
        return Fault.FULL
    if isinstance(error, errors.QueryCanceled):
        return Fault.BUSY
    if isinstance(error, errors.OutOfMemory | errors.TooManyConnections):
        return Fault.BROKEN
    # Without a state it is libpq that failed: the connection is gone.
    if isinstance(error, _LOST) or (isinstance(error, psycopg.OperationalError) and error.sqlstate is None):
        return Fault.AGAIN
    return None


class _Connection:
    """A connection that is opened again after it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.raw = connect(url)

    def _ready(self) -> None:
        if self.raw.closed or self.raw.broken:
            self.raw.close()
            self.raw = connect(self._url)

    def _execute(self, text: str, params: Bound | None = None) -> Any:
        # Statements come from imsd.store.sql; psycopg wants literal text to be sure of that.
        return self.raw.execute(text, params, binary=True)

    def in_transaction(self) -> bool:
        return not self.raw.closed and self.raw.info.transaction_status in _IN_TRANSACTION

    def _roll_back(self) -> None:
        if self.in_transaction():
            try:
                self._execute("ROLLBACK")
            except psycopg.Error:
                self.raw.close()

    def fault(self, error: Exception) -> Fault | None:
        return fault(error)

    def close(self) -> None:
        self.raw.close()


class WriteConnection(_Connection):
    """A writer's connection."""

    def unit(self) -> Unit:
        return Unit(POSTGRESQL, self._execute, self._many)

    def _many(self, text: str, rows: Iterable[Bound]) -> None:
        with self.raw.cursor() as cursor:
            cursor.executemany(text, rows)

    def begin(self) -> None:
        self._ready()
        self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def savepoint(self) -> None:
        self._execute("SAVEPOINT u")

    def release(self) -> None:
        self._execute("RELEASE SAVEPOINT u")

    def rollback_to(self) -> None:
        self._execute("ROLLBACK TO SAVEPOINT u")
        self._execute("RELEASE SAVEPOINT u")

    def commit(self) -> None:
        self._execute("COMMIT")

    def rollback(self) -> None:
        self._roll_back()

    def commit_undone(self, error: Exception) -> bool:
        # Only an answer of the server, that it did not, is certain.
        return isinstance(error, psycopg.Error) and error.sqlstate is not None


class ReadConnection(_Connection):
    """A reader's connection; each use is one snapshot."""

    def begin(self) -> Transaction:
        self._ready()
        try:
            self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except psycopg.OperationalError:
            # Lost while it was idle: that is found out only now.
            self.raw.close()
            self._ready()
            self._execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return Transaction(POSTGRESQL, self._execute)

    def end(self) -> None:
        if self.in_transaction():
            try:
                self._execute("COMMIT")
            except psycopg.Error:
                self.raw.close()


# Between nodes ---------------------------------------------------------------------------


def pack_scopes(scopes: Iterable[Scope]) -> list[list[Any]]:
    """Scopes as JSON values."""
    packed: list[list[Any]] = []
    for scope in scopes:
        if isinstance(scope, MailboxScope):
            packed.append(["m", scope.account, scope.mailbox])
        elif isinstance(scope, AccountScope):
            packed.append(["a", scope.account])
        else:
            packed.append(["n", scope.name])
    return packed


def unpack_scopes(packed: Iterable[list[Any]]) -> list[Scope]:
    """What `pack_scopes` made."""
    scopes: list[Scope] = []
    for kind, *rest in packed:
        if kind == "m":
            scopes.append(MailboxScope(AccountId(rest[0]), MailboxId(rest[1])))
        elif kind == "a":
            scopes.append(AccountScope(AccountId(rest[0])))
        elif kind == "n":
            scopes.append(NamedScope(rest[0]))
    return scopes


class Hints:
    """Sends and hears the names of changed scopes; `heard(None)` means: compare everything."""

    _LIMIT = 7000

    def __init__(self, url: str, heard: Callable[[list[Scope] | None], None]) -> None:
        self._url = url
        self._heard = heard
        self._node = secrets.token_hex(8)
        self._outgoing: SimpleQueue[set[Scope] | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, name="imsd-notify", daemon=True),
            threading.Thread(target=self._listen, name="imsd-listen", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, scopes: set[Scope]) -> None:
        """Hint to other nodes, soon."""
        self._outgoing.put(scopes)

    def _send(self) -> None:
        connection: Any = None
        going = True
        while going:
            scopes = self._outgoing.get()
            going = scopes is not None
            told = set(scopes or ())
            while going:
                try:
                    more = self._outgoing.get_nowait()
                except Empty:
                    break
                going = more is not None
                told |= more or set()
            if not told and going:
                continue
            # The last one, which says nothing, wakes our own listener to end it too.
            payload = json.dumps([self._node, *pack_scopes(told)], separators=(",", ":"))
            if len(payload) > self._LIMIT:
                payload = json.dumps([self._node])
            try:
                if connection is None or connection.closed:
                    connection = connect(self._url)
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
            except (psycopg.Error, StoreUnavailable):
                # A hint may be lost; the others compare counters anyway.
                if connection is not None:
                    connection.close()
        if connection is not None:
            connection.close()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                with connect(self._url) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    # What was said while nobody listened is found by comparing.
                    self._heard(None)
                    while not self._stopped.is_set():
                        for notice in connection.notifies(timeout=5.0):
                            if self._stopped.is_set():
                                break
                            self._hear(notice.payload)
            except (psycopg.Error, StoreUnavailable):
                self._stopped.wait(1.0)

    def _hear(self, payload: str) -> None:
        try:
            node, *packed = json.loads(payload)
        except ValueError:
            return
        if node != self._node:
            self._heard(unpack_scopes(packed) or None)

    def stop(self) -> None:
        """End both threads; blocks a moment."""
        self._stopped.set()
        self._outgoing.put(None)
        for thread in self._threads:
            thread.join()
