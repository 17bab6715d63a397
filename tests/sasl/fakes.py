"""An authenticator that knows one user with a password, and a way to run coroutines that never wait."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from zope.interface import implementer

from protocols.sasl import IAuthenticator, IExchange, ScramKeys, offered
from protocols.sasl.keys import derive
from protocols.security import Security

T = TypeVar("T")


class Wrong(Exception):
    """What the application raises for a wrong password."""


class Handle:
    """What pyOpenSSL's connection says, for bindings."""

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def export_keying_material(self, label: bytes, length: int, context: bytes) -> bytes:
        assert (label, length, context) == (b"EXPORTER-Channel-Binding", 32, b"")
        return b"e" * 32


TLS = Security(encrypted=True, peer="192.0.2.1", _handle=Handle())
CLEAR = Security(peer="192.0.2.1")
LOOPBACK = Security(peer="127.0.0.1", loopback=True)
EVERYTHING = ("EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


@implementer(IAuthenticator)
class FakeAuthenticator:
    def __init__(self, name: str = "user", password: str = "pencil", keys: ScramKeys | None = None) -> None:
        self.name = name
        self.secret = password
        self.keys = keys or derive(password, 4096, b"0123456789abcdef")
        self.asked: list[Any] = []

    def mechanisms(self, security: Security) -> list[str]:
        return offered(security, EVERYTHING)

    async def password(self, authzid: str, authcid: str, password: str, security: Security) -> str:
        self.asked.append((authzid, authcid, password))
        if (authcid, password) != (self.name, self.secret):
            raise Wrong
        return authzid or authcid

    async def scram(self, authcid: str, security: Security) -> ScramKeys:
        self.asked.append(authcid)
        return self.keys

    async def scram_done(
        self, authzid: str, authcid: str, keys: ScramKeys, proved: bool, security: Security
    ) -> str:
        if not proved or authcid != self.name:
            raise Wrong
        return authzid or authcid

    async def external(self, authzid: str, security: Security) -> str:
        return authzid or "certified"


def go(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def steps(exchange: IExchange, *responses: bytes | None) -> Any:
    """The last step."""
    last: Any = None
    for response in responses:
        last = go(exchange.step(response))
    return last
