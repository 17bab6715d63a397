"""Values that the directory gives to the rest of the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imsd.directory.protocols import ProtocolSettings
    from imsd.store.ids import AccountId, EntryId


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox, who can log in.

    account: equals the entry id. addresses: canonical SMTP addresses, the primary
    first. rights_version: grows with every change of the entry or its password; a
    session that holds an older one derives its rights again. protocols: what the entry says of them.
    capabilities_off: of IMAP4, for this mailbox.
    """

    account: AccountId
    entry: EntryId
    dn: str
    uid: str
    name: str
    addresses: tuple[str, ...]
    rights_version: int
    is_admin: bool = False
    disabled: bool = False
    protocols: tuple[ProtocolSettings, ...] = ()
    capabilities_off: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The primary address, empty when the person may not receive Internet mail."""
        return self.addresses[0] if self.addresses else ""


@dataclass(frozen=True, slots=True)
class Local:
    """A mailbox here. detail: what followed the separator in `user+detail@domain` (RFC 5233)."""

    account: AccountId
    entry: EntryId
    address: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DistributionList:
    entry: EntryId
    address: str


@dataclass(frozen=True, slots=True)
class Contact:
    """A custom recipient. target: the address that mail for it is sent to; kind: of which type."""

    entry: EntryId
    address: str
    target: str
    kind: str = "SMTP"


@dataclass(frozen=True, slots=True)
class PublicFolder:
    """A mail-enabled public folder. pathname: its name below the public root, `/` separated."""

    entry: EntryId
    address: str
    pathname: str


Recipient = Local | DistributionList | Contact | PublicFolder


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a list leads to, each recipient once.

    lists: the lists passed through (tracking). missing: members that are no recipients.
    """

    recipients: tuple[Local | Contact | PublicFolder, ...]
    lists: tuple[EntryId, ...] = ()
    missing: tuple[EntryId, ...] = ()
