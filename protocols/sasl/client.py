"""The client side of PLAIN, LOGIN and SCRAM-SHA-256, for mail we hand to others."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
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


def choose(offered: Iterable[str], name: str, password: str, *, private: bool) -> ClientExchange | None:
    """The best exchange both sides know; the password itself is sent only over TLS."""
    names = {mechanism.upper() for mechanism in offered}
    if "SCRAM-SHA-256" in names:
        return ScramClient(name, password)
    if private and "PLAIN" in names:
        return PlainClient(name, password)
    if private and "LOGIN" in names:
        return LoginClient(name, password)
    return None


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
    """SCRAM-SHA-256 without channel binding (RFC 5802 5): the server must prove itself too.

    `respond` to the server-first-message is slow (PBKDF2): call it in a thread.
    """

    name = "SCRAM-SHA-256"

    def __init__(self, name: str, password: str, nonce: Callable[[], str] = token_urlsafe) -> None:
        self._password = password
        self._nonce = nonce()
        self._bare = f"n={escape(saslprep(name))},r={self._nonce}"
        self._signature: bytes | None = None
        self._verified = False

    def initial(self) -> bytes | None:
        return f"n,,{self._bare}".encode()

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
        unproved = f"c=biws,r={parsed['nonce']}"
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
