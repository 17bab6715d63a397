"""Commands and their replies on a client's connection: what everything an SMTP client says is made of.

Replies come in the order of the commands. Where a transaction is begun behind the end of another one's
content (imsd asks for that, RFC 2920 3.1), its replies are read when the other's last one was: `turn`.
"""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.internet.defer import Deferred

from protocols.smtp.responses import Reply
from protocols.smtp.wire import BadReply, ClientError, Disconnected, Output, Rejected, Timeouts, Wire


class Dialogue:
    """A connection. `extensions` maps upper-case EHLO keywords to their parameters."""

    def __init__(self, wire: Wire, timeouts: Timeouts) -> None:
        self._wire = wire
        self._times = timeouts
        self.extensions: dict[str, str] = {}
        self.encrypted = False
        self._awaited: Deferred[None] | None = None
        """Fires when the last reply of the transaction was read whose content is already sent."""
        self.transport.registerProducer(Output(wire), True)

    @property
    def usable(self) -> bool:
        """Whether another transaction may be tried on this connection."""
        return self._wire.failure is None

    @property
    def size_limit(self) -> int:
        """Octets that the server takes; 0: it does not say (RFC 1870 4)."""
        value = self.extensions.get("SIZE", "")
        return int(value) if value.isdigit() and len(value) <= 20 else 0

    @property
    def transport(self) -> Any:
        """For `getPeer`, `getHost` and, once encrypted, `getPeerCertificate`."""
        return self._wire.transport

    async def turn(self) -> None:
        """Wait until every reply that others wait for has been read."""
        while self._awaited is not None:
            self._wire.flush()
            mine: Deferred[None] = Deferred()
            self._awaited.addCallback(mine.callback)
            await mine

    async def _command(self, line: str, seconds: float, more: bool = False) -> Reply:
        """One command and its reply. more: the server may ask for more (334, 354)."""
        return await self._line(encode(line), seconds, more)

    async def _line(self, line: bytes, seconds: float, more: bool = False) -> Reply:
        if self._awaited is not None:
            await self.turn()
        self._check_silence()
        self._wire.say(line)
        reply = await (self._wire.reply(seconds) if more else self._final(seconds))
        if reply.code == 421:
            self._wire.fail(Disconnected(str(reply)))
            raise Rejected(reply, line.split()[0].decode("ascii"))
        return reply

    async def _final(self, seconds: float) -> Reply:
        """A reply that ends something: 3yz does not, and means nothing here (RFC 5321 4.2.1)."""
        reply = await self._wire.reply(seconds)
        if 300 <= reply.code < 400:
            self._fail(BadReply(f"out of place: {reply}"))
        return reply

    def _check_silence(self) -> None:
        """What was said before it was asked for must not be taken for an answer; a server may only
        say goodbye by itself (RFC 5321 3.8)."""
        early = self._wire.early
        if early is not None:
            said = str(early)
            self._fail(Disconnected(said) if early.code == 421 else BadReply(f"not asked for: {said}"))

    def _fail(self, error: ClientError) -> NoReturn:
        self._wire.fail(error)
        raise error

    def abort(self, why: str = "aborted") -> None:
        """Close at once, in the middle of whatever is going on."""
        self._wire.fail(Disconnected(why))


def encode(line: str) -> bytes:
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError("a command is one line")
    return line.encode("utf-8") + b"\r\n"
