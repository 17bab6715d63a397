"""What POP3 commands hold: a door, then a maildrop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from zope.interface import Attribute, Interface

from protocols.security import Security


@dataclass(frozen=True, slots=True)
class Limits:
    """idle: seconds without a command (RFC 1939 3: 600 at least). unread: seconds that
    answers may wait to be read. bad_commands: answered with
    -ERR before the connection ends; failed logins count too."""

    idle: float = 600.0
    unread: float = 300.0
    bad_commands: int = 20


@dataclass(frozen=True, slots=True)
class Explained:
    """A refusal in POP3's words. code: response code without brackets (RFC 2449 8), or b""."""

    code: bytes
    text: str


class IMaildrop(Interface):
    """A locked maildrop: the messages there were when it was opened (RFC 1939 4).

    Messages are known by their index, from 0.
    """

    sizes: Sequence[int] = Attribute("octets of each message")

    def unique_id(index: int) -> bytes:
        """1 to 70 characters from 0x21 to 0x7E that stay with the message (RFC 1939 7)."""

    def content(index: int) -> AsyncIterator[bytes]:
        """The message in pieces. Raises a refusal when it is gone."""

    async def remove(indexes: Collection[int]) -> bool:
        """Delete messages for good; False if some of them could not be."""

    def close() -> None:
        """Give the lock back; may be called twice."""


class IDoor(Interface):
    """One for all connections of a listener."""

    hostname: str = Attribute("our name in the greeting")
    implementation: str = Attribute("product and version (RFC 2449 6.9)")
    authenticator: Any = Attribute("protocols.sasl.IAuthenticator")

    def limits() -> Limits: ...

    def login_delay() -> int:
        """Seconds a client has to wait between logins, 0 for none (RFC 2449 6.5)."""

    def tls() -> Any:
        """The context factory for STLS, None if there is none."""

    def clear_text(security: Security) -> Explained | None:
        """Why USER and PASS may not be used here, None if they may."""

    async def open(identity: Any, ended: Callable[[], None]) -> Any:
        """Lock and open the maildrop of an identity: an IMaildrop.

        ended: called when the session has to end (the account was disabled, its password
        changed). Raises refusals: in use, too soon.
        """

    def explain(error: Exception) -> Explained | None:
        """A refusal in POP3's words, None for what is a bug."""
