"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT, EXPUNGE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed
from protocols.imap4.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class Select:
    """RFC 9051 6.3.2, RFC 3501 6.3.1, RFC 7162 3.1.8. A SELECT that fails leaves no mailbox
    selected."""

    name: str
    condstore: bool = False

    read_only: ClassVar[bool] = False

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Select:
        name = named(cursor)
        condstore = False
        if cursor.skip(b" "):
            for _ in cursor.items():
                if not cursor.keyword(b"CONDSTORE"):
                    raise cursor.fail("CONDSTORE")
                condstore = True
        return cls(name, condstore)

    async def run(self, account: Any, channel: Channel) -> Completed:
        if channel.view is not None:
            channel.select(None)
            if channel.dialect.rev2 or channel.dialect.condstore:
                channel.send(b"* OK [CLOSED] Previous mailbox closed\r\n")
        if self.condstore:
            channel.enable(condstore=True)
        dialect = channel.dialect
        view = await account.select(self.name, self.read_only, dialect)
        channel.select(view)
        channel.send(
            b"".join(
                [
                    b"* FLAGS (%b)\r\n" % view.flags,
                    responses.grown(view.exists, view.recent, dialect),
                    b"* OK [UNSEEN %d] First unseen\r\n" % view.first_unseen
                    if view.first_unseen and not dialect.rev2
                    else b"",
                    b"* OK [PERMANENTFLAGS (%b)] Flags that can be changed\r\n" % view.permanent_flags,
                    b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % view.uid_validity,
                    b"* OK [UIDNEXT %d] Predicted next UID\r\n" % view.uid_next,
                    b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % view.highest_modseq,
                    responses.listed(b"LIST", [], self.name, dialect) if dialect.rev2 else b"",
                ]
            )
        )
        return Completed(b"READ-ONLY" if view.read_only else b"READ-WRITE", "Selected")


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """RFC 9051 6.3.3."""

    read_only: ClassVar[bool] = True

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Examine:
        selected = Select.parse(cursor, uid)
        return cls(selected.name, selected.condstore)


@dataclass(frozen=True, slots=True)
class Check:
    """RFC 3501 6.4.1; what was acknowledged is on disk already."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Check:
        return cls()

    async def run(self, view: Any, channel: Channel) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Close:
    """RFC 9051 6.4.1: expunges without telling; no error where that may not be done (RFC 4314 4)."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Close:
        return cls()

    async def run(self, view: Any, channel: Channel) -> None:
        if view.may_expunge:
            await view.expunge(None)
        channel.select(None)


@dataclass(frozen=True, slots=True)
class Unselect:
    """RFC 9051 6.4.2, RFC 3691."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Unselect:
        return cls()

    async def run(self, view: Any, channel: Channel) -> None:
        channel.select(None)


@dataclass(frozen=True, slots=True)
class Expunge:
    """RFC 9051 6.4.3; UID EXPUNGE (6.4.9, RFC 4315 2.1) takes a set."""

    which: SequenceSet | None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Expunge:
        if not uid:
            return cls(None)
        cursor.space()
        return cls(cursor.sequence_set(uid=True))

    async def run(self, view: Any, channel: Channel) -> None:
        await view.expunge(None if self.which is None else channel.chosen(self.which))
