"""The message filter: originators whose mail is refused, deleted or turfed (ims_spec 3.4.4).

1. It is about what comes from outside: who has logged in is bound to his own addresses.
2. The reverse-path is asked at MAIL, From and Sender when the header has come. `reject` answers
   there; with the others the message is accepted to its end, and its sender learns nothing.
3. What it does is tracked ("filtered") and logged as event 4192.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.logger import Logger

from imsd.errors import Filtered
from imsd.mail.envelope import Envelope
from imsd.mail.requiring import REQUIRED
from imsd.settings.filters import NOBODY, Filter
from imsd.store.tables import now
from imsd.store.tracking import Event
from imsd.store.turf import TurfFolder
from protocols.message import addresses, dates, headers

if TYPE_CHECKING:
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs, NewBlob

MEGABYTE = 1024 * 1024


class MessageFilter:
    """One for a listener."""

    log = Logger()

    def __init__(self, settings: LiveSettings, blobs: Blobs, delivery: Delivery) -> None:
        self._settings = settings
        self._blobs = blobs
        self._delivery = delivery
        self._turf = TurfFolder(blobs.db.home, blobs.files)

    def begin(self, reverse_path: str, peer: str) -> Screening | None:
        """What looks at one message; None where no filter is set. Raises Filtered."""
        page = self._settings[Filter]
        return Screening(page, reverse_path, peer) if page.senders else None

    async def dispose(self, row: str, envelope: Envelope, content: NewBlob, queue_id: str) -> None:
        """Delete or turf a message that was accepted. Raises StoreFull, StoreUnavailable."""
        page = self._settings[Filter]
        turfed = page.action == "turf"
        if turfed:
            head = _head(row, envelope)
            limit = page.turf_mb * MEGABYTE
            await self._blobs.db.in_thread(self._turf.put, queue_id, head, content, limit)
        # No mailbox refers to it.
        await self._blobs.discard(content)
        done = "turfed" if turfed else "deleted"
        sender, peer = envelope.reverse_path, envelope.origin.address
        reason = f"ims.filter.senders {row}: {done}"
        self._delivery.track(
            *(
                Event(now(), "filtered", queue_id, b"", sender, to.address, reason, peer, content.size)
                for to in envelope.addressees
            )
        )
        self.log.info(
            "message {queue_id} of {sender} from {peer} was {done}: {row}",
            queue_id=queue_id, sender=sender or "<>", peer=peer, done=done, row=row, event_id=4192,
        )  # fmt: skip


class Screening:
    """One message being looked at. row: the row of the filter that fits, "" so far."""

    __slots__ = ("_page", "_peer", "row")

    def __init__(self, page: Filter, reverse_path: str, peer: str) -> None:
        self._page = page
        self._peer = peer
        self.row = page.table.match(reverse_path, peer)
        self._refuse()

    def look(self, header: bytes) -> None:
        """The header block has come. Raises Filtered."""
        table = self._page.table
        authors: list[str] = []
        others: list[str] = []
        for field in headers.fields(header):
            name = field.name.lower()
            if name in (b"from", b"sender"):
                found = [one.spec.decode("utf-8", "replace") for one in addresses.mailboxes(field.text)]
                (authors if name == b"from" else others).extend(found)
        if not self.row and table.nobody and not any(authors):
            self.row = NOBODY
        for address in (*authors, *others):
            self.row = self.row or table.match(address, self._peer)
        self._refuse()

    def _refuse(self) -> None:
        if self.row and self._page.action == "reject":
            raise Filtered


def _head(row: str, envelope: Envelope) -> bytes:
    """The envelope, as the pickup folder reads it, and why the message is here."""
    origin = envelope.origin
    lines = [
        f"X-Sender: <{envelope.reverse_path}>",
        *(f"X-Receiver: <{to.address}>" for to in envelope.addressees),
        *(["X-RequireTLS: yes"] if envelope.tls == REQUIRED else []),
        f"X-Filtered: {row}; {origin.address} {origin.told};",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\t" + dates.format(now() // 1_000_000) + b"\r\n"
