"""May this be accepted: who sends, to whom, through whom.

1. An address is taken apart until it names somebody here or a foreign domain: quoted addresses,
   the %-hack, bang paths and IMCEASMTP encapsulation in a domain of ours are resolved first,
   and only then is asked whether the sender may relay. So none of them is a way around.
2. Relaying is for those who logged in and for the networks the administrator named. An empty
   list names nobody.
3. postmaster without a domain is that of our first domain; the directory knows one in each
   (RFC 5321 4.5.1).
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from imsd.directory.values import Local, Recipient
from imsd.errors import NoSuchRecipient, RelayDenied, SenderNotPermitted
from imsd.mail.envelope import Addressee
from imsd.mail.room import Room
from imsd.settings.smtp import Smtp
from protocols.smtp.grammar import BadPath, Path, parse_address, quote_local
from protocols.smtp.parameters import RcptParameters

if TYPE_CHECKING:
    from imsd.auth.account import Account
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings

DEPTH = 5
"""Addresses within addresses that are followed."""

_IMCEA = re.compile(r"IMCEASMTP-(.+)\Z", re.IGNORECASE)
_HEX = re.compile(r"\+([0-9A-Fa-f]{2})")


class Policy:
    """Decides about originators and recipients."""

    def __init__(self, directory: Directory, settings: LiveSettings) -> None:
        self._directory = directory
        self._settings = settings
        self.room = Room(directory, settings)
        self._networks: tuple[tuple[str, ...], list[object]] = ((), [])

    # Relaying --------------------------------------------------------------------------

    def may_relay(self, peer: str) -> bool:
        """Whether a peer that did not log in may send to anybody."""
        texts = self._settings[Smtp].relay_networks
        if not texts or not peer:
            return False
        if self._networks[0] != texts:
            self._networks = (texts, [ip_network(text, strict=False) for text in texts])
        address = ip_address(peer.partition("%")[0])
        return any(address in network for network in self._networks[1])  # type: ignore[operator]

    # Recipients ------------------------------------------------------------------------

    async def addressee(
        self, path: Path, parameters: RcptParameters, relay: bool, own_address: str = ""
    ) -> Addressee:
        """Who a forward-path is for.

        own_address: the address the peer connected to; `user@[that address]` is ours.
        Raises NoSuchRecipient, AmbiguousRecipient, RelayDenied.
        """
        found = path
        for _ in range(DEPTH):
            if not found.domain or self._ours(found.domain, own_address):
                recipient = await self._local(found)
                if recipient is not None:
                    return _addressee(recipient.address, recipient, parameters)
                found = _inner(found)
                continue
            if not relay:
                raise RelayDenied
            return _addressee(str(found), None, parameters)
        raise NoSuchRecipient

    def _ours(self, domain: str, own_address: str) -> bool:
        if domain[0] == "[":
            literal = domain[1:-1].lower().removeprefix("ipv6:")
            return bool(own_address) and literal == own_address.lower()
        return self._directory.serves(domain)

    async def _local(self, path: Path) -> Recipient | None:
        if path.domain:
            try:
                return await self._directory.resolve(str(path))
            except NoSuchRecipient:
                if path.domain[0] != "[":
                    return None
        if path.local.lower() != "postmaster":
            return None
        # <Postmaster>, and postmaster at our address: whoever it is in our first domain.
        served = self._directory.domains.served
        return await self._directory.resolve(f"postmaster@{served[0]}") if served else None

    # Originators -----------------------------------------------------------------------

    async def check_sender(self, account: Account, address: str) -> None:
        """The address must be the account's own; "" is the null reverse-path and always may be.

        Raises SenderNotPermitted (RFC 6409 6.1).
        """
        if not address or not self._settings[Smtp].sender_must_match:
            return
        if address.lower() in account.addresses:
            return
        try:
            recipient = await self._directory.resolve(address)
        except NoSuchRecipient:
            recipient = None
        if not isinstance(recipient, Local) or recipient.account != account.id:
            raise SenderNotPermitted


def _addressee(address: str, recipient: Recipient | None, given: RcptParameters) -> Addressee:
    return Addressee(address, recipient, given.notify, given.orcpt_type, given.orcpt)


def _inner(path: Path) -> Path:
    """The address inside an unknown address of ours. Raises NoSuchRecipient if there is none."""
    local = path.local
    encapsulated = _IMCEA.match(local)
    if encapsulated:
        text = _HEX.sub(lambda m: chr(int(m[1], 16)), encapsulated[1].replace("_", "/"))
    elif "@" in local:
        text = local
    elif "!" in local:
        host, _, rest = local.partition("!")
        text = f"{rest}@{host}"
    elif "%" in local:
        user, _, host = local.rpartition("%")
        text = f"{user}@{host}"
    else:
        raise NoSuchRecipient
    local, _, domain = text.rpartition("@")
    try:
        # Read again by the grammar: what was encoded may hide octets that no address has.
        return parse_address(f"{quote_local(local)}@{domain}".encode())
    except (BadPath, UnicodeEncodeError):
        raise NoSuchRecipient from None
