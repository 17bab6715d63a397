"""A report on TLS by HTTPS (RFC 8460 5.4): one POST, verified, bounded in time, without redirects.

The URI is what another domain chose: it leads to no address of a network that is not public, unless
`ims.delivery.loopback_check` is off, as in tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred, succeed
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from imsd.mail.names import LookupFailed, Names
from imsd.trust.fetching import To, trusted

SECONDS: Final = 60.0
MOST_ADDRESSES: Final = 3


class Undelivered(Exception):
    """It could not be delivered now."""


@implementer(IBodyProducer)
class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Unheard(Protocol):
    """What an answer says beside its code is of no interest, and may be endless."""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        getattr(transport, "abortConnection", transport.loseConnection)()


class Poster:
    """ca_file: of the authorities that are trusted, None for the system's. public: whether only addresses of
    public networks will do."""

    def __init__(
        self,
        reactor: Any,
        names: Names,
        in_thread: Callable[..., Awaitable[Any]],
        ca_file: Callable[[], Path | None],
        public: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._in_thread = in_thread
        self._ca_file = ca_file
        self._public = public

    async def __call__(self, uri: str, packed: bytes) -> str:
        """What was answered. Raises Undelivered."""
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port or 443
        try:
            trust = await self._in_thread(trusted, self._ca_file())
            addresses = [host] if _is_address(host) else await self._names.addresses(host)
        except (LookupFailed, OSError, ValueError) as error:
            raise Undelivered(str(error)) from error
        fine = [each for each in addresses if not self._public() or ip_address(each).is_global]
        problem = f"{host} has no address" if not addresses else f"{host} is in no public network"
        for address in fine[:MOST_ADDRESSES]:
            posting = ensureDeferred(self._post(uri, address, port, packed, trust))
            posting.addTimeout(SECONDS, self._reactor)
            try:
                return await posting
            except (ConnectError, ConnectionClosed, TimeoutError) as error:
                problem = f"{host}: {str(error) or 'no answer in time'}"
            except ResponseFailed as error:
                reason = error.reasons[0].getErrorMessage() if error.reasons else str(error)
                problem = f"{host}: {reason}"
            except ValueError as error:
                problem = f"{host}: {error}"
        raise Undelivered(problem)

    async def _post(self, uri: str, address: str, port: int, packed: bytes, trust: Any) -> str:
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, To(self._reactor, address, port, trust), pool)
        headers = Headers({b"User-Agent": [b"imsd"], b"Content-Type": [b"application/tlsrpt+gzip"]})
        response: Any = await agent.request(b"POST", uri.encode("ascii"), headers, _Body(packed))
        response.deliverBody(_Unheard())
        if not 200 <= response.code < 300:
            raise Undelivered(f"{urlsplit(uri).hostname} answers {response.code}")
        return f"{response.code}"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
