"""What the LDAP server asks of the directory: a door, and the identity it binds to.

Searches give encoded answers (see `responses.encode_entry`, `responses.encode_reference`), so
that what was encoded once can be served many times. Whatever an operation raises is shown to
the door's `explain`; `results.Failed` and `results.Referred` may be raised as well.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from zope.interface import Attribute, Interface

from protocols.ldap.controls import NONE, Controls, PasswordError
from protocols.ldap.messages import (
    AddRequest,
    CompareRequest,
    Control,
    DeleteRequest,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    SearchRequest,
)
from protocols.ldap.results import Result
from protocols.ldap.syncing import Answer
from protocols.sasl import IAuthenticator
from protocols.security import Security


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may use. Octets, counts, seconds; 0 seconds means never."""

    unbound_message: int = 1 << 18
    """The largest LDAPMessage before a successful Bind."""
    bound_message: int = 16 << 20
    operations: int = 32
    """Operations in progress at once; reading pauses at this number (design: 19)."""
    paged_searches: int = 4
    """Paged searches (RFC 2696) kept open; the oldest is dropped."""
    idle: float = 600.0
    clear_text: bool = False
    """Whether a password may come over an unprotected connection from another machine."""


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """Entries and seconds one search may give and take; 0 means no limit."""

    entries: int = 0
    paged_entries: int = 0
    """For the whole of a paged search."""
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class SpecialEntry:
    """An entry that is not in the tree: the root DSE or the subschema subentry.

    Values are served to everybody; the server evaluates the filter and selects attributes.
    """

    dn: str
    user: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    operational: tuple[tuple[str, tuple[bytes, ...]], ...] = ()


Answered: TypeAlias = tuple[Control, ...]


def ignored(control: Control) -> None:
    """A note that nobody takes."""


class IIdentity(Interface):
    """A directory as one identity sees it: the object a bound connection holds.

    Rights are decided inside, per operation (rights are re-derived when their version moved);
    an attribute that may not be read is Undefined in filters, an entry that may not be seen
    is NO_SUCH_OBJECT.
    """

    limits: SearchLimits = Attribute("SearchLimits of this identity, read for every search")

    def watch(ended: Callable[[], None]) -> None:
        """Call `ended` when the account is deleted, disabled, or given another password.

        Not for a password that was changed through this identity itself.
        """

    def leave() -> None:
        """The connection has it no more: watch nothing."""

    def who_am_i() -> str:
        """The authorization identity, "dn:..." or "u:...", "" when anonymous (RFC 4532)."""

    async def proxied(authorization: str) -> IIdentity:
        """Whoever an authzId names, for one request (RFC 4370); "" is the anonymous identity.

        Refused with AUTHORIZATION_DENIED to who may not act for that one.
        """

    def search(
        request: SearchRequest, controls: Controls = NONE, note: Callable[[Control], None] = ignored
    ) -> AsyncGenerator[bytes | list[bytes] | Answer, None]:
        """Encoded SearchResultEntry and SearchResultReference, in any order but with a sort.

        Several SearchResultEntry may come as a list. An `Answer` has controls of its own, or is
        PERSISTING. `note` is given controls of the answer that ends the search.

        b"" may be given at any time as a resting point: the server then looks at the time
        limit and lets other work run. Do so at least every millisecond of work. The iterator
        is closed (aclose) when the search is abandoned, cancelled, or over a limit; the
        server counts entries and watches the clock, the iterator need not.
        """

    async def compare(request: CompareRequest, controls: Controls = NONE) -> bool:
        """Whether the entry has the value; Undefined is refused with what explains it."""

    # Updates give the controls of their answer: the entry before and after (RFC 4527).

    async def add(request: AddRequest, controls: Controls = NONE) -> Answered: ...

    async def modify(request: ModifyRequest, controls: Controls = NONE) -> Answered: ...

    async def delete(request: DeleteRequest, controls: Controls = NONE) -> Answered: ...

    async def modify_dn(request: ModifyDnRequest, controls: Controls = NONE) -> Answered: ...

    async def settle(updates: Sequence[tuple[Any, Controls]]) -> Sequence[Answered]:
        """Add, modify, delete and rename, one after the other, all or none (RFC 5805 3.4).

        Refused with FailedUpdate.
        """

    async def password_policy() -> Control:
        """What a policy says of the password that was bound with (`controls.password_control`)."""

    async def password_modify(request: PasswordModify) -> bytes | None:
        """Set a password; gives the generated one when the request carries none."""


class IDoor(Interface):
    """What a connection holds before anyone is bound; one per connection."""

    limits: Limits = Attribute("Limits of this connection, always current")
    authenticator: IAuthenticator = Attribute("what SASL Bind asks")

    def root_dse() -> SpecialEntry:
        """Naming contexts, vendor, subschemaSubentry; the server adds what it supports."""

    def subschema() -> SpecialEntry:
        """The subschema subentry (RFC 4512 4.2)."""

    def anonymous(security: Security) -> IIdentity | None:
        """The identity of a connection that is not bound; None where that may see nothing."""

    async def bind(name: str, password: bytes, security: Security) -> IIdentity:
        """Simple bind with a name and a password, both not empty (RFC 4513 5.1.3).

        `name` is a DN, or whatever else the directory accepts as a login name.
        security: of the connection; a password without protection was refused before.
        """

    def bound(identity: Any, security: Security) -> IIdentity:
        """The identity of a finished SASL exchange (`sasl.Success.identity`)."""

    def password_error(error: Exception) -> PasswordError | None:
        """What a refusal has to do with passwords; None for nothing, or nothing to be told."""

    def explain(error: Exception) -> Result | None:
        """The result of a refusal; None if it is none, but a bug."""
