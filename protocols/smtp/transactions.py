"""A mail transaction as a client does it: MAIL, RCPT, and the content by DATA or BDAT.

1. Where the server offers PIPELINING a transaction is two groups (RFC 2920 3.1): MAIL, every RCPT and
   DATA; then the content. The next transaction's first group may go behind the content, so a message
   costs one round trip.
2. Content is sent only after 354, and not after MAIL was refused or no recipient accepted: where 354
   came all the same a dot alone answers it, or, if MAIL was refused, the connection is closed.
3. BDAT waits for the replies to the envelope, and nothing follows it unasked: content that goes to a
   server which has refused every recipient would be for it to tell from commands, and a reply too many
   could be taken for the one to the content, where DATA has 354 between them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from protocols.lines import CanonicalLines, DotStuffer
from protocols.smtp.dialogue import Dialogue, encode
from protocols.smtp.parameters import (
    BINARY,
    NO_MAIL_PARAMETERS,
    NO_RCPT_PARAMETERS,
    MailParameters,
    RcptParameters,
)
from protocols.smtp.responses import Reply
from protocols.smtp.wire import (
    BadReply,
    ClientError,
    Disconnected,
    MissingExtension,
    OutOfSequence,
    Rejected,
    Timeouts,
    Wire,
)

_DATA = b"DATA\r\n"


class Transactions(Dialogue):
    """Transactions on a connection, one after the other, each begun when the content of the one before it
    is sent at the earliest."""

    def __init__(self, wire: Wire, timeouts: Timeouts) -> None:
        super().__init__(wire, timeouts)
        self._completed = False
        self._asked: Reply | ClientError | None = None
        """What came of the DATA that went along with the envelope."""

    async def envelope(
        self,
        reverse_path: str,
        recipients: Sequence[tuple[str, RcptParameters] | str],
        parameters: MailParameters = NO_MAIL_PARAMETERS,
        data: bool = False,
    ) -> list[Reply]:
        """MAIL and all RCPTs, pipelined when offered (RFC 2920); one reply per recipient.

        data: ask for the content along with them where that can be (rule 1). May be called as soon as
        `sent` of the transaction before was.

        Rejected: MAIL was refused, the transaction is reset. When no recipient was accepted the
        caller calls `reset` (or `quit`) instead of `data`. OutOfSequence: the server knows no second
        transaction, not even after RSET (503, ims_spec 5.2).
        """
        self._check(reverse_path, recipients, parameters)
        commands = [f"MAIL FROM:<{reverse_path}>{parameters.encode(self.extensions).decode('ascii')}"]
        for item in recipients:
            address, extra = (item, NO_RCPT_PARAMETERS) if isinstance(item, str) else item
            commands.append(f"RCPT TO:<{address}>{extra.encode(self.extensions).decode('ascii')}")
        lines = [encode(command) for command in commands]
        data = data and "PIPELINING" in self.extensions and "CHUNKING" not in self.extensions
        first, results = await self._envelope(lines, data)
        if first.code == 503 and self._completed and self.usable:
            await self.reset()
            first, results = await self._envelope(lines, data)
            if first.code == 503:
                self._fail(OutOfSequence(str(first)))
        if not first.positive:
            await self._after_refusal(first)
            raise Rejected(first, "MAIL")
        closing = next((reply for reply in results if reply.code == 421), None)
        if closing is not None:
            self._wire.fail(Disconnected(str(closing)))
        return results

    async def _envelope(self, lines: list[bytes], data: bool) -> tuple[Reply, list[Reply]]:
        """The replies to MAIL and to each RCPT."""
        if "PIPELINING" in self.extensions:
            if self._awaited is None:
                self._check_silence()
            self._wire.say(b"".join([*lines, _DATA] if data else lines))
            await self.turn()
            first = await self._final(self._times.mail)
            results = [await self._final(self._times.rcpt) for _ in lines[1:]]
            if data and all(reply.code != 421 for reply in (first, *results)):
                await self._ask(first)
            return first, results
        first = await self._line(lines[0], self._times.mail)
        results = []
        if first.positive:
            results = [await self._line(line, self._times.rcpt) for line in lines[1:]]
        return first, results

    async def _ask(self, first: Reply) -> None:
        """Read the reply to DATA, for `data` or `reset`. first: that to MAIL."""
        try:
            self._asked = reply = await self._wire.reply(self._times.data)
        except ClientError as error:
            self._asked = error
            return
        if reply.code == 421:
            self._asked = Rejected(reply, "DATA")
            self._wire.fail(Disconnected(str(reply)))
        elif reply.code == 354 and not first.positive:
            # It would take content for a transaction that is none of ours.
            self._wire.fail(BadReply(f"354 to DATA after {first} to MAIL"))

    async def _answer(self) -> Reply:
        """What DATA was answered."""
        asked, self._asked = self._asked, None
        if asked is None:
            return await self._line(_DATA, self._times.data, more=True)
        if isinstance(asked, ClientError):
            raise asked
        return asked

    def _check(self, reverse_path: str, recipients: Sequence[Any], parameters: MailParameters) -> None:
        if parameters.body == BINARY and not {"BINARYMIME", "CHUNKING"} <= self.extensions.keys():
            raise MissingExtension("BINARYMIME")
        addresses = [reverse_path, *(item if isinstance(item, str) else item[0] for item in recipients)]
        if (
            parameters.smtputf8 or not all(map(str.isascii, addresses))
        ) and "SMTPUTF8" not in self.extensions:
            raise MissingExtension("SMTPUTF8")
        if parameters.requiretls and not (self.encrypted and "REQUIRETLS" in self.extensions):
            raise MissingExtension("REQUIRETLS")  # RFC 8689 4.2.1: never without.
        if self.size_limit and parameters.size > self.size_limit:
            text = f"Message is larger than the {self.size_limit} octets offered"
            raise Rejected(Reply(552, "5.3.4", text), "MAIL")

    async def _after_refusal(self, reply: Reply) -> None:
        if reply.code == 421:
            self._wire.fail(Disconnected(str(reply)))
        elif self.usable:
            await self.reset()

    async def data(
        self,
        pieces: AsyncIterator[bytes],
        binary: bool = False,
        sent: Callable[[], None] | None = None,
    ) -> Reply:
        """Send the content, by BDAT when CHUNKING is offered (RFC 3030), else by DATA.

        Unless it is binary a bare CR or LF becomes CRLF: whoever reads lines in another way than we do,
        here or further on, sees the end of one message and no second one.

        The reply decides (positive: the server is responsible now). If `pieces` raises, the
        connection is aborted, so that nothing cut short is ever taken for the whole, and the
        error goes on. sent: called when the next transaction may be begun, if that is before this
        one's end.
        """
        try:
            if "CHUNKING" in self.extensions:
                reply = await self._chunks(pieces if binary else _canonical(pieces))
            else:
                reply = await self._dotted(pieces, sent)
            if reply.code == 421:
                self._wire.fail(Disconnected(str(reply)))
            self._completed |= reply.positive
        except BaseException:
            self.abort()
            raise
        finally:
            awaited, self._awaited = self._awaited, None
            if awaited is not None:
                awaited.callback(None)
        return reply

    async def _dotted(self, pieces: AsyncIterator[bytes], sent: Callable[[], None] | None) -> Reply:
        reply = await self._answer()
        if reply.code != 354:
            return reply if not reply.positive else Reply(554, "5.5.0", f"Unexpected reply to DATA: {reply}")
        lines, stuffer = CanonicalLines(), DotStuffer()
        async for piece in pieces:
            self._wire.send(stuffer.stuff(lines.feed(piece)))
            await self._wire.drained(self._times.block)
        early = self._wire.early
        if early is None or early.code < 400:
            self._check_silence()
        self._wire.send(stuffer.stuff(lines.finish()) + stuffer.finish())
        if sent is not None and "PIPELINING" in self.extensions:
            self._awaited = Deferred()
            sent()
        return await self._final(self._times.final)

    async def _chunks(self, pieces: AsyncIterator[bytes]) -> Reply:
        held: bytes | None = None
        async for piece in pieces:
            if held is not None:
                reply = await self._chunk(held, last=False)
                if not reply.positive:
                    return reply
            held = piece
        return await self._chunk(held or b"", last=True)

    async def _chunk(self, piece: bytes, last: bool) -> Reply:
        self._check_silence()
        self._wire.say(b"BDAT %d%b\r\n" % (len(piece), b" LAST" if last else b""))
        self._wire.send(piece)
        await self._wire.drained(self._times.block)
        return await self._final(self._times.final if last else self._times.block)

    async def reset(self) -> None:
        """RSET. A DATA that was granted for no recipient is answered first (rule 2)."""
        if self._asked is not None:
            reply = await self._answer()
            if reply.code == 354:
                self._wire.send(b".\r\n")
                await self._final(self._times.final)
        reply = await self._command("RSET", self._times.other)
        if reply.code != 250:
            self._wire.fail(BadReply(f"RSET: {reply}"))
            raise Rejected(reply, "RSET")


async def _canonical(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content with CRLF alone, and at its end (RFC 5321 2.3.8)."""
    lines, last = CanonicalLines(), b""
    async for piece in pieces:
        data = lines.feed(piece)
        if data:
            last = data[-1:]
            yield data
    data = lines.finish()
    if data or last not in (b"", b"\n"):
        yield data or b"\r\n"
