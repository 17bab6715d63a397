"""VRFY, EXPN, HELP: questions that change nothing (RFC 5321 3.5, 4.1.1.6 to 4.1.1.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.smtp import responses
from protocols.smtp.commands.command import Channel, Command, Refused, Session
from protocols.smtp.grammar import BadArgument, Cursor
from protocols.smtp.interfaces import Telling
from protocols.smtp.responses import Reply


def _told(session: Session, whom: Telling) -> bool:
    return whom == "on" or (whom == "authenticated" and session.identity is not None)


@dataclass(frozen=True, slots=True)
class Vrfy(Command):
    """252 unless the site lets it tell: who exists is told to senders at RCPT (RFC 5321 7.3)."""

    name: ClassVar[str] = "VRFY"
    usage: ClassVar[str] = "VRFY <string>"
    free: ClassVar[bool] = False
    longest: ClassVar[int] = 1024

    text: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Vrfy:
        return cls(_text(cursor))

    async def run(self, session: Session, channel: Channel) -> None:
        if not _told(session, session.limits.vrfy):
            channel.answer(responses.CANNOT_VERIFY)
            return
        try:
            address = await session.own.verify(self.text)
        except Exception:
            # Guessing at addresses is counted, here as at RCPT.
            session.refused += 1
            raise
        channel.answer(Reply(250, "2.1.5", f"<{address}>"))

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["VRFY"] if session.limits.vrfy != "off" else []


@dataclass(frozen=True, slots=True)
class Expn(Command):
    """Who is on a list, where the site lets it tell (RFC 5321 3.5.1, 7.3)."""

    name: ClassVar[str] = "EXPN"
    usage: ClassVar[str] = "EXPN <string>"
    free: ClassVar[bool] = False
    longest: ClassVar[int] = 1024

    text: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Expn:
        return cls(_text(cursor))

    @staticmethod
    def works(session: Session) -> bool:
        return session.limits.expn != "off"

    async def run(self, session: Session, channel: Channel) -> None:
        whom = session.limits.expn
        if whom == "off":
            raise Refused(responses.NOT_IMPLEMENTED)
        if not _told(session, whom):
            raise Refused(responses.NEED_AUTH)
        try:
            members = await session.own.expand(self.text)
        except Exception:
            session.refused += 1
            raise
        lines = "\n".join(f"<{address}>" for address in members)
        channel.answer(Reply(250, "2.1.5", lines or "Nobody is on that list"))

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["EXPN"] if session.limits.expn != "off" else []


def _text(cursor: Cursor) -> str:
    text = cursor.rest()
    if not text:
        raise BadArgument("string expected")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise BadArgument("UTF-8 expected") from None


@dataclass(frozen=True, slots=True)
class Help(Command):
    name: ClassVar[str] = "HELP"
    usage: ClassVar[str] = "HELP [<command>]"

    topic: str

    @classmethod
    def parse(cls, cursor: Cursor) -> Help:
        return cls(cursor.rest().decode("ascii", "replace").upper())

    async def run(self, session: Session, channel: Channel) -> None:
        from protocols.smtp.verbs import table

        verbs = table(session.role)
        if not self.topic:
            names = " ".join(verb.name for verb in verbs.values() if verb.works(session))
            channel.answer(Reply(214, "2.0.0", f"Commands:\n{names}\nHELP <command> tells its syntax"))
            return
        verb = verbs.get(self.topic.encode("ascii", "replace"))
        if verb is None or not verb.works(session):
            raise Refused(Reply(504, "5.5.4", "No help for that"))
        channel.answer(Reply(214, "2.0.0", verb.usage))

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        return ["HELP"]
