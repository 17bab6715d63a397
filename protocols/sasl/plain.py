"""PLAIN (RFC 4616) and LOGIN: the password itself, so only where nobody listens."""

from __future__ import annotations

from zope.interface import implementer

from protocols.sasl.interfaces import (
    BadExchange,
    Challenge,
    IAuthenticator,
    IExchange,
    Step,
    Success,
)
from protocols.security import Security


def text(octets: bytes) -> str:
    """A name or password from the wire: UTF-8 without NUL (RFC 4616 2)."""
    try:
        value = octets.decode()
    except UnicodeDecodeError:
        raise BadExchange("UTF-8 expected") from None
    if "\0" in value:
        raise BadExchange("no NUL expected")
    return value


@implementer(IExchange)
class Plain:
    """message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616 2)."""

    def __init__(self, authenticator: IAuthenticator, security: Security) -> None:
        self._authenticator = authenticator
        self._security = security

    async def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise BadExchange("[authzid] NUL authcid NUL password expected")
        authzid, authcid, password = map(text, parts)
        return Success(await self._authenticator.password(authzid, authcid, password, self._security))


@implementer(IExchange)
class Login:
    """LOGIN, never standardised: a prompt for the name, a prompt for the password.

    The prompts are the ones clients compare with: Outlook Express wants them letter by letter.
    An initial response is the name.
    """

    def __init__(self, authenticator: IAuthenticator, security: Security) -> None:
        self._authenticator = authenticator
        self._security = security
        self._asked = False
        self._name = ""

    async def step(self, response: bytes | None) -> Step:
        if response is None:
            self._asked = True
            return Challenge(b"Username:")
        if not self._name:
            if not response:
                if self._asked:
                    raise BadExchange("user name expected")
                self._asked = True
                return Challenge(b"Username:")
            self._name = text(response)
            return Challenge(b"Password:")
        return Success(await self._authenticator.password("", self._name, text(response), self._security))
