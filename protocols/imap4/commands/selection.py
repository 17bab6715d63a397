"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT, EXPUNGE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands import limits
from protocols.imap4.commands.fetch import send_vanished
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import MAX63, Cursor
from protocols.imap4.responses import Completed
from protocols.imap4.sets import STAR, Listed, Ranges, SequenceSet


@dataclass(frozen=True, slots=True)
class Known:
    """What a client knew when it was here last (RFC 7162 3.2.5).

    uids: those it wants to hear of, None for all. numbers, their_uids: a sample of message
    numbers and the UIDs they had, both ascending.
    """

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    numbers: Ranges = ()
    their_uids: Ranges = ()

    @classmethod
    def parse(cls, cursor: Cursor) -> Known:
        # "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
        cursor.expect(b"(")
        uid_validity = cursor.number()
        cursor.space()
        modseq = cursor.number(MAX63)
        uids = None
        numbers: Ranges = ()
        their_uids: Ranges = ()
        if cursor.skip(b" "):
            if not cursor.at(b"("):
                uids = _known(cursor)
            if uids is None or cursor.skip(b" "):
                if cursor.dialect.uidonly:
                    # RFC 9586 3.7
                    raise cursor.fail("no message numbers, once UIDONLY is enabled", b"UIDREQUIRED")
                cursor.expect(b"(")
                numbers = _known(cursor).ranges
                cursor.space()
                their_uids = _known(cursor).ranges
                cursor.expect(b")")
        cursor.expect(b")")
        return cls(uid_validity, modseq, uids, numbers, their_uids)

    def sure_up_to(self, view: Any) -> int:
        """The highest UID up to which the sample shows that the client has missed no expunge
        (RFC 7162 3.2.5.2). Where one pair fits, those before it do: found by halving."""
        numbers, uids = Listed(self.numbers), Listed(self.their_uids)
        low, high = 0, min(len(numbers), len(uids))
        while low < high:
            middle = (low + high) // 2
            if view.uid_of(numbers[middle]) == uids[middle]:
                low = middle + 1
            else:
                high = middle
        return uids[low - 1] if low else 0


def _known(cursor: Cursor) -> SequenceSet:
    """known-uids, known-sequence-set, known-uid-set: a sequence-set without `*` or `$`."""
    start = cursor.position
    found = cursor.sequence_set(uid=True)
    if found.saved or any(STAR in element for element in found.ranges):
        cursor.position = start
        raise cursor.fail("a set without *")
    return found


@dataclass(frozen=True, slots=True)
class Select:
    """RFC 9051 6.3.2, RFC 3501 6.3.1, RFC 7162 3.1.8, 3.2.5. A SELECT that fails leaves no
    mailbox selected."""

    name: str
    condstore: bool = False
    known: Known | None = None

    read_only: ClassVar[bool] = False

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Select:
        name = named(cursor)
        condstore = False
        known = None
        if cursor.skip(b" "):
            for _ in cursor.items():
                if cursor.dialect.qresync and cursor.keyword(b"QRESYNC"):
                    cursor.space()
                    known = Known.parse(cursor)
                elif cursor.keyword(b"CONDSTORE"):
                    cursor.need(b"CONDSTORE")
                    condstore = True
                else:
                    raise cursor.fail("a parameter that may be given here")
        return cls(name, condstore, known)

    async def run(self, account: Any, channel: Channel) -> Completed:
        if channel.view is not None:
            channel.select(None)
            # RFC 7162 3.2.11: whatever was enabled.
            channel.say(b"*", b"OK", b"CLOSED", "Previous mailbox closed")
        if self.condstore:
            channel.enable(condstore=True)
        dialect = channel.dialect
        view = await account.select(self.name, self.read_only, dialect)
        channel.select(view)
        channel.send(b"* FLAGS (%b)\r\n" % view.flags)
        channel.send(responses.grown(view.exists, view.recent, dialect))
        if not (dialect.rev2 or dialect.uidonly) and view.first_unseen:
            channel.say(b"*", b"OK", b"UNSEEN %d" % view.first_unseen, "First unseen")
        may = b"PERMANENTFLAGS (%b)" % view.permanent_flags
        channel.say(b"*", b"OK", may, "Flags that can be changed")
        channel.say(b"*", b"OK", b"UIDVALIDITY %d" % view.uid_validity, "UIDs valid")
        channel.say(b"*", b"OK", b"UIDNEXT %d" % view.uid_next, "Predicted next UID")
        if b"OBJECTID" not in dialect.off:
            channel.say(b"*", b"OK", b"MAILBOXID (%b)" % view.mailbox_id, "Identity")
        if b"CONDSTORE" not in dialect.off:
            channel.say(b"*", b"OK", b"HIGHESTMODSEQ %d" % view.highest_modseq, "Highest")
        if b"URLAUTH" in channel.capabilities():
            channel.send(responses.url_mechanisms(dialect.language))
        if dialect.rev2:
            channel.send(responses.listed(b"LIST", [], self.name, dialect))
        if self.known is not None and self.known.uid_validity == view.uid_validity:
            await self._resynchronize(self.known, view, channel)
        return Completed(b"READ-ONLY" if view.read_only else b"READ-WRITE", "Selected")

    @staticmethod
    async def _resynchronize(known: Known, view: Any, channel: Channel) -> None:
        """As UID FETCH known (FLAGS) (CHANGEDSINCE modseq VANISHED) (RFC 7162 3.2.5.1)."""
        if known.modseq >= view.highest_modseq or view.uid_next == 1:
            return
        which = known.uids or SequenceSet(((1, max(view.uid_next - 1, 1)),), uid=True)
        await send_vanished(view, channel, which, known.modseq, known.sure_up_to(view))
        for rows in view.rows(which, known.modseq):
            channel.send(responses.flags_of(rows, channel.dialect, uid=True))
            await channel.breathe()


@dataclass(frozen=True, slots=True)
class Examine(Select):
    """RFC 9051 6.3.3."""

    read_only: ClassVar[bool] = True

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Examine:
        selected = Select.parse(cursor, uid)
        return cls(selected.name, selected.condstore, selected.known)


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

    async def run(self, view: Any, channel: Channel) -> Completed | None:
        if self.which is None:
            # RFC 9738 3.1: never limited.
            return changed(channel) if await view.expunge(None) else None
        which = channel.chosen(self.which)
        part = limits.Within(which)
        if channel.message_limit:
            part = limits.among(view, channel, which, limits.flagged(view, which, b"\\Deleted"))
        count = await view.expunge(part.which)
        return part.completed(channel, changed(channel) if count else None)


def changed(channel: Channel, text: str = "") -> Completed | None:
    """After messages were removed: with QRESYNC the tagged response says where the client
    stands, once it was told (RFC 7162 3.2.7, 3.2.9; RFC 6851 4.4)."""
    if not channel.dialect.qresync:
        return None
    channel.tell(expunge=True)
    return Completed(b"HIGHESTMODSEQ %d" % channel.view.highest_modseq, text)
