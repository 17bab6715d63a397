"""VRFY, EXPN, HELP: questions that change nothing (RFC 5321 3.5, 4.1.1.6 to 4.1.1.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.smtp import responses
from protocols.smtp.commands.command import Channel, Command, Refused, Session
from protocols.smtp.grammar import BadArgument, Cursor
from protocols.smtp.responses import Reply


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """Always 252: who exists is told to senders at RCPT, to nobody else (RFC 5321 7.3)."""

    name: ClassVar[str] = "VRFY"
    usage: ClassVar[str] = "VRFY <string>"
    free: ClassVar[bool] = False
    longest: ClassVar[int] = 1024

    @classmethod
    def parse(cls, cursor: Cursor) -> Vrfy:
        if not cursor.rest():
            raise BadArgument("string expected")
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        channel.answer(responses.CANNOT_VERIFY)


@dataclass(frozen=True, slots=True)
class Expn(Command):
    """Known, and not offered (RFC 5321 3.5.1)."""

    name: ClassVar[str] = "EXPN"
    usage: ClassVar[str] = "EXPN <string> (not implemented)"
    longest: ClassVar[int] = 1024

    @classmethod
    def parse(cls, cursor: Cursor) -> Expn:
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        raise Refused(responses.NOT_IMPLEMENTED)


@dataclass(frozen=True, slots=True)
class Help(Command):
    name: ClassVar[str] = "HELP"
    usage: ClassVar[str] = "HELP [<command>]"

    topic: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Help:
        return cls(cursor.rest().decode("ascii", "replace").upper())

    async def run(self, session: Session, channel: Channel) -> None:
        from protocols.smtp.verbs import VERBS

        if not self.topic:
            names = " ".join(verb.name for verb in VERBS.values())
            channel.answer(Reply(214, "2.0.0", f"Commands:\n{names}\nHELP <command> tells its syntax"))
            return
        verb = VERBS.get(self.topic.encode("ascii", "replace"))
        if verb is None:
            raise Refused(Reply(504, "5.5.4", "No help for that"))
        channel.answer(Reply(214, "2.0.0", verb.usage))

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["HELP"]
