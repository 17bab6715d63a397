"""The keys of an identity provider, by OpenID Connect Discovery: two documents, over verified HTTPS."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

MOST: Final = 256 * 1024
"""Octets of a document."""
SECONDS: Final = 10.0
PATH: Final = "/.well-known/openid-configuration"


class Unavailable(Exception):
    """Why the provider's keys are not to be had."""


async def keys(reactor: Any, in_thread: Callable[..., Awaitable[Any]], issuer: str, ca_file: str) -> Any:
    """The provider's JWK Set. Raises Unavailable."""
    try:
        trust = await in_thread(_trusted, ca_file)
    except (OSError, ValueError) as error:
        raise Unavailable(f"tokens.ca_file: {error}") from error
    agent = Agent(reactor, BrowserLikePolicyForHTTPS(trust), connectTimeout=SECONDS)
    described = await _document(reactor, agent, issuer.rstrip("/") + PATH)
    if described.get("issuer") != issuer:
        raise Unavailable(f"{issuer} calls itself {described.get('issuer')!r}")
    where = described.get("jwks_uri")
    if not isinstance(where, str) or not where.startswith("https://"):
        raise Unavailable(f"{issuer} names no keys")
    return await _document(reactor, agent, where)


async def _document(reactor: Any, agent: Agent, url: str) -> Any:
    getting = Deferred.fromCoroutine(_get(agent, url))
    getting.addTimeout(SECONDS, reactor)
    try:
        found = json.loads(await getting)
    except Unavailable:
        raise
    except ResponseFailed as error:
        reason = error.reasons[0].getErrorMessage() if error.reasons else str(error)
        raise Unavailable(f"{url}: {reason}") from error
    except CancelledError:
        raise
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{url}: no JSON") from error
    except Exception as error:  # what the many ways of connecting may raise
        raise Unavailable(f"{url}: {str(error) or type(error).__name__}") from error
    if not isinstance(found, dict):
        raise Unavailable(f"{url}: no JSON object")
    return found


async def _get(agent: Agent, url: str) -> bytes:
    response: Any = await agent.request(
        b"GET", url.encode("ascii"), Headers({b"Accept": [b"application/json"]})
    )
    body = _Body()
    response.deliverBody(body)
    if response.code != 200:
        body.done.addErrback(lambda _: None)
        raise Unavailable(f"{url} answers {response.code}")
    return await body.done


class _Body(Protocol):
    """At most MOST octets."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > MOST and not self.done.called:
            self.done.errback(Failure(Unavailable(f"over {MOST} octets")))
            transport: Any = self.transport
            transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        # Without a length it ends with the connection; what was cut off is no JSON.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._data))
        else:
            self.done.errback(reason)


def _trusted(file: str) -> Any:
    """Blocking."""
    if not file:
        return platformTrust()
    blocks = Path(file).read_bytes().split(b"-----BEGIN CERTIFICATE-----")[1:]
    if not blocks:
        raise ValueError(f"{file} holds no certificate")
    return trustRootFromCertificates(
        [Certificate.loadPEM(b"-----BEGIN CERTIFICATE-----" + block) for block in blocks]
    )
