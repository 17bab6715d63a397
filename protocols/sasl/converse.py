"""Running an exchange over a protocol of lines (SMTP, POP3, IMAP4)."""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import Final

from protocols.sasl.interfaces import BadExchange, Cancelled, Challenge, IExchange, Success

MAX_RESPONSE_LINE: Final = 12288
"""Octets of a response line with its CRLF (RFC 4954 4.4): the limit for a protocol's reader."""

MAX_RESPONSE: Final = 4096
"""Octets of a decoded response; no mechanism here needs more than names and a password."""

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends one challenge in base64 the protocol's way and gives the line that answers it."""


async def converse(ask: Ask, exchange: IExchange, initial: bytes | None) -> Success:
    """Run an exchange to its end and give its success.

    initial: the initial response as it stood in the command: None, b"=" for an empty one, or
    base64 (RFC 4954 4, RFC 5034 4, RFC 4959 3). Raises BadExchange, Cancelled, and what the
    authenticator raises. Additional data with success goes out as a challenge that wants an
    empty answer (RFC 4422 3.6).
    """
    response = None if initial is None else b"" if initial == b"=" else decode(initial)
    while True:
        step = await exchange.step(response)
        if isinstance(step, Challenge):
            response = decode(await ask(b64encode(step.data)))
            continue
        if step.data is not None and decode(await ask(b64encode(step.data))):
            raise BadExchange("empty response expected")
        return step


def decode(line: bytes) -> bytes:
    """The octets of a base64 line; canonical padding is required (RFC 4954 4)."""
    if line == b"*":
        raise Cancelled
    if len(line) > MAX_RESPONSE_LINE:
        raise BadExchange("response too long")
    try:
        data = binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        raise BadExchange("base64 expected") from None
    if len(data) > MAX_RESPONSE:
        raise BadExchange("response too long")
    return data
