"""The avatar of somebody who has logged in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zope.interface import Interface, implementer

from imsd.directory.protocols import ProtocolSettings
from imsd.store.ids import AccountId, EntryId


class Proved(NamedTuple):
    """The avatar id: who proved his identity, with which generation of his credentials."""

    account: AccountId
    generation: int
    app: bool = False
    """By an app password."""
    must_change: bool = False
    """With a password that is good for setting another alone."""


class IAccount(Interface):
    """The interface asked of the portal."""


@implementer(IAccount)
@dataclass(frozen=True, slots=True)
class Account:
    """Whose mailbox and entry this session is about; a name for rights, never a right itself.

    dn: in the form of the organisation. addresses: canonical, the primary first.
    rights_version: of the entry when this was made; rights are derived again when it moved.
    is_admin: has the administrator's role, as of rights_version.
    generation: of the credentials of the one who logged in.
    protocols: what the mailbox's entry says of them. capabilities_off: of IMAP4, for this mailbox.
    home: the name of the server that it is said to be on.
    actor: who logged in, where he acts for another; else the same as id.
    restricted: the actor holds no more rights than the owner's lists and delegation give him.
    anonymous: nobody logged in (RFC 4505); id is of no entry.
    app: logged in by an app password, which is not enough to change passwords.
    must_change: logged in by a password that is good for setting another alone.
    """

    id: AccountId
    entry: EntryId
    dn: str
    addresses: tuple[str, ...]
    rights_version: int
    is_admin: bool
    generation: int
    actor: AccountId
    protocols: tuple[ProtocolSettings, ...] = ()
    capabilities_off: tuple[str, ...] = ()
    restricted: bool = False
    anonymous: bool = False
    home: str = ""
    app: bool = False
    must_change: bool = False

    @property
    def address(self) -> str:
        """The primary address, "" for one who has none."""
        return self.addresses[0] if self.addresses else ""


NOBODY = Account(AccountId(-3), EntryId(-3), "", (), 0, False, 0, AccountId(-3), anonymous=True)
"""Who came without a name (RFC 4505)."""
