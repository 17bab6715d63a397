"""Who is bound, and what a connection keeps between operations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocols.ldap.controls import Controls
from protocols.ldap.interfaces import IDoor, IIdentity
from protocols.ldap.messages import (
    AddRequest,
    Control,
    DeleteRequest,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    SearchRequest,
)
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.syncing import Answer
from protocols.sasl import IExchange
from protocols.security import Security

Answers = AsyncGenerator[bytes | list[bytes] | Answer, None]


async def singly(answers: Answers) -> AsyncGenerator[bytes | Answer, None]:
    """The same one by one, as where a page may end anywhere."""
    try:
        async for answer in answers:
            if isinstance(answer, list):
                for each in answer:
                    yield each
            else:
                yield answer
    finally:
        await answers.aclose()


@dataclass(slots=True)
class PagedSearch:
    """A search between two pages (RFC 2696); `given` counts its entries so far.

    controls: all but the page. notes: what is sent with the end of each page besides.
    """

    request: SearchRequest
    controls: Controls
    answers: Answers
    notes: list[Control]
    given: int = 0


Update: TypeAlias = AddRequest | DeleteRequest | ModifyRequest | ModifyDnRequest
Deferrable: TypeAlias = Update | PasswordModify
"""What may be part of a transaction (RFC 5805 2.2)."""

TRANSACTIONS: Final = 4
"""Outstanding on one connection."""
UPDATES: Final = 100
"""Of one transaction: they are one piece of writing, and others wait for it (design: rule 11)."""
OCTETS: Final = 4 << 20
"""Of their values."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """An update that waits for the end of its transaction."""

    message_id: int
    request: Deferrable
    controls: Controls


@dataclass(slots=True)
class Transaction:
    """identity: as whom its updates are done."""

    identity: IIdentity
    updates: list[Deferred] = field(default_factory=list)
    octets: int = 0


def _size(request: Deferrable) -> int:
    match request:
        case AddRequest(_, attributes):
            return sum(len(value) for each in attributes for value in each.values)
        case ModifyRequest(_, changes):
            return sum(len(value) for each in changes for value in each.attribute.values)
    return 0


@dataclass(slots=True)
class Session:
    """What commands hold: the door, and the identity a Bind has put here.

    dispose: closes a search that will not be continued.
    ended: called once whoever is bound is not let in any more.
    start_tls: whether TLS can be begun on this connection.
    controls, extensions: OIDs of what is supported, for the root DSE.
    """

    door: IDoor
    dispose: Callable[[Answers], None]
    ended: Callable[[], None]
    start_tls: bool = False
    controls: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    security: Security = field(default_factory=Security)
    bound: IIdentity | None = None
    exchange: IExchange | None = None
    mechanism: str = ""
    paged: dict[bytes, PagedSearch] = field(default_factory=dict)
    transactions: dict[bytes, Transaction] = field(default_factory=dict)
    _pages: int = 0
    _started: int = 0

    @property
    def identity(self) -> IIdentity:
        """Whoever is bound, or the anonymous identity; refused where that may see nothing."""
        identity = self.bound if self.bound is not None else self.door.anonymous(self.security)
        if identity is None:
            raise Failed(ResultCode.STRONGER_AUTH_REQUIRED, "Bind first")
        return identity

    async def acting(self, controls: Controls) -> IIdentity:
        """The identity, or the one that it asks to be for this request (RFC 4370)."""
        if controls.proxied is None:
            return self.identity
        return await self.identity.proxied(controls.proxied)

    def bind(self, identity: IIdentity) -> None:
        self.bound = identity
        identity.watch(self.ended)

    def forget(self) -> None:
        """Become anonymous, as every BindRequest begins (RFC 4511 4.2.1)."""
        if self.bound is not None:
            self.bound.leave()
        self.bound = None
        self.exchange = None
        self.transactions.clear()
        self.drop_pages(0)

    # Transactions (RFC 5805)

    def start_transaction(self, identity: IIdentity) -> bytes:
        if len(self.transactions) >= TRANSACTIONS:
            raise Failed(ResultCode.ADMIN_LIMIT_EXCEEDED, "Too many transactions")
        self._started += 1
        identifier = b"%d" % self._started
        self.transactions[identifier] = Transaction(identity)
        return identifier

    def defer(self, message_id: int, request: Deferrable, controls: Controls) -> None:
        """Keep an update until its transaction ends. Raises Failed."""
        if controls.proxied is not None:
            # RFC 5805 4.4: that is said at its start.
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "A transaction is of one identity")
        transaction = self.transactions.get(controls.transaction or b"")
        if transaction is None:
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "No such transaction")
        size = _size(request)
        if len(transaction.updates) >= UPDATES or transaction.octets + size > OCTETS:
            raise Failed(ResultCode.ADMIN_LIMIT_EXCEEDED, "The transaction is too large")
        if any(each.message_id == message_id for each in transaction.updates):
            raise Failed(ResultCode.PROTOCOL_ERROR, "Each update has a message id of its own")
        transaction.octets += size
        transaction.updates.append(Deferred(message_id, request, controls))

    def end_transaction(self, identifier: bytes) -> Transaction:
        transaction = self.transactions.pop(identifier, None)
        if transaction is None:
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "No such transaction")
        return transaction

    def keep_page(self, search: PagedSearch) -> bytes:
        """Suspend a search; the cookie to go on with. Unspoken of, the oldest is dropped."""
        self.drop_pages(max(self.door.limits.paged_searches - 1, 0))
        self._pages += 1
        cookie = b"%d" % self._pages
        self.paged[cookie] = search
        return cookie

    def drop_pages(self, most: int) -> None:
        while len(self.paged) > most:
            self.dispose(self.paged.pop(next(iter(self.paged))).answers)
