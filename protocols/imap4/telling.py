"""What a connection tells unasked: of the selected mailbox, of searches, of other mailboxes.

1. `tell` sends what the view has to say, where a command lets it, and in IDLE; `rest` goes on
   with what has to be read first: search contexts, then FETCH of new messages, then notices
   of other mailboxes. Both run where commands do, never beside one.
2. With NOTIFY (RFC 5465) all of it is told between commands too. Who has news only says so
   (`hear`); it is worked out when the client has taken what was sent before.
3. Of the selected mailbox only that is told which NOTIFY asked for; before the first NOTIFY,
   everything, but only while a command runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.fetch import tell_new
from protocols.imap4.contexts import Contexts
from protocols.imap4.events import Event, Selected, Wanted
from protocols.imap4.grammar import MAX32
from protocols.imap4.sets import SequenceSet
from protocols.imap4.values import Expunged, FlagsNow, Grown, Update


class Teller:
    """Of one connection. nudge: called when there may be something to tell."""

    def __init__(self, channel: Channel, now: Callable[[], float], nudge: Callable[[], object]) -> None:
        self._channel = channel
        self._nudge = nudge
        self.contexts = Contexts(channel, now)
        self.idling = False
        self.heard = False
        # None: no NOTIFY was given.
        self._selected: Selected | None = None
        self._notices: Any = None
        # New messages were told, with UIDs above this, that are to be fetched.
        self._above: int | None = None
        self._stirred: set[int] = set()

    # What is told --------------------------------------------------------------------------

    @property
    def between(self) -> bool:
        """News is told between commands."""
        return self._notices is not None

    @property
    def expunges(self) -> bool:
        """EXPUNGE may be sent between commands."""
        return self.idling or (self._selected is not None and not self._selected.delayed)

    def attend(self) -> None:
        """Listen to the view that is selected now, if there is reason to."""
        view = self._channel.view
        if view is not None:
            listens = self.idling or bool(self._selected and self._selected.events)
            view.watch(self.hear if listens else None)

    def hear(self) -> None:
        """There may be news."""
        self.heard = True
        self._nudge()

    def leave(self) -> None:
        """The selection ends."""
        self.contexts.clear()
        self._stirred.clear()
        self._above = None
        if self._channel.account is not None:
            self._channel.account.made.clear()

    def idle(self, on: bool) -> None:
        self.idling = on
        self.attend()
        if on:
            self.heard = True

    async def notify(self, wanted: Wanted) -> None:
        """NOTIFY SET, and NOTIFY NONE where nothing is wanted. What has gathered is told first, all
        of it (RFC 5465 3.1)."""
        self._selected = None
        self._channel.tell(expunge=True)
        self.silence()
        self._selected = wanted.selected
        metadata = self._channel.dialect.metadata
        wanted = replace(wanted, metadata=metadata)
        if wanted.selected.events or wanted.groups or metadata:
            self._notices = await self._channel.account.notify(wanted, self.hear)
            pieces = self._notices.first()
            try:
                async for found in pieces:
                    for notice in found:
                        self._channel.send(responses.notice(notice, self._channel.dialect))
                    await self._channel.breathe()
            finally:
                await pieces.aclose()
        self.attend()

    async def follow_metadata(self) -> None:
        """ENABLE METADATA; NOTIFY, when it comes, goes on with it."""
        if self._notices is None:
            self._notices = await self._channel.account.notify(Wanted(metadata=True), self.hear)
            self.attend()

    def silence(self) -> None:
        """As after NOTIFY NONE."""
        if self._notices is not None:
            self._notices.close()
            self._notices = None
        if self._selected is not None:
            self._selected = Selected()
        self.attend()

    def end(self) -> None:
        """The account is left; the next one begins without NOTIFY."""
        self.silence()
        self._selected = None

    # Telling -------------------------------------------------------------------------------

    def tell(self, expunge: bool, uid: bool, removes: bool) -> None:
        """What changed in the selected mailbox. removes: the command may have removed messages,
        which is an answer and no news."""
        view, channel, selected = self._channel.view, self._channel, self._selected
        if selected is None or removes or selected.events:
            last = view.uid_of(view.exists)
            changes: Iterator[Update] = view.updates(expunge)
            if selected is not None or self.contexts:
                uid = uid or selected is not None
                changes = self._looked_at(list(changes), last)
                if self.contexts:
                    self._stirred.update(view.stirred())
            data = responses.updates(changes, channel.dialect, uid)
            if data:
                channel.send(data)
        if self._above is None:
            channel.account.made.clear()

    def _looked_at(self, changes: list[Update], last: int) -> Iterator[Update]:
        """Updates on their way to the client. last: the greatest UID told before."""
        if self.contexts:
            gone = [change for change in changes if isinstance(change, Expunged)]
            # The n-th of them is told when n before it are gone.
            data = self.contexts.removed([(change.sequence + n, change.uid) for n, change in enumerate(gone)])
            if data:
                self._channel.send(data)
        for change in changes:
            if isinstance(change, Grown) and self._above is None:
                self._above = last
            if (
                isinstance(change, FlagsNow)
                and self._selected is not None
                and Event.FLAGS not in self._selected.events
            ):
                continue
            yield change

    @property
    def rests(self) -> bool:
        """`rest` has something to do."""
        return bool(self.contexts) or self._above is not None or self._notices is not None

    async def rest(self, most: int) -> None:
        """What has to be read to be told. most: batches of notices; there may be more then."""
        self.heard = False
        channel = self._channel
        fetched: dict[int, tuple[object, ...]] = {}
        if self.contexts and channel.view is not None:
            stirred = sorted(uid for uid in self._stirred if channel.view.sequences([uid]))
            self._stirred.clear()
            fetched = await self.contexts.update(channel.view, stirred, channel.breathe)
        if self._above is not None and channel.view is not None:
            await self._tell_new(channel.view, fetched)
        if self._notices is not None:
            await self._tell_notices(most)

    async def _tell_new(self, view: Any, fetched: dict[int, tuple[object, ...]]) -> None:
        """FETCH of new messages that others made (RFC 5465 5.2, 7), one response for each."""
        above, self._above = self._above or 0, None
        items = self._selected.items if self._selected is not None else ()
        made: set[int] = self._channel.account.made
        together: list[int] = []
        for uid in view.uids(SequenceSet(((above + 1, MAX32),), uid=True)):
            more = fetched.get(uid, ())
            if uid in made or not (items or more):
                continue
            if not more:
                together.append(uid)
                continue
            if together:
                await tell_new(view, self._channel, together, items)
                together = []
            await tell_new(view, self._channel, [uid], tuple(dict.fromkeys((*items, *more))))
        if together:
            await tell_new(view, self._channel, together, items)
        made.clear()

    async def _tell_notices(self, most: int) -> None:
        for _ in range(most):
            found = await self._notices.take()
            if self._notices.overflowed:
                self._channel.say(b"*", b"OK", b"NOTIFICATIONOVERFLOW", "Too much happened; use NOTIFY again")
                self.silence()
                return
            if not found:
                return
            for notice in found:
                self._channel.send(responses.notice(notice, self._channel.dialect))
            await self._channel.breathe()
        self.heard = True

    def give_up(self) -> None:
        """After an error: the client is told what it will not hear any more."""
        self.contexts.give_up()
        if self._notices is not None:
            self._channel.say(b"*", b"OK", b"NOTIFICATIONOVERFLOW", "Too much happened; use NOTIFY again")
            self.silence()
