"""The client side of PLAIN, LOGIN, EXTERNAL and SCRAM-SHA-256(-PLUS), for mail we hand to others."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Protocol

from protocols.sasl import keys
from protocols.sasl.interfaces import BadExchange, ScramKeys
from protocols.sasl.prep import saslprep
from protocols.sasl.scram import escape, unbase64

MIN_ITERATIONS = 4096
"""Fewer are refused (RFC 7677 4)."""

MAX_ITERATIONS = 1_000_000
"""More are refused: a server must not make us work without end."""

_SERVER_FIRST = re.compile(
    r"r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+),s=(?P<salt>[A-Za-z0-9+/=]+),i=(?P<iterations>[1-9]\d{0,9})(?:,.*)?"
)


class ClientExchange(Protocol):
    """One run of a client mechanism."""

    name: str

    def initial(self) -> bytes | None:
        """The initial response; None when the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge. Raises BadExchange: cancel with "*" and hang up."""
        ...

    def finish(self) -> None:
        """The server said success: raises BadExchange unless it has proved itself where it must."""
        ...


@dataclass(frozen=True, slots=True)
class Binding:
    """Channel binding data of a TLS connection (RFC 5929, RFC 9266)."""

    kind: str
    data: bytes


STRONGEST = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


def choose(
    offered: Iterable[str],
    name: str,
    password: str,
    *,
    private: bool,
    allowed: Collection[str] = STRONGEST,
    binding: Binding | None = None,
) -> ClientExchange | None:
    """The best exchange that both sides know and that is allowed.

    private: the password itself may be sent. Whoever may bind and finds that the server does not
    offer it says so, and a server that does knows that somebody is between (RFC 5802 6).
    """
    names = {mechanism.upper() for mechanism in offered} & set(allowed)
    if "EXTERNAL" in names:
        return ExternalClient(name)
    if "SCRAM-SHA-256-PLUS" in names and binding is not None:
        return ScramClient(name, password, binding=binding)
    if "SCRAM-SHA-256" in names:
        could = binding is not None and "SCRAM-SHA-256-PLUS" in allowed
        return ScramClient(name, password, could=could)
    if private and "PLAIN" in names:
        return PlainClient(name, password)
    if private and "LOGIN" in names:
        return LoginClient(name, password)
    return None


class ExternalClient:
    """RFC 4422 A: who we are stands in our certificate. name: whom to act as, "" for the certificate's."""

    name = "EXTERNAL"

    def __init__(self, name: str) -> None:
        self._response = name.encode()

    def initial(self) -> bytes | None:
        return self._response

    def respond(self, challenge: bytes) -> bytes:
        if challenge:
            raise BadExchange("empty challenge expected")
        return self._response

    def finish(self) -> None:
        pass


class PlainClient:
    """RFC 4616."""

    name = "PLAIN"

    def __init__(self, name: str, password: str) -> None:
        self._response = f"\0{saslprep(name)}\0{saslprep(password)}".encode()

    def initial(self) -> bytes | None:
        return self._response

    def respond(self, challenge: bytes) -> bytes:
        if challenge:
            raise BadExchange("empty challenge expected")
        return self._response

    def finish(self) -> None:
        pass


class LoginClient:
    """The answers in order, whatever the prompts say."""

    name = "LOGIN"

    def __init__(self, name: str, password: str) -> None:
        self._answers = [password.encode(), name.encode()]

    def initial(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise BadExchange("no third challenge expected")
        return self._answers.pop()

    def finish(self) -> None:
        if self._answers:
            raise BadExchange("success before the password")


class ScramClient:
    """SCRAM-SHA-256, with binding the -PLUS of it (RFC 5802 5, 6): the server must prove itself too.

    could: we would bind, but the server does not offer it. `respond` to the server-first-message
    is slow (PBKDF2): call it in a thread.
    """

    def __init__(
        self,
        name: str,
        password: str,
        nonce: Callable[[], str] = token_urlsafe,
        *,
        binding: Binding | None = None,
        could: bool = False,
    ) -> None:
        self.name = "SCRAM-SHA-256-PLUS" if binding is not None else "SCRAM-SHA-256"
        self._header = "y,," if could else "n,,"
        if binding is not None:
            self._header = f"p={binding.kind},,"
        self._binding = self._header.encode() + (binding.data if binding is not None else b"")
        self._password = password
        self._nonce = nonce()
        self._bare = f"n={escape(saslprep(name))},r={self._nonce}"
        self._signature: bytes | None = None
        self._verified = False

    def initial(self) -> bytes | None:
        return f"{self._header}{self._bare}".encode()

    def respond(self, challenge: bytes) -> bytes:
        try:
            message = challenge.decode()
        except UnicodeDecodeError:
            raise BadExchange("UTF-8 expected") from None
        if self._signature is not None:
            return self._verify(message, self._signature)
        if not message:
            return self.initial() or b""
        parsed = _SERVER_FIRST.fullmatch(message)
        if not parsed or not parsed["nonce"].startswith(self._nonce) or parsed["nonce"] == self._nonce:
            raise BadExchange("SCRAM server-first-message expected")
        iterations = int(parsed["iterations"])
        if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise BadExchange("iteration count in bounds expected")
        salt = unbase64(parsed["salt"])
        salted = keys.salted_password(self._password, salt, iterations)
        client = keys.client_key(salted)
        known = ScramKeys(salt, iterations, keys.stored_key(client), keys.server_key(salted))
        unproved = f"c={b64encode(self._binding).decode()},r={parsed['nonce']}"
        auth_message = f"{self._bare},{message},{unproved}".encode()
        proof = keys.xor(client, hmac.digest(known.stored_key, auth_message, "sha256"))
        self._signature = keys.server_signature(known, auth_message)
        return f"{unproved},p={b64encode(proof).decode()}".encode()

    def _verify(self, message: str, signature: bytes) -> bytes:
        if not message.startswith("v="):
            raise BadExchange("server signature expected")
        if not hmac.compare_digest(unbase64(message[2:].partition(",")[0]), signature):
            raise BadExchange("a server that knows the password expected")
        self._verified = True
        return b""

    def finish(self) -> None:
        if not self._verified:
            raise BadExchange("server signature expected before success")
