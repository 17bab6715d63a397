"""The facade that sessions, auth, mail and imsctl hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imsd.directory.values import Expansion, Person, Recipient

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database
    from imsd.store.ids import AccountId, EntryId


class Directory:
    """People and recipients, answered from the process's cache.

    start() must have returned before anything else is called.
    """

    def __init__(self, db: Database, settings: LiveSettings, clock: Any, passwords: Any = None) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Watch the change feed and read the tree."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    # Recipients ----------------------------------------------------------------------

    def serves(self, domain: str) -> bool:
        """Is mail for this domain ours to deliver or refuse?"""
        raise NotImplementedError

    async def resolve(self, address: str) -> Recipient:
        """Who receives mail for this address (no source route, no angle brackets).

        Raises NoSuchRecipient for an unknown address, in a domain of ours or not
        (ask `serves` first), AmbiguousRecipient where sub-addressing leaves a choice.
        """
        raise NotImplementedError

    async def expand(self, recipient: Recipient, limit: int | None = None) -> Expansion:
        """The recipients behind a list, nested lists included, each once, cycles cut.

        Raises TooManyRecipients beyond limit (default: the setting).
        """
        raise NotImplementedError

    # People --------------------------------------------------------------------------

    async def person_by_login(self, name: str) -> Person | None:
        r"""By alias, any SMTP address, DN in either suffix, or DOMAIN\alias; None if unknown."""
        raise NotImplementedError

    async def person(self, account: AccountId) -> Person | None:
        raise NotImplementedError

    async def people(self) -> list[Person]:
        """Every person, ordered by alias (imsctl user list)."""
        raise NotImplementedError

    async def add_user(
        self,
        address: str,
        *,
        name: str = "",
        given_name: str = "",
        surname: str = "",
        alias: str = "",
        password: str | None = None,
        admin: bool = False,
    ) -> Person:
        """A mailbox person: entry, addresses and mailboxes in one unit. Raises EntryExists, ..."""
        raise NotImplementedError

    async def add_group(
        self, address: str, *, name: str = "", members: tuple[str, ...] = (), owner: str = ""
    ) -> EntryId:
        """A distribution list; members and owner are addresses or DNs."""
        raise NotImplementedError

    async def add_contact(self, address: str, target: str, *, name: str = "") -> EntryId:
        """A custom recipient: mail for address goes to target."""
        raise NotImplementedError

    async def add_folder(self, address: str, pathname: str, *, name: str = "") -> EntryId:
        """A mail-enabled public folder, made in the public folder tree if it is not there."""
        raise NotImplementedError

    async def delete_user(self, address: str, *, delete_mailbox: bool) -> None:
        """Delete the person. delete_mailbox states the mailbox's fate: False refuses unless it is empty."""
        raise NotImplementedError

    async def set_password(self, account: AccountId, password: str) -> None:
        raise NotImplementedError
