"""What every POP3 command is, what it holds and what it answers on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from protocols.lines import InputBuffer, NeedData
from protocols.pop3.grammar import Cursor
from protocols.security import Security

T = TypeVar("T")


class Refused(Exception):
    """The protocol itself refuses: out of order, not offered, no such message.

    code: response code without brackets. bad: counts as a bad command.
    """

    def __init__(self, text: str, code: bytes = b"", bad: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.bad = bad


class Maildrop:
    """The TRANSACTION state: a locked maildrop and the deletions marked in it (RFC 1939 5)."""

    __slots__ = ("count", "deleted", "drop", "octets")

    def __init__(self, drop: Any) -> None:
        self.drop = drop
        self.deleted: set[int] = set()
        self.count = len(drop.sizes)
        self.octets = sum(drop.sizes)

    def index(self, number: int) -> int:
        """The index of a message number that is not marked as deleted."""
        index = number - 1
        if not 0 <= index < len(self.drop.sizes) or index in self.deleted:
            raise Refused("No such message")
        return index

    def delete(self, index: int) -> None:
        self.deleted.add(index)
        self.count -= 1
        self.octets -= self.drop.sizes[index]

    def reset(self) -> None:
        self.deleted.clear()
        self.count = len(self.drop.sizes)
        self.octets = sum(self.drop.sizes)


class Session:
    """What a connection holds. maildrop: None in the AUTHORIZATION state (RFC 1939 4).

    name: given by USER, for the PASS that follows. utf8: UTF-8 mode (RFC 6856 2.1).
    ended: the account may not go on; nothing more is sent.
    """

    __slots__ = ("door", "ended", "maildrop", "name", "utf8")

    def __init__(self, door: Any) -> None:
        self.door = door
        self.maildrop: Maildrop | None = None
        self.name: str | None = None
        self.utf8 = False
        self.ended = False


class Channel(Protocol):
    """What commands use of the server."""

    security: Security
    input: InputBuffer
    closing: bool
    language: str

    def send(self, data: bytes) -> None: ...
    def flush(self) -> None: ...
    async def breathe(self) -> None: ...
    async def pull(self, take: Callable[[], T | Literal[NeedData.NEED_DATA]], between: bool = False) -> T: ...
    async def discard_and_start_tls(self, context_factory: Any) -> None: ...
    def finish(self) -> None: ...
    def abort(self) -> None: ...
    def end(self) -> None: ...


class Command:
    """Base of all commands. name: the keyword. Refused outside of its states."""

    name: ClassVar[str]
    authorization: ClassVar[bool] = False
    transaction: ClassVar[bool] = True
    longest: ClassVar[int] = 255
    """Octets of the line with its CRLF (RFC 2449 4)."""

    @classmethod
    def parse(cls, cursor: Cursor) -> Command:
        cursor.nothing()
        return cls()

    async def run(self, session: Session, channel: Channel) -> None:
        raise NotImplementedError

    @staticmethod
    def capabilities(session: Session, channel: Channel) -> list[str]:
        """Lines of CAPA that this command brings, here and now."""
        return []


def opened(session: Session) -> Maildrop:
    """The maildrop; the server has refused what needs one without one."""
    assert session.maildrop is not None
    return session.maildrop
