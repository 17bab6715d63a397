"""The door: who comes in, and refusals in IMAP's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from imsd import __version__
from imsd.auth import Account, Authenticator, protocols
from imsd.errors import Referred, Refusal
from imsd.sessions import refusals
from imsd.sessions.imap4.account import ImapAccount
from imsd.sessions.imap4.held import AccountEnded, Mailstore
from imsd.settings.imap import Imap
from protocols.imap4.interfaces import IDoor
from protocols.imap4.values import Explained
from protocols.security import Security

_log = Logger()
ANONYMOUS = "anonymous"


@implementer(IDoor)
class ImapDoor:
    """One for all connections of the process."""

    def __init__(self, held: Mailstore, authenticator: Authenticator) -> None:
        self._held = held
        self.authenticator = authenticator

    def id(self, client: Mapping[str, str | None]) -> Mapping[str, str]:
        if client:
            _log.info("IMAP client says it is {client}", client=dict(client))
        return {"name": "imsd", "version": __version__}

    def capabilities_off(self, client: Mapping[str, str | None]) -> frozenset[bytes]:
        page = self._held.settings[Imap]
        name, version = client.get("name") or "", client.get("version") or ""
        return frozenset(
            each.encode() for rule in page.clients if rule.matches(name, version) for each in rule.off
        )

    def takes_login(self, security: Security) -> bool:
        try:
            self.authenticator.basic_allowed(security)
        except Refusal:
            return False
        return True

    async def login(self, name: str, password: str, security: Any) -> ImapAccount:
        if name.lower() == ANONYMOUS and self._held.settings[Imap].anonymous:
            # What clients do for an IMAP URL without a name (RFC 5092 3.2).
            return self._account(await self.authenticator.anonymous(password, security), security)
        return self._account(await self.authenticator.password("", name, password, security), security)

    async def admit(self, identity: Any, security: Any) -> ImapAccount:
        return self._account(identity, security)

    def _account(self, account: Account, security: Security) -> ImapAccount:
        protocols.check(self._held.settings, "IMAP4", account.protocols)
        session = ImapAccount(self._held, account)
        session.peer = security.peer
        session.rights_watch = self.authenticator.watch_rights(account, session.rights_moved)
        return session

    def explain(self, error: Exception) -> Explained | None:
        if not isinstance(error, Refusal):
            return None
        code = refusals.row_of(error).imap
        if isinstance(error, Referred):
            code = b" ".join([code, *(url.encode("ascii") for url in error.urls)])
        return Explained(code, error.text, bye=isinstance(error, AccountEnded))
