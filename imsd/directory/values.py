"""Values that the directory gives to the rest of the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imsd.directory.restrictions import Reports

if TYPE_CHECKING:
    from imsd.directory.protocols import ProtocolSettings
    from imsd.store.ids import AccountId, EntryId
    from protocols.message.flatten import Form


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox, who can log in.

    account: equals the entry id. addresses: canonical SMTP addresses, the primary
    first. rights_version: grows with every change of the entry or its password; a
    session that holds an older one derives its rights again. protocols: what the entry says of them.
    capabilities_off: of IMAP4, for this mailbox. home: the name of the server that the mailbox is
    said to be on (`homes`).
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
    home: str = ""

    @property
    def address(self) -> str:
        """The primary address, empty when the person may not receive Internet mail."""
        return self.addresses[0] if self.addresses else ""


@dataclass(frozen=True, slots=True)
class Local:
    """A mailbox here. detail: what followed the separator in `user+detail@domain` (RFC 5233).

    restricted, here and below: not everybody may send to it. alternate: who gets the mail in its place;
    keeps: and the mailbox does, too.
    """

    account: AccountId
    entry: EntryId
    address: str
    detail: str = ""
    restricted: bool = False
    alternate: EntryId | None = None
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class DistributionList:
    """reports: who hears of failures; owner: of the list, if there is one; form: as of a contact, for whoever
    gets mail through it."""

    entry: EntryId
    address: str
    restricted: bool = False
    reports: Reports = Reports.ORIGINATOR
    owner: EntryId | None = None
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """A custom recipient. target: the address that mail for it is sent to; kind: of which type. form: what
    people here write to it leaves in that form, None as composed (ims_spec 8)."""

    entry: EntryId
    address: str
    target: str
    kind: str = "SMTP"
    restricted: bool = False
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class PublicFolder:
    """A mail-enabled public folder. pathname: its name below the public root, `/` separated."""

    entry: EntryId
    address: str
    pathname: str
    restricted: bool = False


Recipient = Local | DistributionList | Contact | PublicFolder


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a list leads to, each recipient once.

    lists: the lists passed through (tracking). missing: members that are no recipients. refused: members
    that do not accept from the sender; of a list among them nobody is in recipients for its sake. told: whose
    failures another list than the first decides about, the last one on the way to them that does.
    """

    recipients: tuple[Local | Contact | PublicFolder, ...]
    lists: tuple[EntryId, ...] = ()
    missing: tuple[EntryId, ...] = ()
    refused: tuple[Recipient, ...] = ()
    told: Mapping[EntryId, DistributionList] = field(default_factory=dict)
