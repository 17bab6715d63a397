"""The mailbox that gets reports of other domains on TLS, read as they come (RFC 8460 5.3).

1. The mailbox is anybody's of ours, or a public folder, and stays as it is: it is read from the message on
   that comes after the last that was looked at. What is found, and how far that was, is one unit: a stop
   in between means to look again, and a report that comes twice is one.
2. Whoever can send mail there chooses what is read. A message that is larger than `MOST` is passed over, as
   is what is no report; sizes and counts of a report are bounded (imsd.trust.tlsrpt). Nothing in it is
   believed: it is shown, and signatures are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from imsd.directory.values import Local, PublicFolder
from imsd.errors import NoSuchMailbox, NoSuchRecipient, Refusal
from imsd.rounds import Rounds
from imsd.settings.tls_reports import TlsReports
from imsd.store import mailboxes, messages, tls_received
from imsd.store.changes import MailboxScope
from imsd.store.ids import INBOX, PUBLIC, AccountId, BlobId, MailboxId
from imsd.store.tls_received import Received
from imsd.store.transaction import Transaction
from imsd.trust import tlsrpt
from imsd.trust.tlsrpt import BadReport, Read
from protocols.message import transfer
from protocols.message.part import Part
from protocols.message.scan import scan

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs
    from imsd.store.database import Database

ROUND: Final = 60.0
SOON: Final = 1.0
"""Seconds until a message that came is looked at."""
BATCH: Final = 20
MOST: Final = 2 * tlsrpt.MOST
"""Octets of a message."""
MOST_HEADER: Final = 64 * 1024
MOST_PARTS: Final = 50
FIRST: Final = 1_000
"""UIDs of a mailbox that was named just now."""

_PACKED: Final = (b"TLSRPT+GZIP", b"TLSRPT+JSON", b"GZIP", b"X-GZIP")


class TlsInbox:
    """Looks when something comes, and every minute."""

    log = Logger()

    def __init__(
        self, db: Database, directory: Directory, settings: LiveSettings, blobs: Blobs, reactor: Any
    ) -> None:
        self._db = db
        self._directory = directory
        self._settings = settings
        self._blobs = blobs
        self._watched: MailboxScope | None = None
        self._watch: Any = None
        self._unwatch: Callable[[], None] | None = None
        self._address = ""
        failed = "reports on TLS could not be read; it is tried again"
        self._rounds = Rounds(self.look, reactor, self.log, failed)

    def start(self) -> None:
        self._unwatch = self._settings.on_change(self._changed)
        self._rounds.start(ROUND)

    def stop(self) -> None:
        """Nothing further is begun."""
        if self._unwatch is not None:
            self._unwatch()
        if self._watch is not None:
            self._watch.stop()
        self._rounds.stop()

    def _changed(self) -> None:
        if self._settings[TlsReports].address != self._address:
            self._come()

    def _come(self, *_: Any) -> None:
        self._rounds.soon(SOON)

    async def look(self) -> int:
        """Read what has come; how many reports are new."""
        self._address = address = self._settings[TlsReports].address
        place = await self._place(address) if address else None
        self._listen(place)
        if place is None:
            return 0
        new = 0
        at = await self._db.read(_begin, *place)
        while found := await self._db.read(messages.after_uid, *place, at, BATCH):
            reports = []
            for uid, *_, size, date, blob in found:
                at = uid
                report = await self._report(BlobId(blob), size, date)
                reports += [report] if report is not None else []
            new += await self._db.write(tls_received.mark, *place, at, *reports)
        return new

    async def _place(self, address: str) -> tuple[AccountId, MailboxId] | None:
        try:
            found = await self._directory.resolve(address)
            if isinstance(found, Local):
                return found.account, INBOX
            if isinstance(found, PublicFolder):
                folder = await self._db.read(mailboxes.get, PUBLIC, found.pathname)
                return PUBLIC, folder.id
        except (NoSuchRecipient, NoSuchMailbox):
            pass
        self.log.warn("tls_reports.address {address} is no mailbox of ours", address=address)
        return None

    def _listen(self, place: tuple[AccountId, MailboxId] | None) -> None:
        scope = None if place is None else MailboxScope(*place)
        if scope != self._watched:
            if self._watch is not None:
                self._watch.stop()
            self._watch = None if scope is None else self._db.feed.watch(scope, self._come)
            self._watched = scope

    async def _report(self, blob: BlobId, size: int, date: int) -> Received | None:
        """The report in a message, if it is one."""
        header = await self._blobs.read(blob, 0, MOST_HEADER)
        if b"tlsrpt" not in header.partition(b"\r\n\r\n")[0].lower():
            return None
        try:
            if size > MOST:
                raise BadReport(f"the message is larger than {MOST} octets")
            data = await self._blobs.read(blob)
            read, content = await self._db.in_thread(understood, data)
        except BadReport as error:
            self.log.info("a report on TLS cannot be read: {why}", why=str(error))
            return None
        except (CancelledError, GeneratorExit, Refusal):
            raise
        except Exception:
            # A mistake of ours: it keeps no other report from being read.
            self.log.failure("a report on TLS could not be read")
            return None
        return Received(
            read.organization,
            read.contact,
            read.report_id,
            read.contact.rpartition("@")[2],
            " ".join(read.domains[:20]),
            read.begins,
            read.ends,
            date,
            read.total("successes"),
            read.total("failures"),
            content,
        )


def _begin(tx: Transaction, account: AccountId, mailbox: MailboxId) -> int:
    """The UID after which nothing was looked at; of a mailbox that is new to this, some of the last."""
    at = tls_received.read_to(tx, account, mailbox)
    if at is None:
        at = max(0, mailboxes.get_by_id(tx, account, mailbox).uidnext - FIRST)
    return at


def understood(data: bytes) -> tuple[Read, str]:
    """The report of a message, and its policies as JSON. Best in a thread. Raises BadReport."""
    for number, part in enumerate(scan(data).leaves()):
        if number >= MOST_PARTS:
            break
        if part.content.type == b"APPLICATION" and part.content.subtype in _PACKED:
            read = tlsrpt.parse(_body(data, part))
            return read, json.dumps(read.policies, separators=(",", ":"))
    raise BadReport("the message has no report")


def _body(data: bytes, part: Part) -> bytes:
    try:
        body = transfer.decode(data[part.body : part.stop], part.content.encoding)
    except transfer.UnknownEncoding:
        raise BadReport("the report is encoded in a way that is not known") from None
    # Its first octets are more to be believed than its name.
    return tlsrpt.inflate(body) if body.startswith(b"\x1f\x8b") else body
