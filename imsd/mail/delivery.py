"""The one transaction that makes the 250 true (design: accepting is delivering)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from imsd.directory.directory import Directory
    from imsd.mail.envelope import Envelope
    from imsd.settings import LiveSettings
    from imsd.store.blobs import NewBlob
    from imsd.store.database import Database


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is ours: its id, how many mailboxes have it, how many queue rows wait."""

    queue_id: str
    delivered: int
    queued: int


class Delivery:
    """Takes responsibility for messages, whoever brings them."""

    def __init__(
        self, db: Database, directory: Directory, settings: LiveSettings, clock: IReactorTime
    ) -> None:
        self._db = db
        self._directory = directory
        self._settings = settings
        self._clock = clock

    def new_id(self) -> str:
        """A queue id that never repeats; it stands in the Received line and in the 250."""
        raise NotImplementedError

    async def accept(self, envelope: Envelope, content: NewBlob, queue_id: str = "") -> Accepted:
        """Deliver to local recipients and queue for the others, in one transaction.

        Raises StoreFull, OverQuota (of every local recipient), TryLater, StoreUnavailable.
        When it returns the message is on stable storage and in the mailboxes.
        """
        raise NotImplementedError
