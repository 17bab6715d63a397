"""LDAP over the directory: the door of a connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from imsd import __version__
from imsd.auth import protocols
from imsd.auth.account import Account
from imsd.auth.authenticator import Authenticator
from imsd.directory import configuration, subschema, tree
from imsd.directory.directory import Directory
from imsd.sessions import password_policy, refusals
from imsd.sessions.ldap_identity import Identity as Identity
from imsd.sessions.ldap_identity import password_text
from imsd.settings import LiveSettings
from imsd.settings.directory import Ldap
from imsd.settings.logins import Logins
from protocols.connection import Connection
from protocols.ldap.controls import (
    PasswordError,
)
from protocols.ldap.interfaces import IDoor, Limits, SpecialEntry
from protocols.ldap.reader import Budget
from protocols.ldap.results import Result
from protocols.ldap.server import LdapConnection
from protocols.security import Security

if TYPE_CHECKING:
    from imsd.core import Core

_SHOW_HIDDEN: Final = ",cn=admin"
"""What administrators' tools append to a bind name to see hidden entries (ims_spec 7.5); ours do
in any case."""


@implementer(IDoor)
class Door:
    """What every connection of a listener shares."""

    def __init__(self, directory: Directory, settings: LiveSettings, authenticator: Authenticator) -> None:
        self._directory = directory
        self._settings = settings
        self.authenticator = authenticator
        self._pages: tuple[Ldap | None, Logins | None] = None, None
        """The settings that `_limits` are of."""
        self._limits = Limits()

    @property
    def limits(self) -> Limits:
        pages = self._settings[Ldap], self._settings[Logins]
        if pages[0] is not self._pages[0] or pages[1] is not self._pages[1]:
            page, logins = pages
            clear = protocols.methods(logins, page.authentication).clear
            self._pages = pages
            self._limits = Limits(operations=page.operations, idle=page.idle_minutes * 60.0, clear_text=clear)
        return self._limits

    def root_dse(self) -> SpecialEntry:
        here = self._directory.cache.tree
        suffixes = () if here is None else tuple(suffix.text.encode() for suffix in here.suffixes)
        return SpecialEntry(
            "",
            user=(("objectClass", (b"top",)),),
            operational=(
                # The suffix that today's clients expect comes first.
                ("namingContexts", suffixes[::-1]),
                ("subschemaSubentry", (tree.SUBSCHEMA.encode(),)),
                ("configContext", (configuration.NAME.encode(),)),
                ("vendorName", (b"imsd",)),
                ("vendorVersion", (__version__.encode(),)),
            ),
        )

    def subschema(self) -> SpecialEntry:
        return _subschema()

    def anonymous(self, security: Security) -> Identity | None:
        return self._identity(None, security) if self._settings[Ldap].anonymous else None

    async def bind(self, name: str, password: bytes, security: Security) -> Identity:
        if name.lower().endswith(_SHOW_HIDDEN) and name.count("=") > 1:
            name = name[: -len(_SHOW_HIDDEN)]
        account = await self.authenticator.password("", name, password_text(password), security)
        protocols.check(self._settings, "LDAP", account.protocols)
        return self._identity(account, security)

    def bound(self, identity: Any, security: Security) -> Identity:
        assert isinstance(identity, Account)
        protocols.check(self._settings, "LDAP", identity.protocols)
        return self._identity(identity, security)

    def password_error(self, error: Exception) -> PasswordError | None:
        return password_policy.error_of(error)

    def explain(self, error: Exception) -> Result | None:
        return refusals.ldap(error)

    def _identity(self, account: Account | None, security: Security) -> Identity:
        return Identity(self._directory, self._settings, self.authenticator, account, security)


@lru_cache(maxsize=1)
def _subschema() -> SpecialEntry:
    return SpecialEntry(
        tree.SUBSCHEMA,
        user=(("objectClass", (b"top", b"subschema")), ("cn", (b"Subschema",))),
        operational=subschema.subschema(),
    )


def make_ldap(core: Core, contexts: Any) -> Callable[[], Connection]:
    """What builds the connections of one listener. contexts: the server side of StartTLS."""
    authenticator = core.authenticator.of_protocol("ldap", protocols.methods_of(core.settings, Ldap))
    door = Door(core.directory, core.settings, authenticator)
    budget = Budget()
    return lambda: LdapConnection(core.reactor, door, lambda: contexts, budget)
