"""Passwords that another directory knows: it is asked by binding there (RFC 4511 4.2, RFC 4513 5.1.3).

1. A server that does not answer, or says that it cannot, is no wrong password: the next is asked, and when
   none is left the login is refused for now, counts for nobody, and is tried again by whoever wants in.
2. An empty password is never sent: that bind would succeed for anybody (RFC 4513 5.1.2).
3. Without TLS, verified, nothing is sent, but where an administrator said so.
4. A password that was right is remembered as others are (`logins.cache_seconds`): so long a change there
   may take to be seen here.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.logger import Logger

from imsd.directory.values import Person
from imsd.errors import TryLater
from imsd.settings.outside import Outside, Place, filled, place
from protocols.errors import BadSyntax
from protocols.ldap import client, dn, filters
from protocols.ldap.ber import BadEncoding
from protocols.ldap.messages import (
    BindRequest,
    BindResponse,
    Deref,
    ExtendedRequest,
    ExtendedResponse,
    Request,
    Scope,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    Simple,
    UnbindRequest,
)
from protocols.ldap.reader import Reader
from protocols.ldap.results import ResultCode
from protocols.lines import NEED_DATA

START_TLS: Final = "1.3.6.1.4.1.1466.20037"
LARGEST: Final = 1 << 20
"""Octets of an answer."""
MOST_ANSWERS: Final = 10
WRONG: Final = frozenset({
    ResultCode.INVALID_CREDENTIALS,
    ResultCode.NO_SUCH_OBJECT,
    ResultCode.INAPPROPRIATE_AUTHENTICATION,
    ResultCode.CONSTRAINT_VIOLATION,
})  # fmt: skip
"""What a server says of a login that is not one; a lock is CONSTRAINT_VIOLATION for some."""


class Unanswered(Exception):
    """A server does not say whether the password is right."""


class OutsidePasswords:
    """open: the text of a secret, may raise TryLater."""

    log = Logger()

    def __init__(self, settings: Callable[[], Outside], open_: Callable[[str], str], reactor: Any) -> None:
        self._settings = settings
        self._open = open_
        self._reactor = reactor

    @property
    def on(self) -> bool:
        """Whether somebody's password is known elsewhere."""
        return self._settings().who != "nobody"

    def knows(self, person: Person, has_password: bool) -> bool:
        """Whether the other directory decides about a person."""
        who = self._settings().who
        if who == "everybody":
            return not (person.is_admin and has_password)
        return who == "without_password" and not has_password

    async def ask_of_nobody(self) -> None:
        """Ask about somebody who is nowhere, where others are asked about. Raises TryLater."""
        if self.on:
            name = f"nobody-{secrets.token_hex(8)}"
            await self.right(name, f"{name}@invalid", secrets.token_urlsafe(12))

    async def right(self, uid: str, address: str, password: str) -> bool:
        """Whether it is the password of who has that login name and address. Raises TryLater."""
        if not password:
            await self.ask_of_nobody()
            return False
        values = _values(uid, address)
        page = self._settings()
        reasons = [page.lacks] if page.lacks else []
        for url in page.servers if not page.lacks else ():
            asking = Deferred.fromCoroutine(self._ask(page, place(url), values, password))
            asking.addTimeout(page.seconds, self._reactor)
            try:
                return await asking
            except CancelledError:
                raise
            except Unanswered as error:
                reasons.append(f"{url}: {error}")
            except Exception as error:  # what the many ways of connecting may raise
                reasons.append(f"{url}: {str(error) or type(error).__name__}")
        why = "; ".join(reasons)
        self.log.error("nobody says whether a password is right: {why}", why=why, event_id=20_040)
        raise TryLater("Passwords cannot be verified now")

    async def _ask(self, page: Outside, where: Place, values: dict[str, str], password: str) -> bool:
        async with self._connected(page, where) as wire:
            name = filled(page.name, {key: dn.escape(text) for key, text in values.items()})
            if not name:
                found = await self._search(page, wire, values)
                if found is None:
                    return False
                name = found
            code, text = await wire.bind(name, password)
            if code in WRONG:
                return False
            if code != ResultCode.SUCCESS:
                raise Unanswered(f"{ResultCode(code).name} {text}")
            return True

    async def _search(self, page: Outside, wire: _Wire, values: dict[str, str]) -> str | None:
        if page.search_name:
            code, text = await wire.bind(page.search_name, self._open(page.search_password))
            if code != ResultCode.SUCCESS:
                raise Unanswered(f"outside.search_name may not log in: {ResultCode(code).name} {text}")
        escaped = {key: filters.escape(text.encode()) for key, text in values.items()}
        wanted = filters.parse(filled(page.filter, escaped))
        request = SearchRequest(
            page.base, Scope.SUBTREE, Deref.ALWAYS, 2, page.seconds, False, wanted, ("1.1",)
        )
        names, code, text = await wire.search(request)
        if len(names) > 1 or code == ResultCode.SIZE_LIMIT_EXCEEDED:
            self.log.warn("outside.filter finds several entries for {who}", who=values["%u"])
            return None
        if code not in (ResultCode.SUCCESS, ResultCode.NO_SUCH_OBJECT):
            raise Unanswered(f"searching: {ResultCode(code).name} {text}")
        return names[0] if names else None

    @asynccontextmanager
    async def _connected(self, page: Outside, where: Place) -> AsyncIterator[_Wire]:
        options: Any = None
        if where.tls or not page.cleartext:
            options = optionsForClientTLS(where.host, trustRoot=_trusted(page.ca_file))
        endpoint: Any = HostnameEndpoint(self._reactor, where.host, where.port, timeout=page.seconds)
        if where.tls:
            endpoint = wrapClientTLS(options, endpoint)
        wire: _Wire = await connectProtocol(endpoint, _Wire())
        try:
            if options is not None and not where.tls:
                await wire.start_tls(options)
            yield wire
        finally:
            wire.end()


