"""STAT, LIST, UIDL, DELE and RSET: what there is, and what is to go (RFC 1939 5, 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from protocols.pop3 import responses
from protocols.pop3.commands.command import Channel, Command, Maildrop, Session, opened
from protocols.pop3.grammar import Cursor

LINES_A_TURN = 500


@dataclass(frozen=True, slots=True)
class Stat(Command):
    """What is marked as deleted is not counted."""

    name: ClassVar[str] = "STAT"

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = opened(session)
        channel.send(responses.ok(f"{maildrop.count} {maildrop.octets}"))


@dataclass(frozen=True, slots=True)
class _Scan(Command):
    """A listing of all messages, or a line about one. number: None for all."""

    number: int | None

    @classmethod
    def parse(cls, cursor: Cursor) -> Self:
        number = cursor.number("message number") if cursor.more else None
        cursor.nothing()
        return cls(number)

    async def _answer(
        self, maildrop: Maildrop, channel: Channel, line: Callable[[int], bytes], title: str
    ) -> None:
        if self.number is not None:
            channel.send(b"+OK " + line(maildrop.index(self.number)) + b"\r\n")
            return
        channel.send(responses.ok(title, channel.language))
        total = len(maildrop.drop.sizes)
        for start in range(0, total, LINES_A_TURN):
            indexes = range(start, min(start + LINES_A_TURN, total))
            channel.send(
                b"".join(line(index) + b"\r\n" for index in indexes if index not in maildrop.deleted)
            )
            await channel.breathe()
        channel.send(responses.END)


@dataclass(frozen=True, slots=True)
class List(_Scan):
    """scan listing = message-number SP octets"""

    name: ClassVar[str] = "LIST"

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = opened(session)
        sizes = maildrop.drop.sizes
        await self._answer(
            maildrop,
            channel,
            lambda index: b"%d %d" % (index + 1, sizes[index]),
            f"{maildrop.count} messages ({maildrop.octets} octets)",
        )


@dataclass(frozen=True, slots=True)
class Uidl(_Scan):
    """unique-id listing = message-number SP unique-id"""

    name: ClassVar[str] = "UIDL"

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = opened(session)
        unique_id = maildrop.drop.unique_id
        await self._answer(
            maildrop,
            channel,
            lambda index: b"%d %b" % (index + 1, unique_id(index)),
            "Unique-id listing follows",
        )

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        return ["UIDL"]


@dataclass(frozen=True, slots=True)
class Dele(Command):
    """Only marks: QUIT deletes."""

    name: ClassVar[str] = "DELE"

    number: int

    @classmethod
    def parse(cls, cursor: Cursor) -> Dele:
        number = cursor.number("message number")
        cursor.nothing()
        return cls(number)

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = opened(session)
        maildrop.delete(maildrop.index(self.number))
        channel.send(responses.ok(f"Message {self.number} deleted", channel.language))


@dataclass(frozen=True, slots=True)
class Rset(Command):
    name: ClassVar[str] = "RSET"

    async def run(self, session: Session, channel: Channel) -> None:
        maildrop = opened(session)
        maildrop.reset()
        channel.send(
            responses.ok(
                f"Maildrop has {maildrop.count} messages ({maildrop.octets} octets)", channel.language
            )
        )
