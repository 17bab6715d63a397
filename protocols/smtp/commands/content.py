"""DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030): the content of the message.

Content goes to the transaction piece by piece. What has to be refused is refused when its end
is found, so that what follows is read as commands only when it is: too large, a bare CR or LF
(RFC 5321 2.3.8), a store that is full. Meanwhile the rest is read and dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

from protocols.lines import END, DottedData, EndOfData, has_bare
from protocols.smtp import responses
from protocols.smtp.commands.command import Channel, Command, Mail, OutOfStep, Refused, Session
from protocols.smtp.commands.transaction import needs_chunks
from protocols.smtp.grammar import Cursor
from protocols.smtp.interfaces import Role
from protocols.smtp.responses import Reply
from protocols.values import value

PATIENCE = 64 * 1024 * 1024
"""Octets over the size limit that are read for the sake of a polite answer."""


class Sink:
    """Takes content for a transaction until something is wrong, then only counts."""

    __slots__ = ("_deadline", "_limit", "_mail", "channel", "problem")

    def __init__(self, session: Session, mail: Mail | None, channel: Channel) -> None:
        self._mail = mail
        self._limit = session.limits.message
        self._deadline = channel.now() + session.limits.content
        self.channel = channel
        self.problem: Exception | None = None

    async def put(self, piece: bytes) -> None:
        mail = self._mail
        assert mail is not None
        mail.received += len(piece)
        if self._limit and mail.received > self._limit:
            if mail.received > self._limit + PATIENCE:
                raise OutOfStep("less content")
            self.problem = self.problem or Refused(responses.TOO_BIG)
        if self.problem is None:
            try:
                mail.transaction.write(piece)
                await mail.transaction.drained()
            except Exception as error:
                if self.channel.closing:
                    raise
                # Kept, not swallowed: raised to the server when the end of the data is found.
                self.problem = error
        self.in_time()

    def in_time(self) -> None:
        """However little comes at a time, all of it must come in time."""
        if self.channel.now() > self._deadline:
            raise OutOfStep("content in time")


async def _commit(session: Session, mail: Mail, channel: Channel) -> None:
    session.mail = None
    queue_id = await mail.transaction.commit()
    lowered = mail.transaction.lowered
    if lowered is None:
        channel.answer(Reply(250, "2.0.0", f"Ok: queued as {queue_id}"))
    else:
        # RFC 6710 4.1: whoever changes the priority says so.
        text = f"{lowered} is the new priority assigned to the message, queued as {queue_id}"
        channel.answer(Reply(250, "2.3.6", text))


async def _answer_each(session: Session, mail: Mail, channel: Channel, problem: Exception | None) -> None:
    """LMTP: the content has come; a reply for each recipient that was taken, in order (RFC 2033 4.2)."""
    session.mail = None
    outcomes: Sequence[str | Exception]
    if problem is not None:
        mail.transaction.refused(problem)
        mail.transaction.abandon()
        outcomes = [problem] * mail.recipients
    else:
        try:
            outcomes = await mail.transaction.commit_each()
        except Exception as error:
            if channel.closing:
                raise
            outcomes = [error] * mail.recipients
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            channel.answer(channel.explained(outcome))
        else:
            channel.answer(Reply(250, "2.0.0", f"Ok: queued as {outcome}"))


@value(frozen=True, slots=True)
class Data(Command):
    name: ClassVar[str] = "DATA"
    usage: ClassVar[str] = "DATA"
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False

    async def run(self, session: Session, channel: Channel) -> None:
        mail = session.mail
        if mail is None:
            raise Refused(responses.NEED_MAIL)
        if needs_chunks(mail):
            raise Refused(responses.BINARY_NEEDS_BDAT)
        if mail.chunking:
            raise Refused(responses.BDAT_BROKEN)
        if not mail.recipients:
            raise Refused(responses.NO_RECIPIENTS if session.refused else responses.NEED_RCPT)
        if session.strict:
            session.in_step(channel)
        channel.answer(responses.START_INPUT)
        content = DottedData(channel.input)
        sink = Sink(session, mail, channel)
        while True:
            piece: bytes | Literal[EndOfData.END] = await channel.pull(content.take)
            if piece is END:
                break
            await sink.put(piece)
        if content.bare and sink.problem is None:
            sink.problem = Refused(responses.BARE_CR_OR_LF)
        if session.role is Role.LMTP:
            await _answer_each(session, mail, channel, sink.problem)
            return
        if sink.problem is not None:
            mail.transaction.refused(sink.problem)
            session.reset()
            raise sink.problem
        await _commit(session, mail, channel)


@value(frozen=True, slots=True)
class Bdat(Command):
    """A chunk. It is read even when it cannot be taken: its octets are not commands."""

    name: ClassVar[str] = "BDAT"
    usage: ClassVar[str] = "BDAT <octets> [LAST]"
    # The server must see the size before anything may refuse the command.
    greeted: ClassVar[bool] = False
    free: ClassVar[bool] = True

    size: int
    last: bool

    @classmethod
    def parse(cls, cursor: Cursor) -> Bdat:
        """bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ]; chunk-size = 1*DIGIT"""
        words = cursor.rest().upper().split()
        if not words or not words[0].isdigit() or len(words[0]) > 18:
            raise OutOfStep("chunk size")
        size = int(words[0])
        if words[1:] not in ([], [b"LAST"]):
            raise OutOfStep("LAST")
        return cls(size, bool(words[1:]))

    async def run(self, session: Session, channel: Channel) -> None:
        mail = session.mail
        refusal = self._refusal(session, mail)
        if refusal is not None or mail is None:
            await self._skip(session, channel)
            raise Refused(refusal or responses.NEED_MAIL)
        mail.chunking = True
        sink = Sink(session, mail, channel)
        binary = needs_chunks(mail)
        left = self.size
        while left:
            piece = await channel.pull(partial(channel.input.some, left))
            left -= len(piece)
            if not binary:
                _look_for_bare(mail, piece)
            await sink.put(piece)
        if self.last and mail.last_cr:
            mail.bare = True
        if mail.bare and sink.problem is None:
            sink.problem = Refused(responses.BARE_CR_OR_LF)
        if self.last and session.role is Role.LMTP:
            await _answer_each(session, mail, channel, sink.problem)
            return
        if sink.problem is not None:
            # The transaction stays, broken, until RSET or the next greeting (RFC 3030 2).
            mail.broken = True
            mail.transaction.refused(sink.problem)
            mail.transaction.abandon()
            if self.last:
                session.mail = None
            raise sink.problem
        if self.last:
            await _commit(session, mail, channel)
        else:
            channel.answer(responses.CHUNK_OK)

    def _refusal(self, session: Session, mail: Mail | None) -> Reply | None:
        if session.client is None:
            return responses.NEED_HELLO
        if mail is None:
            return responses.NEED_MAIL
        if mail.broken:
            return responses.BDAT_BROKEN
        if not mail.recipients:
            return responses.NO_RECIPIENTS if session.refused else responses.NEED_RCPT
        return None

    async def _skip(self, session: Session, channel: Channel) -> None:
        if session.limits.message and self.size > session.limits.message + PATIENCE:
            raise OutOfStep("a smaller chunk")
        sink = Sink(session, None, channel)
        left = self.size
        while left:
            sink.in_time()
            left -= len(await channel.pull(partial(channel.input.some, left)))
        if self.last and session.mail is not None:
            session.reset()

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["CHUNKING", "BINARYMIME"]


def _look_for_bare(mail: Mail, piece: bytes) -> None:
    """CR and LF only as CRLF, pieces and chunks taken together (RFC 3030 2, RFC 5321 2.3.8)."""
    if mail.last_cr:
        if not piece.startswith(b"\n"):
            mail.bare = True
        piece = b"\r" + piece
    mail.last_cr = piece.endswith(b"\r")
    if mail.last_cr:
        piece = piece[:-1]
    if has_bare(piece):
        mail.bare = True
