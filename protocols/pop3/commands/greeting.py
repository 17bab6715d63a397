"""CAPA, QUIT, NOOP, LANG and UTF8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols import languages
from protocols.pop3 import responses
from protocols.pop3.commands.command import Channel, Command, Refused, Session
from protocols.pop3.grammar import Cursor


@dataclass(frozen=True, slots=True)
class Capa(Command):
    """RFC 2449 5. What no command brings is said here."""

    name: ClassVar[str] = "CAPA"
    authorization: ClassVar[bool] = True

    async def run(self, session: Session, channel: Channel) -> None:
        from protocols.pop3.verbs import VERBS  # the table contains this command

        lines = [line for verb in VERBS.values() for line in verb.capabilities(session, channel)]
        lines += ["RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"]
        delay = session.door.login_delay()
        if delay:
            lines.append(f"LOGIN-DELAY {delay}")
        if session.maildrop is not None:  # RFC 2449 6.9: not told to strangers
            lines.append(f"IMPLEMENTATION {session.door.implementation}")
        channel.send(
            responses.listing("Capability list follows", [line.encode() for line in lines], channel.language)
        )


@dataclass(frozen=True, slots=True)
class Quit(Command):
    """RFC 1939 6: the UPDATE state, where what was marked is deleted."""

    name: ClassVar[str] = "QUIT"
    authorization: ClassVar[bool] = True

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = session.maildrop
        if maildrop is None:
            channel.send(responses.ok("Bye", channel.language))
            channel.finish()
            return
        try:
            done = not maildrop.deleted or await maildrop.drop.remove(sorted(maildrop.deleted))
        finally:
            # Before the answer: a client may log in again as soon as it has read it.
            session.maildrop = None
            maildrop.drop.close()
        channel.send(
            responses.ok("Bye", channel.language)
            if done
            else responses.err("Some messages were not deleted", b"", channel.language)
        )
        channel.finish()


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """RFC 1939 5."""

    name: ClassVar[str] = "NOOP"

    async def run(self, session: Session, channel: Channel) -> None:
        channel.send(responses.ok())


@dataclass(frozen=True, slots=True)
class Lang(Command):
    """RFC 6856 3. tag: a language range, None to list what there is."""

    name: ClassVar[str] = "LANG"
    authorization: ClassVar[bool] = True

    tag: bytes | None

    @classmethod
    def parse(cls, cursor: Cursor) -> Lang:
        tag = cursor.optional()
        cursor.nothing()
        return cls(tag)

    async def run(self, session: Session, channel: Channel) -> None:
        if self.tag is None:
            names = [f"{tag} {name}".encode() for tag, name in languages.NAMES.items()]
            channel.send(responses.listing("Language listing follows", names, channel.language))
            return
        tag = languages.choose([self.tag.decode("ascii", "replace")])
        if tag is None:
            raise Refused("That language is not spoken here")
        channel.language = tag
        channel.send(responses.ok(f"{tag} {languages.translate('Language changed', tag)}", tag))

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        return ["LANG"]


@dataclass(frozen=True, slots=True)
class Utf8(Command):
    """RFC 6856 2.1."""

    name: ClassVar[str] = "UTF8"
    authorization: ClassVar[bool] = True
    transaction: ClassVar[bool] = False

    async def run(self, session: Session, channel: Channel) -> None:
        session.utf8 = True
        channel.send(responses.ok("UTF8 enabled", channel.language))

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        return ["UTF8 USER"]
