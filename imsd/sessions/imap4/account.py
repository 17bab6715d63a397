"""One authenticated connection: the names it sees, and what it does with mailboxes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from zope.interface import implementer

from imsd.auth import Account, protocols
from imsd.auth.standing import ANY, actor
from imsd.errors import (
    InvalidName,
    NoSuchMailbox,
    NotPermitted,
    OverQuota,
    Referred,
    Refusal,
    UnsupportedUse,
)
from imsd.sessions.imap4 import identities, lists, metadata, naming, quotas, reading, sharing
from imsd.sessions.imap4.appending import Append
from imsd.sessions.imap4.held import AccountEnded, Mailstore
from imsd.sessions.imap4.notices import Notices
from imsd.sessions.imap4.places import OTHERS, SHARED, Place, Places
from imsd.sessions.imap4.reading import Message
from imsd.sessions.imap4.view import View
from imsd.settings.folders import Folders, use_of
from imsd.settings.imap import Imap
from imsd.slices import in_slices
from imsd.store import acl, counting, jobs, mailboxes, names
from imsd.store.ids import PUBLIC, AccountId, MailboxId
from imsd.store.moving import Copied
from imsd.store.permits import under
from protocols.imap4.dialect import Dialect
from protocols.imap4.events import Wanted
from protocols.imap4.interfaces import IAccount
from protocols.imap4.urls import AuthorizedUrl
from protocols.imap4.values import (
    Acl,
    Annotations,
    Explained,
    Grantable,
    Listed,
    Namespaces,
    Needs,
    Quota,
    Status,
)

_NONE: frozenset[bytes] = frozenset()
_ENDED = Explained(b"UNAVAILABLE", AccountEnded.default, bye=True)
_SWITCHED_OFF = Explained(b"CONTACTADMIN", "IMAP4 was switched off for this mailbox", bye=True)


@implementer(IAccount)
class ImapAccount:
    def __init__(self, held: Mailstore, account: Account) -> None:
        self.held = held
        self.account = account
        self.places = Places(held, account)
        self.rights_watch: Any = None
        self.peer = ""
        self.progress: Callable[[int, int], object] = _unheard
        self._ended = False
        self._ending: Callable[[Explained], object] | None = None
        self._views: set[View] = set()
        self.notices: Notices | None = None
        self.made: set[int] = set()

    # The session -----------------------------------------------------------------------

    def rights_moved(self, account: Account | None) -> None:
        """The account is another now, or its sessions must end (design rule 18)."""
        if account is None:
            self._ended = True
            for view in self._views:
                view.ended = True
            if self._ending is not None:
                self._ending(_ENDED)
            return
        self.account = self.places.account = account
        if not self.page.enabled:
            self._ended = True
            if self._ending is not None:
                self._ending(_SWITCHED_OFF)

    @property
    def capabilities_off(self) -> frozenset[bytes]:
        names = self.account.capabilities_off
        return frozenset(name.encode() for name in names) if names else _NONE

    @property
    def page(self) -> Imap:
        """The settings as they hold for this mailbox."""
        return protocols.page_for(self.held.settings, Imap, self.account.protocols)

    async def notify(self, wanted: Wanted, changed: Callable[[], object]) -> Notices:
        self._alive()
        if self.notices is not None:
            self.notices.close()
        self.notices = Notices(self, wanted, changed)
        await self.notices.start()
        return self.notices

    def has_selected(self, key: tuple[AccountId, MailboxId]) -> bool:
        return any(view.place.key == key for view in self._views)

    @contextmanager
    def making(
        self, left: dict[tuple[AccountId, MailboxId], set[int]] | None = None
    ) -> Iterator[Callable[[tuple[AccountId, MailboxId], Iterable[int]], None]]:
        """While messages are made; whoever makes them calls what this gives with their mailbox and
        UIDs: they are no news. left: of what goes meanwhile from where it is not selected."""
        own: dict[tuple[AccountId, MailboxId], set[int]] = {}

        def made(key: tuple[AccountId, MailboxId], uids: Iterable[int]) -> None:
            own.setdefault(key, set()).update(uids)
            if self.has_selected(key):
                self.made.update(own[key])

        gone = {} if left is None else left
        with nullcontext() if self.notices is None else self.notices.heard.making(own, gone):
            yield made

    def _changing(self, account: AccountId, *changed: str) -> AbstractContextManager[None]:
        return nullcontext() if self.notices is None else self.notices.heard.changing(account, *changed)

    @property
    def reader(self) -> AccountId:
        """Whose \\Seen of public folders and whose private annotations are meant."""
        return actor(self.account)

    def closed(self, view: View) -> None:
        self._views.discard(view)
        views = self.held.selected.get(view.place.key)
        if views is not None:
            views.discard(view)
            if not views:
                del self.held.selected[view.place.key]

    def watch(self, callback: Callable[[Explained], object]) -> None:
        self._ending = callback
        if self._ended:
            callback(_ENDED)

    def close(self) -> None:
        self._ending = None
        if self.notices is not None:
            self.notices.close()
        if self.rights_watch is not None:
            self.rights_watch.stop()

    def _alive(self) -> None:
        if self._ended or (self.account.anonymous and not self.page.anonymous):
            raise AccountEnded

    # Names -----------------------------------------------------------------------------

    async def namespaces(self) -> Namespaces:
        if self.account.anonymous:
            return Namespaces((), (), (SHARED + "/",))
        others = (OTHERS + "/",) if self.page.delegate else ()
        return Namespaces(("",), others, (SHARED + "/",))

    @property
    def referral(self) -> str:
        """The URL of the server that the mailboxes are on, "" where that is this one."""
        host = self.places.elsewhere(self.account.home)
        return self.places.url(host) if host else ""

    async def mailboxes(self, prefix: str, subscribed: bool, remote: bool = False) -> Sequence[Listed]:
        self._alive()
        settings = self.page
        found = await naming.names(
            self,
            public=(settings.list_public or prefix.startswith(SHARED)) and _may_meet(SHARED, prefix),
            others=settings.delegate and _may_meet(OTHERS, prefix),
            remote=remote,
        )
        return await in_slices(self._listed(found, prefix, subscribed, remote), self.held.reactor)

    def _listed(
        self, found: naming.Names, prefix: str, subscribed: bool, remote: bool
    ) -> Generator[None, None, list[Listed]]:
        every, rights, subscriptions = found.attributes, found.rights, found.subscriptions
        if self.referral:
            # One's own subscriptions are of mailboxes there, of which nothing is known here.
            mine = [name for name in subscriptions if not name.startswith((SHARED, OTHERS))]
            subscriptions = [name for name in subscriptions if remote or name not in mine]
            every |= {name: (naming.REMOTE,) for name in mine if remote}
        parents: set[str] = set()
        for count, name in enumerate(every):
            parents.update(names.parents(name))
            if not count % 64:
                yield
        subscribed_to = set(subscriptions)
        chosen: Iterable[str] = subscribed_to if subscribed else every.keys() | (parents - every.keys())
        listed: list[Listed] = []
        for count, name in enumerate(sorted(one for one in chosen if one.startswith(prefix))):
            listed.append(
                Listed(
                    name,
                    every.get(name, (naming.NOSELECT,)),
                    exists=name in every,
                    subscribed=name in subscribed_to,
                    children=name in parents,
                    rights=rights.get(name, b""),
                )
            )
            if not count % 64:
                yield
        return listed

    async def status(self, names: Sequence[str], deleted_storage: bool = False) -> Mapping[str, Status]:
        self._alive()
        found: dict[str, Status] = {}
        for count, name in enumerate(names, 1):
            if count % 50 == 0:
                await self.held.breath()
            try:
                place = await self.places.find(name, ANY)
                if place.mailbox.selectable and "r" in place.rights:
                    found[name] = await self._status(place, deleted_storage)
            except Refusal as refusal:
                if refusal.temporary or (isinstance(refusal, Referred) and len(names) == 1):
                    raise
        return found

    async def _status(self, place: Place, deleted_storage: bool) -> Status:
        reader = self.reader if place.mailbox.account == PUBLIC else None
        row, recent, unseen = await self.held.db.read_few(
            counting.status, *place.key, reader, self.held.indexes.recent_uid(*place.key)
        )
        return Status(
            messages=row.messages,
            recent=recent,
            unseen=unseen,
            deleted=row.deleted,
            size=row.bytes,
            uid_next=row.uidnext,
            uid_validity=row.uidvalidity,
            highest_modseq=row.highestmodseq,
            mailbox_id=identities.mailbox(*place.key),
            deleted_storage=(
                await self.held.db.read(counting.deleted_bytes, *place.key)
                if deleted_storage and row.deleted
                else 0
            ),
            append_limit=self.page.largest_append,
        )

    async def quota(self, root: str) -> Quota:
        self._alive()
        return await quotas.by_root(self, root)

    async def quota_of(self, name: str) -> Quota:
        self._alive()
        return await quotas.by_name(self, name)

    async def set_quota(self, root: str, limits: Mapping[bytes, int]) -> Quota:
        self._alive()
        return await quotas.change(self, root, limits)

    # Rights (RFC 4314) -----------------------------------------------------------------

    async def acl(self, name: str) -> Acl:
        self._alive()
        return await lists.show(self, name)

    async def set_acl(self, name: str, identifier: str, rights: str, how: str) -> None:
        self._alive()
        await lists.change(self, name, identifier, rights, how)

    async def grantable(self, name: str, identifier: str) -> Grantable:
        self._alive()
        return await lists.grantable(self, name, identifier)

    async def my_rights(self, name: str) -> str:
        self._alive()
        return acl.ordered((await self.places.find(name, ANY)).rights)

    # Annotations (RFC 5464) --------------------------------------------------------------

    @property
    def largest_annotation(self) -> int:
        return self.page.metadata_octets

    async def metadata(
        self, name: str, entries: Sequence[str], depth: int = 0, most: int | None = None
    ) -> Annotations:
        self._alive()
        return await metadata.read(self, name, entries, depth, most)

    async def metadata_of(
        self, names: Sequence[str], entries: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[str, bytes | None]]]:
        self._alive()
        return await metadata.of_tree(self, names, entries)

    async def set_metadata(self, name: str, values: Mapping[str, bytes | None]) -> None:
        self._alive()
        await metadata.change(self, name, values)

    def annotating(self, *keys: tuple[AccountId, MailboxId]) -> AbstractContextManager[None]:
        """While this session changes annotations, of which it need not be told."""
        return nullcontext() if self.notices is None else self.notices.heard.annotating(*keys)

    # Changing the tree -----------------------------------------------------------------

    async def create(self, name: str, special_use: Collection[bytes]) -> bytes:
        self._alive()
        uses = [use.decode("ascii", "replace") for use in special_use]
        if len(uses) > 1 or not metadata.SPECIAL_USES.issuperset(use.lower() for use in uses):
            raise UnsupportedUse
        spot = await self.places.room(name.rstrip("/"))
        if uses and spot.account != self.account.id:
            raise UnsupportedUse("Special use is for mailboxes of one's own")
        use = "\\" + uses[0][1:].capitalize() if uses else ""
        hint = ""
        if spot.account == self.account.id and self.held.settings[Folders].recognise:
            hint = use_of(spot.name)
        with self._changing(spot.account, spot.name):
            made = await self.held.db.write(
                under(spot.needs, mailboxes.create), spot.account, spot.name, self.held.now(), use, hint,
                account=spot.account,
            )  # fmt: skip
        return identities.mailbox(made.account, made.id)

    async def delete(self, name: str) -> None:
        self._alive()
        spot = await self.places.leaving(name)
        with self._changing(spot.account, spot.name):
            await self.held.db.write(
                under(spot.needs, mailboxes.delete_mailbox), spot.account, spot.name, self.held.now(),
                account=spot.account,
            )  # fmt: skip
        self.held.purge_soon()

    async def rename(self, old: str, new: str) -> None:
        self._alive()
        referral = await self.places.referral_of_pair(old, new)
        if referral is not None:
            raise referral
        source = await self.places.leaving(old)
        target = await self.places.room(new.rstrip("/"))
        if source.account != target.account:
            raise NotPermitted("A mailbox cannot be moved between namespaces")
        left: dict[tuple[AccountId, MailboxId], set[int]] = {}
        with self._changing(source.account, source.name, target.name), self.making(left) as made:

            def moved(source: jobs.Place, target: jobs.Place, done: Copied) -> None:
                left.setdefault(source, set()).update(done.source)
                made(target, done.target)

            await jobs.rename(
                self.held.db, source.account, source.name, target.name, self.held.now(), self.progress,
                moved, source.needs, target.needs,
            )  # fmt: skip

    async def _own_list(self) -> None:
        """Subscriptions are the owner's, or his delegate's, to change."""
        if self.account.anonymous or "k" not in (await self.places.standing(self.account.id)).top:
            raise NotPermitted

    async def subscribe(self, name: str) -> None:
        self._alive()
        await self._own_list()
        place = await self.places.find(name)
        full = (await self.places.spot(name)).prefix + place.mailbox.name
        with self._changing(self.account.id, full):
            await self.held.db.write(mailboxes.subscribe, self.account.id, full, account=self.account.id)

    async def unsubscribe(self, name: str) -> None:
        self._alive()
        await self._own_list()
        with self._changing(self.account.id, name):
            await self.held.db.write(mailboxes.unsubscribe, self.account.id, name, account=self.account.id)

    # Messages --------------------------------------------------------------------------

    async def message(self, name: str, validity: int, uid: int, needs: Needs) -> Message | None:
        self._alive()
        try:
            place = await self.places.find(name)
        except (NoSuchMailbox, InvalidName, Referred):
            return None
        mailbox = place.mailbox
        if not mailbox.selectable or "r" not in place.rights or validity not in (0, mailbox.uidvalidity):
            return None
        return await reading.one(self.held, place, uid, needs)

    async def sign_urls(self, urls: Sequence[AuthorizedUrl]) -> Sequence[str] | None:
        self._alive()
        return await sharing.sign(self, urls)

    async def reset_url_keys(self, name: str | None) -> None:
        self._alive()
        await sharing.reset(self, name)

    async def url_message(self, url: AuthorizedUrl, needs: Needs) -> Message | None:
        self._alive()
        return await sharing.message(self, url, needs)

    async def append(
        self,
        name: str,
        flags: Sequence[bytes],
        internal_date: int | None,
        size: int,
        whole: bool = True,
        check: bool = True,
    ) -> Append:
        self._alive()
        place = await self.places.find(name, ANY)
        if not place.mailbox.selectable:
            raise NoSuchMailbox
        place.need("i")
        usage = await self.held.db.read_few(mailboxes.usage, place.mailbox.account)
        if check and usage.quota_bytes and usage.bytes + size > usage.quota_bytes:
            raise OverQuota
        if check and usage.quota_messages and usage.messages >= usage.quota_messages:
            raise OverQuota
        limit = self.page.largest_append
        sink = Append(self.held, place, self.reader, flags, internal_date, size, limit, whole)
        sink.making = self.making
        return sink

    async def select(self, name: str, read_only: bool, dialect: Dialect) -> View:
        self._alive()
        place = await self.places.find(name, ANY)
        if not place.mailbox.selectable:
            raise NoSuchMailbox
        place.need("r")
        view = await self._view(name, place, dialect, read_only)
        if not (await self.places.standing(place.mailbox.account)).owner or place.mailbox.account == PUBLIC:
            self.held.access.follow(view)
            # What moved since the rights were read was not heard of.
            view.stale = True
        self._views.add(view)
        self.held.selected.setdefault(view.place.key, set()).add(view)
        return view

    async def glance(self, name: str, listed: bool, dialect: Dialect) -> View | None:
        self._alive()
        try:
            place = await self.places.find(name, ANY)
            if not place.mailbox.selectable or not place.rights.issuperset("lr" if listed else "r"):
                return None
            return await self._view(name, place, dialect, read_only=True)
        except Refusal as refusal:
            if refusal.temporary:
                raise
            return None

    async def _view(self, name: str, place: Place, dialect: Dialect, read_only: bool) -> View:
        """A view that has been told of everything."""
        view = View(self.held, self, name, place, dialect, read_only)
        pin = await self.held.indexes.open(*place.key, view.changed)
        try:
            if view.reader is not None:
                await self.held.indexes.overlay(pin, view.reader)
        except BaseException:
            self.held.indexes.release(pin)
            raise
        view.begin(pin)
        return view


def _unheard(done: int, goal: int) -> None:
    """Nobody asked how far the work has come."""


def _may_meet(root: str, prefix: str) -> bool:
    """Whether names that start with prefix can be in the namespace."""
    return root.startswith(prefix) or prefix.startswith(root)
