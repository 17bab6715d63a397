"""ANONYMOUS (RFC 4505): who does not say who he is, and may leave a trace."""

from __future__ import annotations

from typing import Final

from zope.interface import implementer

from protocols.sasl.interfaces import BadExchange, Challenge, IAuthenticator, IExchange, Step, Success
from protocols.sasl.plain import text
from protocols.security import Security

TRACE_LIMIT: Final = 255
"""Characters of a trace token (RFC 4505 2)."""


@implementer(IExchange)
class Anonymous:
    """message = [ email / token ] (RFC 4505 2): logged, never believed."""

    def __init__(self, authenticator: IAuthenticator, security: Security) -> None:
        self._authenticator = authenticator
        self._security = security

    async def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        trace = text(response)
        if len(trace) > TRACE_LIMIT or not (trace.isprintable() or not trace):
            raise BadExchange("a trace of at most 255 characters expected")
        return Success(await self._authenticator.anonymous(trace, self._security))
