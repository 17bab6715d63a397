"""May a mailbox send, and has it room: what SMTP asks before it takes content (ims_spec 8).

1. Limits come from the directory's cache; a mailbox without one costs no read. With one, a row is
   read. What decides in the end is the unit that delivers (`imsd.store.messages.enter`).
2. Who is over "prohibit send", or over what his mailbox holds at most, cannot submit; he still saves
   drafts and sent mail by APPEND, which only the last limit ends.
3. One message may be too large for a mailbox whose owner or administrator said so. Known at RCPT by
   its SIZE it is refused there; else after it came, for that recipient alone.
4. Reports (the null reverse-path) are refused like other mail: no report is made of a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsd.directory.limits import Limits
from imsd.directory.values import Local, Recipient
from imsd.errors import (
    NoSuchEntry,
    NoSuchMailbox,
    OverQuota,
    OverQuotaForNow,
    Refusal,
    TooLarge,
    TooLargeHere,
)
from imsd.settings.quotas import Quotas
from imsd.store import mailboxes

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings
    from imsd.store.ids import AccountId
    from imsd.store.mailboxes import Usage


class Room:
    def __init__(self, directory: Directory, settings: LiveSettings) -> None:
        self._directory = directory
        self._settings = settings

    async def limits(self, account: AccountId) -> Limits | None:
        """None for an account without an entry."""
        try:
            return await self._directory.limits(account)
        except NoSuchEntry:
            return None

    async def may_send(self, account: AccountId, size: int) -> None:
        """size: of the message, 0 where it is not known yet. Raises OverQuota, TooLarge."""
        limits = await self.limits(account)
        if limits is None:
            return
        if limits.sends is not None and size > limits.sends:
            raise TooLarge(f"Your messages may have {limits.sends // 1024} KB")
        bounds = limits.bounds
        if not bounds.send and not bounds.most:
            return
        usage = await self._usage(account)
        if usage is not None and any(
            bound and usage.bytes >= max(bound, 0) for bound in (bounds.send, bounds.most)
        ):
            raise OverQuota("Your mailbox is over its limit and cannot send; delete something first")

    async def may_receive(self, recipient: Recipient | None, size: int) -> None:
        """Raises OverQuota, OverQuotaForNow, TooLargeHere."""
        if not isinstance(recipient, Local):
            return
        limits = self._directory.known_limits(recipient.account) or await self.limits(recipient.account)
        if limits is None:
            return
        if limits.receives is not None and size > limits.receives:
            raise TooLargeHere
        bounds = limits.bounds
        if not bounds.most and not bounds.messages:
            return
        usage = await self._usage(recipient.account)
        if usage is not None and (
            (bounds.most and usage.bytes + max(size, 1) > max(bounds.most, 0))
            or (bounds.messages and usage.messages >= max(bounds.messages, 0))
        ):
            raise self.full()

    async def too_large(self, account: AccountId, size: int) -> Refusal | None:
        """Why a message of this size is not for that mailbox."""
        limits = self._directory.known_limits(account) or await self.limits(account)
        if limits is None or limits.receives is None or size <= limits.receives:
            return None
        return TooLargeHere()

    def full(self) -> OverQuota:
        """The refusal of mail for a full mailbox, as the site wants it."""
        return OverQuotaForNow() if self._settings[Quotas].refusal == "temporary" else OverQuota()

    async def _usage(self, account: AccountId) -> Usage | None:
        try:
            return await self._directory.db.read_few(mailboxes.usage, account)
        except NoSuchMailbox:
            return None
