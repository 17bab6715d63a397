"""Getting a policy: HTTPS to the policy host, verified, bounded, without redirects (RFC 8461 3.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from imsd.mail.names import LookupFailed, Names
from imsd.trust.policies import Unavailable

MOST = 64 * 1024
SECONDS = 60.0


class Body(Protocol):
    """Collects at most MOST octets."""

    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > MOST and not self.done.called:
            self.done.errback(Failure(Unavailable("sts-policy-fetch-error", "the policy is too long")))
            transport: Any = self.transport
            transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        # Without a length the end of the connection is that of the body.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(self.data)
        else:
            error = Unavailable("sts-policy-fetch-error", f"the policy is cut: {reason.getErrorMessage()}")
            self.done.errback(Failure(error))


@implementer(IAgentEndpointFactory)
class To:
    """TLS to one address, with the certificate of the host in the address bar."""

    def __init__(self, reactor: Any, address: str, port: int, trust: Any) -> None:
        self._reactor, self._address, self._port, self._trust = reactor, address, port, trust

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        kind = TCP6ClientEndpoint if ":" in self._address else TCP4ClientEndpoint
        options = optionsForClientTLS(uri.host.decode("ascii"), trustRoot=self._trust)
        return wrapClientTLS(options, kind(self._reactor, self._address, self._port, timeout=20))


class Fetcher:
    """ca_file: of the authorities that are trusted, None for the system's; port: of policy hosts."""

    def __init__(
        self,
        reactor: Any,
        names: Names,
        in_thread: Callable[..., Awaitable[Any]],
        ca_file: Callable[[], Path | None],
        port: Callable[[], int],
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._in_thread = in_thread
        self._ca_file = ca_file
        self._port = port

    async def __call__(self, domain: str) -> str:
        """Raises Unavailable."""
        host = f"mta-sts.{domain}"
        try:
            trust = await self._in_thread(trusted, self._ca_file())
            addresses = await self._names.addresses(host)
        except (LookupFailed, OSError, ValueError) as error:
            raise Unavailable("sts-policy-fetch-error", str(error)) from error
        problem = Unavailable("sts-policy-fetch-error", f"{host} has no address")
        for address in addresses[:4]:
            getting = ensureDeferred(self._get(host, address, trust))
            getting.addTimeout(SECONDS, self._reactor)
            try:
                return await getting
            except (ConnectError, ConnectionClosed, TimeoutError) as error:
                problem = Unavailable(
                    "sts-policy-fetch-error", f"{host}: {str(error) or 'no answer in time'}"
                )
            except ResponseFailed as error:
                reason = error.reasons[0].getErrorMessage() if error.reasons else str(error)
                kind = (
                    "sts-webpki-invalid" if "erti" in reason or "SSL" in reason else "sts-policy-fetch-error"
                )
                problem = Unavailable(kind, f"{host}: {reason}")
            except ValueError as error:
                problem = Unavailable("sts-policy-invalid", f"{host}: {error}")
        raise problem

    async def _get(self, host: str, address: str, trust: Any) -> str:
        port = self._port()
        factory = To(self._reactor, address, port, trust)
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, factory, pool)
        where = f"https://{host}{'' if port == 443 else f':{port}'}/.well-known/mta-sts.txt"
        headers = Headers({b"User-Agent": [b"imsd"]})
        response: Any = await agent.request(b"GET", where.encode("ascii"), headers)
        body = Body()
        response.deliverBody(body)
        if response.code != 200:
            body.done.addErrback(lambda _: None)
            raise Unavailable("sts-policy-fetch-error", f"{host} answers {response.code}")
        kind = (response.headers.getRawHeaders(b"Content-Type") or [b""])[0]
        if kind.partition(b";")[0].strip().lower() != b"text/plain":
            body.done.addErrback(lambda _: None)
            raise Unavailable("sts-policy-invalid", f"{host} sends {kind[:60]!r}, text/plain expected")
        return (await body.done).decode("utf-8")


def trusted(file: Path | None) -> Any:
    """Blocking."""
    if file is None:
        return platformTrust()
    blocks = file.read_bytes().split(b"-----BEGIN CERTIFICATE-----")[1:]
    return trustRootFromCertificates(
        [Certificate.loadPEM(b"-----BEGIN CERTIFICATE-----" + block) for block in blocks]
    )
