"""What a command sees of the connection it runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from protocols.imap4.dialect import Dialect
from protocols.imap4.events import Wanted
from protocols.imap4.grammar import Announced, Cursor
from protocols.imap4.sets import Ranges, SequenceSet
from protocols.security import Security


class Channel(Protocol):
    """The session's state is here and in what is held; commands change it by these calls.

    door, account, view: IDoor, IAccount, IView (None where not held).
    tag: of the command that runs. saved: the UIDs of the saved search result, `$`.
    """

    door: Any
    account: Any
    view: Any
    tag: bytes
    saved: Ranges
    dialect: Dialect
    security: Security

    # Output
    def send(self, data: bytes) -> None:
        """Gathers output; flushed when the command waits or ends."""

    def say(self, tag: bytes, kind: bytes, code: bytes, text: str) -> None:
        """A status response in the connection's language; the text is English here."""

    async def breathe(self) -> None:
        """Between pieces of a long answer: gives way, and waits while the peer is slow."""

    def abort(self) -> None:
        """Cuts the connection: an answer cannot be completed any more."""

    def tell(self, expunge: bool) -> None:
        """Sends what changed in the selected mailbox."""

    # Input
    async def line(self) -> bytes:
        """The next line: the answer to a challenge, or what ends IDLE."""

    async def ask(self, challenge: bytes) -> bytes:
        """Sends a continuation request and gives the line that answers it."""

    def octets(self, announced: Announced) -> AsyncIterator[bytes]:
        """The octets of the literal that the command ends with, asked for if it is a
        synchronizing one, in pieces."""

    async def literal_end(self) -> None:
        """The end of the command behind `octets`. Raises BadSyntax when more follows."""

    async def more(self, collect: bool = False) -> Cursor:
        """The command behind `octets`, up to its end or its next literal. collect: that literal
        is read too, and what follows it."""

    async def give_up(self, cursor: Cursor, what: str) -> None:
        """Skips the rest of the command from `more`. Raises BadSyntax."""

    async def discard(self, announced: Announced) -> None:
        """Skips a literal that will not be used, and the end of the command."""

    @property
    def contexts(self) -> Any:
        """`contexts.Contexts`: the searches that are kept up to date."""

    # State
    def logged_in(self, account: Any) -> None:
        """The connection is authenticated."""

    def logged_out(self) -> None:
        """Everything but TLS is as it was before the login. Raises BadSyntax where that is
        switched off."""

    def select(self, view: Any) -> None:
        """A mailbox is selected, or none (None); the view that was held is closed."""

    def idle(self, on: bool) -> None:
        """Between these, changes are told as they happen."""

    async def follow_metadata(self) -> None:
        """From now on annotations that others change are told, with NOTIFY or without."""

    async def notify(self, wanted: Wanted) -> None:
        """What is told unasked from now on (RFC 5465); tells where things stand."""

    def speak(self, language: str) -> None:
        """Human-readable text is in this language from here on."""

    @property
    def preferred_language(self) -> str:
        """The one that the administrator prefers."""

    def enable(self, **features: bool | str) -> None:
        """Adds to the dialect."""

    def chosen(self, which: SequenceSet) -> SequenceSet:
        """The set against the view: `$` replaced. Raises BadSyntax for message numbers
        that do not exist (RFC 9051 9, seq-number)."""

    def identified(self, client: Mapping[str, str | None]) -> None:
        """The client said what it is; capabilities may be others now, which is told."""

    def capabilities(self) -> Sequence[bytes]:
        """What is offered now."""

    @property
    def message_limit(self) -> int:
        """Messages that one command may be about (RFC 9738), 0: no limit."""

    @property
    def save_limit(self) -> int:
        """Messages that one COPY may be about, 0: no limit."""

    @property
    def raw_headers(self) -> bool:
        """APPEND takes 8-bit header fields as they come; then UTF8=ACCEPT is not supported, which would
        forbid that (RFC 6855 4)."""

    @property
    def tls_available(self) -> bool:
        """STARTTLS can be given now."""

    async def begin_tls(self) -> None:
        """Drops all input, begins the handshake."""

    def compress(self) -> None:
        """Sends the tagged OK, then packs. Raises BadSyntax when it does already, or when input
        stands behind the command."""

    def quit(self) -> None:
        """The connection ends behind the command's tagged response."""
