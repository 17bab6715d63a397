"""Keeps limits of mailboxes: puts the site's where they hold, and warns who comes near them.

1. When the site's limits change every mailbox that has none of its own gets them, in small units;
   so it does after a start. Any node may do it, and it may be done again.
2. Once a minute mailboxes are looked at, in pages. Who holds more than a threshold gets a letter: at
   once when the next threshold is passed, else not before `quotas.warn_hours` are over.
3. The letter and the note that it was sent are one unit, so no node sends it twice and none is
   lost. It goes into the INBOX whatever that holds, from the postmaster, with the null reverse-path
   and Auto-Submitted, so that nothing answers it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.directory.limits import site_bounds
from imsd.errors import NoSuchEntry, NoSuchMailbox
from imsd.mail import texts
from imsd.rounds import Rounds
from imsd.settings.quotas import Quotas
from imsd.store import messages, quotas, tracking
from imsd.store.blobs import NewBlob, new_blob
from imsd.store.ids import INBOX, AccountId
from imsd.store.quotas import Bounds, Fullness
from imsd.store.tables import now
from imsd.store.tracking import Event
from protocols.message import compose, dates
from protocols.message.summary import summarize

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.database import Database
    from imsd.store.transaction import Unit

ROUND: Final = 60.0
"""Seconds between looks at all mailboxes."""
HOUR: Final = 3_600_000_000

NEARLY: Final = 50
"""A mailbox counts as full when less than one part in so many is left: no message may fit any more,
long before the last octet is used."""


STATES: Final = ("below every limit", "warned", "cannot send", "full")
"""By level."""


def level(used: int, bounds: Bounds) -> int:
    """0: below every threshold; 1 warn, 2 cannot send, 3 full. used: octets."""
    if bounds.most and used >= max(bounds.most, 0) - max(bounds.most, 0) // NEARLY:
        return 3
    if bounds.send and used >= max(bounds.send, 0):
        return 2
    return 1 if bounds.warn and used >= max(bounds.warn, 0) else 0


class Warner:
    log = Logger()

    def __init__(self, db: Database, directory: Directory, settings: LiveSettings, reactor: Any) -> None:
        self._db = db
        self._directory = directory
        self._settings = settings
        self._reactor = reactor
        self._site: Bounds | None = None
        self._unwatch: Any = None
        failed = "limits of mailboxes could not be kept; it is tried again"
        self._rounds = Rounds(self.look, reactor, self.log, failed)

    def start(self) -> None:
        self._unwatch = self._settings.on_change(self._changed)
        self._rounds.start(ROUND)

    def stop(self) -> None:
        """Nothing further is begun."""
        if self._unwatch is not None:
            self._unwatch()
        self._rounds.stop()

    def _changed(self) -> None:
        if self._rounds.running and site_bounds(self._settings[Quotas]) != self._site:
            self._rounds.reset()
            Deferred.fromCoroutine(self.put_defaults()).addErrback(self._rounds.tell)

    async def put_defaults(self) -> None:
        """Have the site's limits enforced where mailboxes have none of their own."""
        site = site_bounds(self._settings[Quotas])
        after: int | None = -1
        while after is not None:
            after = await self._db.write(quotas.default, after, site)
        self._site = site

    async def look(self) -> int:
        """Warn who is to be warned; how many were."""
        site = site_bounds(self._settings[Quotas])
        if site != self._site:
            await self.put_defaults()
        sent = 0
        after: int | None = -1
        while after is not None:
            found, after = await self._db.read(quotas.page, after, site)
            for each in found:
                sent += await self._warn(each)
        return sent

    async def _warn(self, each: Fullness) -> bool:
        reached = level(each.used, each.bounds)
        before = now() - self._settings[Quotas].warn_hours * HOUR
        if not reached or (each.level >= reached and each.warned > before):
            return False
        try:
            person = await self._directory.person(each.account)
            if person is None or not person.address:
                return False
            _, attributes = await self._directory.attributes(person.dn)
            language = next(iter(attributes.get("preferredLanguage") or attributes.get("language") or []), "")
            served = self._directory.domains.served
            sender = f"postmaster@{served[0] if served else person.address.rpartition('@')[2]}"
            content = _letter(each, reached, sender, person.address, language, self._reactor.seconds())
            return await self._db.write(
                _deliver, each.account, person.address, content, reached, before, account=each.account
            )
        except (NoSuchEntry, NoSuchMailbox):
            return False  # gone meanwhile


def _letter(each: Fullness, reached: int, sender: str, to: str, language: str, seconds: float) -> NewBlob:
    subject, text = texts.over_quota(language, reached, each.used, each.bounds)
    fields = [
        compose.raw_field("From", compose.mailbox(sender)),
        compose.raw_field("To", compose.mailbox(to)),
        compose.field("Subject", subject),
        compose.raw_field("Date", dates.format(seconds)),
        compose.raw_field("Message-ID", compose.message_id(sender.partition("@")[2], secrets.token_hex(12))),
        compose.raw_field("Auto-Submitted", b"auto-generated"),
        compose.raw_field("Importance", b"high"),
    ]
    data = compose.message(fields, compose.text(text))
    return new_blob(data, summarize(data))


def _deliver(
    unit: Unit, account: AccountId, address: str, content: NewBlob, reached: int, before: int
) -> bool:
    time = now()
    if not quotas.claim_warning(unit, account, reached, time, before):
        return False
    prefix = f"Return-Path: <>\r\nDelivered-To: {address}\r\n".encode("utf-8", "replace")
    messages.append(unit, account, INBOX, content, now=time, prefix=prefix, limited=False)
    reason = f"a warning: its mailbox is {('', 'large', 'over the limit for sending', 'full')[reached]}"
    tracking.track(unit, Event(time, "delivered", "", b"", "", address, reason, "", content.size))
    return True
