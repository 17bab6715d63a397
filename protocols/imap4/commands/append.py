"""APPEND (RFC 9051 6.3.12, RFC 4315 3, RFC 3516 4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocols.errors import BadSyntax
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Announced, Cursor
from protocols.imap4.responses import Completed


@dataclass(frozen=True, slots=True)
class Append:
    """The message is streamed: what can be refused is refused before a synchronizing
    literal is asked for, and a refused non-synchronizing one is skipped."""

    name: str
    flags: tuple[bytes, ...]
    internal_date: int | None
    message: Announced

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Append:
        name = named(cursor)
        cursor.space()
        flags: tuple[bytes, ...] = ()
        internal_date = None
        if cursor.at(b"("):
            flags = cursor.flag_list()
            cursor.space()
        if cursor.at(b'"'):
            internal_date = cursor.date_time()
            cursor.space()
        return cls(name, flags, internal_date, cursor.message_literal())

    async def run(self, account: Any, channel: Channel) -> Completed:
        try:
            sink = await account.append(self.name, self.flags, self.internal_date, self.message.size)
        except Exception:
            await channel.discard(self.message)
            raise
        refusal: Exception | None = None
        try:
            async for piece in channel.octets(self.message):
                if refusal is None:
                    try:
                        if not self.message.binary and b"\0" in piece:
                            raise BadSyntax("a literal without NUL")
                        pause = sink.write(piece)
                        if pause is not None:
                            await pause
                    except Exception as error:
                        # The rest of the literal is on its way all the same.
                        refusal = error
            await channel.literal_end()
            if refusal is not None:
                raise refusal
            done = await sink.finish()
        except BaseException:
            sink.abandon()
            raise
        if not done.uid:
            return Completed()
        return Completed(b"APPENDUID %d %d" % (done.uid_validity, done.uid), "Appended")