def _values(uid: str, address: str) -> dict[str, str]:
    local, _, domain = address.rpartition("@")
    return {"%u": uid, "%a": address, "%l": local, "%d": domain}


def _trusted(file: str) -> Any:
    """Raises OSError, ValueError."""
    if not file:
        return platformTrust()
    blocks = Path(file).read_bytes().split(b"-----BEGIN CERTIFICATE-----")[1:]
    if not blocks:
        raise ValueError(f"{file} holds no certificate")
    return trustRootFromCertificates(
        [Certificate.loadPEM(b"-----BEGIN CERTIFICATE-----" + block) for block in blocks]
    )


class _Wire(Protocol):
    """One connection, one request at a time."""

    transport: Any

    def __init__(self) -> None:
        self._reader = Reader(LARGEST)
        self._number = 0
        self._waiting: Deferred[Any] | None = None
        self._kept: list[Any] = []

    async def bind(self, name: str, password: str) -> tuple[ResultCode, str]:
        answer = await self._ask(BindRequest(3, name, Simple(password.encode())))
        if not isinstance(answer, BindResponse):
            raise Unanswered("no answer to a bind")
        return answer.result.code, answer.result.text

    async def start_tls(self, options: Any) -> None:
        answer = await self._ask(ExtendedRequest(START_TLS))
        if not isinstance(answer, ExtendedResponse) or answer.result.code != ResultCode.SUCCESS:
            raise Unanswered("no STARTTLS there")
        self.transport.startTLS(options)

    async def search(self, request: SearchRequest) -> tuple[list[str], ResultCode, str]:
        """DNs, and how it ended."""
        names = []
        answer = await self._ask(request)
        while not isinstance(answer, SearchResultDone):
            if isinstance(answer, SearchResultEntry):
                names.append(answer.dn)
            if len(names) > MOST_ANSWERS:
                raise Unanswered("many answers")
            answer = await self._next()
        return names, answer.result.code, answer.result.text

    def end(self) -> None:
        if self.transport is not None:
            self._number += 1
            self.transport.write(client.write(self._number, UnbindRequest()))
            if self._waiting is None:
                self.transport.loseConnection()
            else:
                self.transport.abortConnection()

    async def _ask(self, request: Request) -> Any:
        self._number += 1
        assert self.transport is not None
        self.transport.write(client.write(self._number, request))
        return await self._next()

    async def _next(self) -> Any:
        if self._kept:
            return self._kept.pop(0)
        self._waiting = Deferred(lambda _: None)
        return await self._waiting

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (message := self._reader.next()) is not NEED_DATA:
                answer = client.read(message)
                if answer.message_id == self._number:
                    self._answered(answer.operation)
                elif not answer.message_id:
                    raise BadEncoding("a notice of disconnection", 0)
        except (BadEncoding, BadSyntax, ValueError) as error:
            self._failed(Unanswered(f"an answer that is none: {error}"))

    def connectionLost(self, reason: Any = None) -> None:
        self._failed(Unanswered(f"the connection ended: {reason.getErrorMessage()}"))

    def _answered(self, answer: Any) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            if len(self._kept) >= MOST_ANSWERS:
                raise BadEncoding("fewer answers", 0)
            self._kept.append(answer)
        else:
            waiting.callback(answer)

    def _failed(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.errback(error)
        if self.transport is not None:
            self.transport.abortConnection()
