"""Whether a listener of POP3, IMAP4, LDAP or SMTP lets a peer in, and what it says to one it does not.

Looked at when a connection comes (ims_spec 7.1): the protocol may be switched off here, and the
peer's address may be among those that are rejected. Whoever is connected when a protocol is
switched off is sent away; rules about addresses are for connections to come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from imsd.settings import LiveSettings
from imsd.settings.accept import Accept
from imsd.settings.connectors import Ims
from imsd.settings.directory import Ldap
from imsd.settings.imap import Imap
from imsd.settings.pop3 import Pop3
from imsd.settings.protocols import Protocols
from imsd.settings.smtp import Smtp
from protocols.connection import ConnectionFactory
from protocols.ldap.results import ResultCode
from protocols.ldap.server import notice

Served = type[Pop3] | type[Imap] | type[Ldap]

PAGE_OF: Final[Mapping[str, Served]] = {
    "pop3": Pop3,
    "pop3s": Pop3,
    "imap": Imap,
    "imaps": Imap,
    "ldap": Ldap,
    "ldaps": Ldap,
    "ldapi": Ldap,
}
"""The protocol's page, by listener."""

_OFF: Final[Mapping[Served, bytes]] = {
    Pop3: b"-ERR [SYS/PERM] POP3 is switched off on this server\r\n",
    Imap: b"* BYE [UNAVAILABLE] IMAP4 is switched off on this server\r\n",
    Ldap: notice(ResultCode.UNAVAILABLE, "LDAP is switched off on this server"),
}
_REJECTED: Final[Mapping[Served, bytes]] = {
    Pop3: b"-ERR [SYS/PERM] Connections from your address are not accepted\r\n",
    Imap: b"* BYE [CONTACTADMIN] Connections from your address are not accepted\r\n",
    Ldap: notice(ResultCode.UNWILLING_TO_PERFORM, "Connections from your address are not accepted"),
}


class Gate:
    """One for a listener; called with a peer's address it gives what to tell who may not come in."""

    def __init__(self, settings: LiveSettings, page: Served) -> None:
        self._settings = settings
        self._page = page

    @property
    def open(self) -> bool:
        """Is the protocol served?"""
        return self._settings[self._page].enabled

    def __call__(self, peer: str) -> bytes | None:
        if not self.open:
            return _OFF[self._page]
        if peer == "local":
            return None  # a local socket: the file system says who may come
        return None if self._settings[Protocols].accepts(peer) else _REJECTED[self._page]


class SmtpGate:
    """The same for port 25: hosts that are rejected, and a server that only sends (ims_spec 3.4)."""

    def __init__(self, settings: LiveSettings, hostname: str) -> None:
        self._settings = settings
        self._hostname = hostname

    def __call__(self, peer: str) -> bytes | None:
        mode = self._settings[Ims].transfer_mode
        if mode == "outbound":
            return b""  # Closed without a word, as by a port that nobody listens on.
        if mode in ("none", "hold"):
            return b"421 4.3.2 %b takes no mail at present\r\n" % self._hostname.encode("ascii", "replace")
        page = self._settings[Accept]
        if page.refuse_at != "connect" or not page.row_of(peer).rejects:
            return None
        if page.refuse_with == "521":
            return b"521 %b access denied\r\n" % self._hostname.encode("ascii", "replace")
        return b"554 5.7.1 %b access denied\r\n" % self._hostname.encode("ascii", "replace")


class OdmrGate:
    """The same for port 366, which is there for those who fetch their mail by ATRN."""

    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def __call__(self, peer: str) -> bytes | None:
        if self._settings[Smtp].atrn:
            return None
        return b"421 4.3.2 On-demand mail relay is switched off on this server\r\n"


def close_what_is_off(settings: LiveSettings, factories: Mapping[str, ConnectionFactory]) -> None:
    """Send everybody away whose protocol is not served any more."""
    for name, factory in factories.items():
        page = PAGE_OF.get(name)
        off = page is not None and not settings[page].enabled
        off = off or (name == "odmr" and not settings[Smtp].atrn)
        if off or (name == "smtp" and settings[Ims].transfer_mode not in ("both", "inbound")):
            for connection in list(factory.connections):
                connection.goodbye()
