"""POP3's door: the maildrop of a person is what his Inbox holds at login.

The lock (`maildrops`) is given back when the connection ends, however it ends. Who may read another's
Inbox and remove nothing from it takes none: he must not keep its owner out. Messages that
others expunge meanwhile keep their numbers; their content can be read for as long as the store
keeps it.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from imsd import __version__
from imsd.auth import homes, protocols
from imsd.auth.account import Account
from imsd.auth.authenticator import Authenticator
from imsd.errors import LoginTooSoon, NoSuchMessage, Referred, Refusal, StoreDamaged, StoreUnavailable
from imsd.sessions import refusals
from imsd.sessions.maildrops import Maildrops
from imsd.sessions.retrieval import Retrieval, Shape
from imsd.settings import LiveSettings
from imsd.settings.pop3 import Pop3
from imsd.store import messages, moving
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId
from imsd.store.index import MailboxIndexes
from imsd.store.messages import MessageRow
from imsd.store.tables import now
from imsd.store.transaction import Transaction
from protocols.connection import NEVER
from protocols.pop3.interfaces import Explained, IDoor, IMaildrop, Limits
from protocols.security import Security

PIECE = 256 * 1024
"""Octets of a converted message that are sent between two looks at the peer."""

REMOVE_AT_ONCE = 100
"""Messages deleted in one unit (rule 11)."""

MOST_REMEMBERED = 100_000
"""People whose last login is remembered for the delay between logins."""


@implementer(IDoor)
class Pop3Door:
    """One for all POP3 listeners: it holds the locks. tls: gives the context factory for STLS, or None."""

    implementation = f"imsd-{__version__}"

    def __init__(
        self,
        db: Database,
        indexes: MailboxIndexes,
        blobs: Blobs,
        authenticator: Authenticator,
        settings: LiveSettings,
        clock: IReactorTime,
        hostname: str,
        tls: Callable[[], Any] = lambda: None,
    ) -> None:
        self._db = db
        self._indexes = indexes
        self._blobs = blobs
        self.authenticator = authenticator.of_protocol(
            "pop3", protocols.methods_of(settings, Pop3), opens=True
        )
        self._settings = settings
        self._clock = clock
        self.hostname = hostname
        self._tls = tls
        self._retrieval = Retrieval(db, blobs, clock)
        self._maildrops = Maildrops(db, clock)
        self._logins: OrderedDict[AccountId, float] = OrderedDict()

    def limits(self) -> Limits:
        page = self._settings[Pop3]
        return Limits(page.idle_minutes * 60 or NEVER, page.unread_seconds, page.bad_commands)

    def login_delay(self) -> int:
        return self._settings[Pop3].login_delay

    def tls(self) -> Any:
        return self._tls()

    def clear_text(self, security: Security) -> Explained | None:
        try:
            self.authenticator.basic_allowed(security)
        except Refusal as refusal:
            return refusals.pop3(refusal)
        return None

    def explain(self, error: Exception) -> Explained | None:
        return refusals.pop3(error)

    async def open(self, identity: Account, ended: Callable[[], None]) -> Maildrop:
        """Raises ProtocolOff, Referred, MailboxInUse, LoginTooSoon, NoSuchMailbox, TryLater."""
        account = identity.id
        protocols.check(self._settings, "POP3", identity.protocols)
        host = homes.elsewhere(self._settings, identity.home)
        if host:
            raise Referred(f"The mailbox is on another server: {host}")
        removes = await self._may_remove(identity)
        if removes:
            await self._maildrops.take(account, ended)
        try:
            self._delay(account)
            pin = await self._indexes.open(account, INBOX)
            uids, sizes = array("I"), array("I")
            for segment in pin.index.segments:
                uids.extend(segment.uids)
                sizes.extend(segment.sizes)
            validity = pin.index.uidvalidity
            self._indexes.release(pin)
            shape = self._retrieval.shape(protocols.page_for(self._settings, Pop3, identity.protocols))
            changed = {} if shape is None else await self._retrieval.sizes(account, uids, shape)
        except BaseException:
            if removes:
                self._maildrops.free(account)
            raise
        for at, uid in enumerate(uids if changed else ()):
            sizes[at] = changed.get(uid, sizes[at])
        if self._settings[Pop3].order == "newest_first":
            uids.reverse()
            sizes.reverse()

        def moved(now: Account | None) -> None:
            if now is None or not protocols.page_for(self._settings, Pop3, now.protocols).enabled:
                ended()

        watch = self.authenticator.watch_rights(identity, moved)

        def unlock() -> None:
            watch.stop()
            if removes:
                self._maildrops.free(account)

        async def may_remove() -> bool:
            return removes and await self._may_remove(identity)

        drop = Maildrop(self._db, self._blobs, account, validity, uids, sizes, unlock)
        drop.may_remove = may_remove
        if shape is not None and changed:
            drop.convert(self._retrieval, shape, frozenset(changed))
        return drop

    async def _may_remove(self, identity: Account) -> bool:
        return {"t", "e"} <= await self.authenticator.rights_on(identity, identity.id, INBOX)

    def _delay(self, account: AccountId) -> None:
        """RFC 2449 6.5. Raises LoginTooSoon."""
        delay = self._settings[Pop3].login_delay
        if not delay:
            return
        moment = self._clock.seconds()
        last = self._logins.get(account)
        if last is not None and moment - last < delay:
            raise LoginTooSoon
        self._logins[account] = moment
        self._logins.move_to_end(account)
        if len(self._logins) > MOST_REMEMBERED:
            self._logins.popitem(last=False)


@implementer(IMaildrop)
class Maildrop:
    """uids, sizes: the messages in the order of their numbers. unlock: called once."""

    def __init__(
        self,
        db: Database,
        blobs: Blobs,
        account: AccountId,
        validity: int,
        uids: Sequence[int],
        sizes: Sequence[int],
        unlock: Callable[[], None],
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._account = account
        self._validity = validity
        self._uids = uids
        self.sizes = sizes
        self._unlock: Callable[[], None] | None = unlock
        self._retrieval: tuple[Retrieval, Shape] | None = None
        self._converted: frozenset[int] = frozenset()
        self.may_remove: Callable[[], Awaitable[bool]] | None = None

    def convert(self, retrieval: Retrieval, shape: Shape, uids: frozenset[int]) -> None:
        """Hand these messages out in another form; `sizes` are those of that form."""
        self._retrieval = retrieval, shape
        self._converted = uids

    def unique_id(self, index: int) -> bytes:
        """UIDVALIDITY and UID never come again together (RFC 9051 2.3.1.1)."""
        return b"%d.%d" % (self._validity, self._uids[index])

    async def content(self, index: int) -> AsyncIterator[bytes]:
        row = await self._db.read_few(_row, self._account, self._uids[index])
        if row is None:
            raise NoSuchMessage("The message was deleted by another session")
        if self._retrieval is not None and row.uid in self._converted:
            retrieval, shape = self._retrieval
            data = row.prefix + await retrieval.converted(row.blob, shape)
            if len(data) != self.sizes[index]:
                raise StoreUnavailable("The message is not there any more")
            for start in range(0, len(data), PIECE):
                yield data[start : start + PIECE]
            return
        left = row.size - len(row.prefix)
        prefix = row.prefix
        async for piece in self._blobs.stream(row.blob):
            left -= len(piece)
            yield prefix + piece if prefix else piece
            prefix = b""
        if left > 0:
            raise StoreDamaged("The message is not there any more")

    async def remove(self, indexes: Collection[int]) -> bool:
        """In units of their own: what was deleted before a failure stays deleted."""
        uids = sorted(self._uids[index] for index in indexes)
        if uids and self.may_remove is not None and not await self.may_remove():
            return False
        for start in range(0, len(uids), REMOVE_AT_ONCE):
            try:
                await self._db.write(
                    _remove, self._account, uids[start : start + REMOVE_AT_ONCE], account=self._account
                )
            except Refusal:
                return False
        return True

    def close(self) -> None:
        unlock, self._unlock = self._unlock, None
        if unlock is not None:
            unlock()


def _row(tx: Transaction, account: AccountId, uid: int) -> MessageRow | None:
    """The message, or what is still known of it once it was expunged."""
    found = messages.rows(tx, account, INBOX, [uid]) or messages.departed(tx, account, INBOX, [uid])
    return found[0] if found else None


def _remove(unit: Any, account: AccountId, uids: Sequence[int]) -> None:
    moving.expunge(unit, account, INBOX, uids, now(), only_deleted=False)
