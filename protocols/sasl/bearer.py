"""OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner: a token that an identity provider gave out.

A token that is refused is said with a JSON object in a challenge, so that the client can get
another one; the client's answer to that ends the exchange (RFC 7628 3.2.3).
"""

from __future__ import annotations

import json
import re
from typing import Final

from zope.interface import implementer

from protocols.sasl.interfaces import (
    BadExchange,
    BadToken,
    Challenge,
    IAuthenticator,
    IExchange,
    Step,
    Success,
)
from protocols.sasl.plain import text
from protocols.sasl.scram import unescape
from protocols.security import Security

MOST: Final = 9_216
"""Octets of a message: what a response line holds in base64."""

# b64token (RFC 6750 2.1)
_BEARER: Final = re.compile(rb"(?i)bearer +([A-Za-z0-9._~+/-]+=*) *")
_GS2: Final = re.compile(rb"(?:n|y|p=[A-Za-z0-9.-]+),(?:a=([^,]*))?,")
_KEY: Final = re.compile(rb"[A-Za-z]+")


@implementer(IExchange)
class _Bearer:
    def __init__(self, authenticator: IAuthenticator, security: Security) -> None:
        self._authenticator = authenticator
        self._security = security
        self._refused: BadToken | None = None

    async def step(self, response: bytes | None) -> Step:
        if self._refused is not None:
            # Whatever it is: RFC 7628 has a lone %x01, XOAUTH2 clients send nothing.
            raise self._refused.reason
        if response is None:
            return Challenge(b"")
        if len(response) > MOST:
            raise BadExchange(f"at most {MOST} octets expected")
        authzid, token = self.read(response)
        try:
            return Success(await self._authenticator.bearer(authzid, token, self._security))
        except BadToken as refused:
            self._refused = refused
            return Challenge(json.dumps(self.explain(refused)).encode())

    def read(self, message: bytes) -> tuple[str, str]:
        raise NotImplementedError

    def explain(self, refused: BadToken) -> dict[str, str]:
        raise NotImplementedError


class OAuthBearer(_Bearer):
    """client-resp = gs2-header kvsep *(key "=" value kvsep) kvsep (RFC 7628 3.1)"""

    def read(self, message: bytes) -> tuple[str, str]:
        header, *pairs = message.split(b"\x01")
        gs2 = _GS2.fullmatch(header)
        if gs2 is None or pairs[-2:] != [b"", b""]:
            raise BadExchange("gs2-header and key=value pairs expected")
        if header.startswith(b"p"):
            raise BadExchange("no channel binding expected")
        values = _pairs(pairs[:-2])
        authzid = text(gs2[1]) if gs2[1] else ""
        return unescape(authzid), _token(values.get(b"auth", b""))

    def explain(self, refused: BadToken) -> dict[str, str]:
        """RFC 7628 3.2.2"""
        said = {"status": refused.status}
        if refused.scope:
            said["scope"] = refused.scope
        if refused.configuration:
            said["openid-configuration"] = refused.configuration
        return said


class XOAuth2(_Bearer):
    """user=NAME ^A auth=Bearer TOKEN ^A ^A, as Google and Microsoft document it."""

    def read(self, message: bytes) -> tuple[str, str]:
        pairs = message.split(b"\x01")
        if pairs[-2:] != [b"", b""]:
            raise BadExchange("user=, auth= and two separators expected")
        values = _pairs(pairs[:-2])
        name = text(values.get(b"user", b""))
        if not name:
            raise BadExchange("user= expected")
        return name, _token(values.get(b"auth", b""))

    def explain(self, refused: BadToken) -> dict[str, str]:
        return {"status": "401", "schemes": "bearer", "scope": refused.scope or "mail"}


def _pairs(given: list[bytes]) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for pair in given:
        key, equals, value = pair.partition(b"=")
        if not equals or not _KEY.fullmatch(key) or key in values:
            raise BadExchange("key=value pairs, each once, expected")
        values[key] = value
    return values


def _token(value: bytes) -> str:
    found = _BEARER.fullmatch(value)
    if found is None:
        raise BadExchange("auth=Bearer and a token expected")
    return found[1].decode("ascii")
