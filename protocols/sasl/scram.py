"""The server side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677)."""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Final

from zope.interface import implementer

from protocols.sasl import keys
from protocols.sasl.interfaces import (
    BadExchange,
    Challenge,
    IAuthenticator,
    IExchange,
    ScramKeys,
    Step,
    Success,
)
from protocols.sasl.prep import saslprep
from protocols.security import Security

# gs2-header = gs2-cbind-flag "," [ "a=" saslname ] ","      (RFC 5802 7)
# client-first-message-bare = [reserved-mext ","] "n=" saslname "," "r=" c-nonce ["," extensions]
_CLIENT_FIRST: Final = re.compile(
    r"(?P<header>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>[^,\0]+))?,)"
    r"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-ln-z]=[^,\0]+)*)"
)
# client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
_CLIENT_FINAL: Final = re.compile(
    r"(?P<unproved>c=(?P<channel>[A-Za-z0-9+/=]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-ln-z]=[^,\0]+)*)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)"
)

_MAX_NONCE: Final = 1024


def unescape(name: str) -> str:
    """A saslname's text: =2C is a comma, =3D an equals sign, other uses of "=" are errors."""
    if "=" in re.sub("=2C|=3D", "", name):
        raise BadExchange("=2C or =3D expected")
    return name.replace("=2C", ",").replace("=3D", "=")


def escape(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def unbase64(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadExchange("base64 expected") from None


@implementer(IExchange)
class Scram:
    """One exchange: client-first, server-first, client-final, server-final.

    plus: this is SCRAM-SHA-256-PLUS, the client must bind to the channel.
    plus_offered: the server offered -PLUS, so a client that says "y" was deceived (RFC 5802 6).
    """

    def __init__(
        self,
        authenticator: IAuthenticator,
        security: Security,
        *,
        plus: bool = False,
        plus_offered: bool = False,
        nonce: Callable[[], str] = token_urlsafe,
    ) -> None:
        self._authenticator = authenticator
        self._security = security
        self._plus = plus
        self._plus_offered = plus_offered
        self._make_nonce = nonce
        self._keys: ScramKeys | None = None
        self._begun = False

    async def step(self, response: bytes | None) -> Step:
        if response is None or (not response and not self._begun):
            if self._begun:
                raise BadExchange("SCRAM message expected")
            self._begun = True
            return Challenge(b"")
        self._begun = True
        try:
            message = response.decode()
        except UnicodeDecodeError:
            raise BadExchange("UTF-8 expected") from None
        return await (self._first(message) if self._keys is None else self._final(message, self._keys))

    async def _first(self, message: str) -> Step:
        parsed = _CLIENT_FIRST.fullmatch(message)
        if not parsed or len(parsed["nonce"]) > _MAX_NONCE:
            raise BadExchange("SCRAM client-first-message expected")
        self._header = parsed["header"].encode()
        self._channel = self._bind(parsed["flag"], parsed["binding"])
        self._authzid = unescape(parsed["authzid"] or "")
        self._name = saslprep(unescape(parsed["name"]))
        if not self._name:
            raise BadExchange("user name expected")
        self._keys = await self._authenticator.scram(self._name, self._security)
        self._nonce = parsed["nonce"] + self._make_nonce()
        salt = b64encode(self._keys.salt).decode()
        challenge = f"r={self._nonce},s={salt},i={self._keys.iterations}"
        self._so_far = f"{parsed['bare']},{challenge},"
        return Challenge(challenge.encode())

    def _bind(self, flag: str, binding: str | None) -> bytes:
        """The channel binding data the client has to show (RFC 5802 6)."""
        if not self._plus:
            if binding:
                raise BadExchange("no channel binding in SCRAM-SHA-256 expected")
            if flag == "y" and self._plus_offered:
                raise BadExchange("SCRAM-SHA-256-PLUS expected: it is offered")
            return b""
        if not binding:
            raise BadExchange("channel binding expected")
        data = self._security.channel_binding(binding)
        if data is None:
            raise BadExchange("channel binding of another type expected")
        return data

    async def _final(self, message: str, stored: ScramKeys) -> Step:
        parsed = _CLIENT_FINAL.fullmatch(message)
        if not parsed:
            raise BadExchange("SCRAM client-final-message expected")
        auth_message = (self._so_far + parsed["unproved"]).encode()
        # Everything is compared before anything is told: a wrong binding and a wrong proof look alike.
        bound = hmac.compare_digest(unbase64(parsed["channel"]), self._header + self._channel)
        same = hmac.compare_digest(parsed["nonce"].encode(), self._nonce.encode())
        proved = keys.proves(unbase64(parsed["proof"]), stored, auth_message)
        identity = await self._authenticator.scram_done(
            self._authzid, self._name, stored, proved and bound and same, self._security
        )
        return Success(identity, b"v=" + b64encode(keys.server_signature(stored, auth_message)))
