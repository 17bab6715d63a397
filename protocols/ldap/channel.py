"""One operation as its command sees it: where answers go, and what it may do to others."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Protocol

from protocols.ldap.controls import Controls
from protocols.ldap.messages import Control, Response
from protocols.ldap.results import Result
from protocols.ldap.session import Session


class Kind(Enum):
    """How an operation runs beside others of its connection (RFC 4511 4.1.1)."""

    READ = "at once, beside any others; can be abandoned"
    UPDATE = "after earlier updates; cannot be abandoned once it has begun"
    BIND = "alone: reads are abandoned, updates awaited (RFC 4511 4.2.1)"
    ALONE = "alone, refused if others are in progress (RFC 4511 4.14.1)"
    AT_ONCE = "within its own turn, whatever else is in progress"


class Channel(Protocol):
    """The operation in progress."""

    message_id: int
    controls: Controls
    answer_controls: tuple[Control, ...]
    """Sent with the response that ends the operation."""

    def send(self, operation: bytes, controls: tuple[Control, ...] = ()) -> None:
        """An encoded protocolOp before the last one: a result entry, an intermediate response."""

    def send_all(self, operations: list[bytes]) -> None:
        """Several of these."""

    async def breathe(self) -> None:
        """Let other work run if this has had its slice, wait while the transport is full.

        Raises Failed with TIME_LIMIT_EXCEEDED when the time is up.
        """

    def unlimit_time(self) -> None:
        """However long it takes from here on."""

    def limit_time(self, seconds: int) -> None:
        """End the operation with TIME_LIMIT_EXCEEDED after so long."""

    def start_tls(self) -> None:
        """Begin TLS once this operation has been answered."""

    def abandon(self, message_id: int) -> None:
        """End another operation without an answer, if that can be (RFC 4511 4.11)."""

    def cancel(self, message_id: int) -> Result:
        """End another operation with CANCELED; how that went (RFC 3909 2)."""

    def close(self) -> None:
        """The client has unbound."""


class Command(Protocol):
    """A request that runs itself.

    answer: tag of the response that ends it, 0 for none. verb: its name in logs.
    """

    kind: ClassVar[Kind]
    answer: ClassVar[int]
    verb: ClassVar[str]

    async def run(self, session: Session, channel: Channel) -> Response | None:
        """The response that ends the operation; raises what refuses it."""
