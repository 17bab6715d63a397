"""May this be accepted: who sends, to whom, through whom.

1. An address is taken apart until it names somebody here or a foreign domain: quoted addresses,
   the %-hack, bang paths and encapsulated addresses (IMCEA) in a domain of ours are resolved first,
   and only then is asked whether the sender may relay. So none of them is a way around.
2. The routing table says what becomes of a domain (ims_spec 3.11): ours, another domain in its
   place, or sent on. Sending on is decided by the restrictions; a row may override them, except
   the list of who never may.
3. In a domain that another system shares, who is unknown here is sent there, for everybody: the
   domain is ours to accept for.
4. The custom routing program (imsd.mail.rerouting) goes before the table, and around no restriction.
5. postmaster without a domain is that of our first domain; the directory knows one in each
   (RFC 5321 4.5.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imsd.directory.imcea import Foreign, decode
from imsd.directory.membership import Writes
from imsd.directory.values import Local, PublicFolder, Recipient
from imsd.errors import (
    HostRejected,
    NoSuchRecipient,
    NotHomed,
    PostingDenied,
    RelayDenied,
    SecurityRequired,
    SenderNotPermitted,
)
from imsd.mail import posting
from imsd.mail.connectors import Connectors, Originator, Out, Tell, silent
from imsd.mail.destinations import Destination
from imsd.mail.envelope import Addressee
from imsd.mail.rerouting import Answer, RoutingPlugin
from imsd.mail.restrictions import Criteria, Facts, Verdict, decide
from imsd.mail.room import Room
from imsd.mail.srs import Srs
from imsd.settings.accept import Accept
from imsd.settings.domains import normal_domain
from imsd.settings.routing import Rerouting, Restrictions, TableRow
from protocols.smtp.grammar import BadPath, Path, parse_address, quote_local
from protocols.smtp.parameters import RcptParameters
from protocols.values import value

if TYPE_CHECKING:
    from imsd.auth.account import Account
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings

DEPTH = 5
"""Addresses within addresses, and rows of the routing table, that are followed."""


@value(frozen=True, slots=True)
class Submitter:
    """Who brings a message. peer, local: the addresses of the connection, "" where there is none.
    trusted: a program of this machine, which may send to anybody."""

    peer: str = ""
    local: str = ""
    account: int | None = None
    sender: str = ""
    trusted: bool = False

    @property
    def originator(self) -> Originator:
        return Originator(self.account, self.sender, peer=self.peer)


class Policy:
    """Decides about hosts, originators and recipients."""

    def __init__(
        self, directory: Directory, settings: LiveSettings, connectors: Connectors | None = None
    ) -> None:
        self._directory = directory
        self._settings = settings
        self.room = Room(directory, settings)
        self.srs = Srs(directory, settings)
        self.connectors = connectors or Connectors(settings, directory)
        self.plugin: RoutingPlugin | None = None
        self.check_space: Callable[[], None] = lambda: None
        """May new mail come in? Raises StoreFull."""

    @property
    def directory(self) -> Directory:
        return self._directory

    @property
    def first_domain(self) -> str:
        """The domain of who has none; "" where no domain is served."""
        served = self._directory.domains.served
        return served[0] if served else ""

    # Relaying --------------------------------------------------------------------------

    def may_relay(self, by: Submitter) -> Verdict:
        """Whether mail for other domains is sent on for a submitter."""
        if by.trusted:
            return Verdict(True, "it comes from a program of this machine")
        page, lists = self._settings[Rerouting], self._settings[Restrictions]
        authenticated = by.account is not None
        criteria = Criteria(bool(lists.deny), bool(lists.allow), bool(lists.local), lists.authenticated)
        facts = Facts(
            lists.denied.find(by.peer, False),
            lists.allowed.find(by.peer, False),
            lists.internal.find(by.local, False),
            authenticated,
        )
        verdict = decide(criteria, facts, page.allow_open_relay)
        if page.mode == "local_only" and not authenticated and verdict.allowed:
            return Verdict(False, "incoming mail is not rerouted (routing.mode)")
        return verdict

    async def may_post(self, recipient: Recipient | None, by: Submitter) -> None:
        """Raises PostingDenied where a public folder's list does not let the submitter post, or the
        recipient does not accept from him."""
        if recipient is None or not (recipient.restricted or isinstance(recipient, PublicFolder)):
            return
        if not await posting.admits(self._directory, recipient, by.originator):
            raise PostingDenied("This recipient does not accept messages from this sender")
        await posting.may_post(self._directory, recipient, by.account)

    # Recipients ------------------------------------------------------------------------

    async def addressee(
        self, path: Path, parameters: RcptParameters, by: Submitter, tell: Tell = silent
    ) -> Addressee:
        """Who a forward-path is for. tell: hears of every rule that was considered.

        Raises NoSuchRecipient, AmbiguousRecipient, RelayDenied, NoRoute, PolicyRejected.
        """
        held = "" if by.sender else await self.srs.back(str(path))
        if held:
            tell(f"{path} is a reverse-path of ours: the report is {held}'s")
            path = _parsed(held)
        found = path if path.domain[-1:] not in (".", " ") else Path(path.local, path.domain.rstrip(". "))
        override = bool(held)
        wish = ""
        if self.plugin is not None and self.plugin.plugin and not held:
            answer = await self._asked(self.plugin, found, by, tell)
            found, wish = answer.path, answer.action
            if answer.host:
                self._check_relay(by, override, tell)
                return _handed(found, answer.host, parameters)
        for _ in range(DEPTH):
            here = not found.domain or self._ours(found.domain, by.local)
            if here or wish == "inbound":
                if tell is not silent:
                    why = self._because(found.domain) if here else "routing.plugin"
                    tell(f"{found.domain or 'no domain'} is inbound: {why}")
                wish = ""
                inbound = await self._inbound(found, parameters, by, tell)
                if isinstance(inbound, Addressee):
                    return inbound
                if isinstance(inbound, Foreign):
                    self._check_relay(by, override, tell)
                    out = await self.connectors.out_foreign(inbound, by.originator, tell)
                    return _outward(out, None, parameters)
                found = inbound
                tell(f"which is {found}")
                continue
            row = None if wish == "relay" else self._row(found.domain, by)
            if row is not None:
                override = override or row.override
                tell(f"routing table, {row.domain}: {row.action}{', override' if row.override else ''}")
                if row.reroute:
                    # Once: host1.ms.com is below ms.com, whose row led there.
                    found = Path(found.local, row.reroute)
                    if self._ours(found.domain, by.local):
                        continue
            else:
                tell(f"no row of the routing table fits {found.domain}")
            return await self._outbound(found, parameters, by, override, tell)
        raise NoSuchRecipient

    async def _asked(self, plugin: RoutingPlugin, path: Path, by: Submitter, tell: Tell) -> Answer:
        """What the routing program wants."""
        answer = await plugin.ask(path, by.sender, by.peer, by.local, by.account is not None)
        if tell is not silent:
            changed = f", as {answer.path}" if answer.path != path else ""
            tell(f"{plugin.plugin.name}: {answer.host or answer.action or 'as the table says'}{changed}")
        return answer

    def _row(self, domain: str, by: Submitter) -> TableRow | None:
        if self._settings[Rerouting].mode == "local_only" and by.account is None:
            return None
        if not self._settings[Rerouting].table:
            return None
        try:
            return self._directory.domains.row(normal_domain(domain))
        except ValueError:
            return None

    def _because(self, domain: str) -> str:
        if not domain or domain[0] == "[":
            return "it means this server"
        row = self._directory.domains.row(normal_domain(domain))
        return "a domain of addresses" if row is None else f"routing table, {row.domain}: {row.action}"

    async def _inbound(
        self, path: Path, parameters: RcptParameters, by: Submitter, tell: Tell
    ) -> Addressee | Foreign | Path:
        """Who a path in a domain of ours is for; or what it holds."""
        recipient = self._directory.known_recipient(str(path)) or await self._local(path)
        if recipient is not None:
            if tell is not silent:
                tell(f"{path} reaches somebody here")
            return _addressee(recipient.address, recipient, parameters)
        tell(f"{path} is nobody's address")
        inner: Path | Foreign | Recipient | None
        try:
            inner = await self._inner(path)
        except NoSuchRecipient:
            host = self._directory.share_host(path.domain) if path.domain else ""
            if not host:
                raise
            tell(f"addressing.share_domain_with: {path.domain} is shared with {host}")
            return _handed(path, host, parameters)
        if isinstance(inner, Path | Foreign):
            return inner
        return _addressee(inner.address, inner, parameters)

    async def _outbound(
        self, path: Path, parameters: RcptParameters, by: Submitter, override: bool, tell: Tell
    ) -> Addressee:
        self._check_relay(by, override, tell)
        out = await self.connectors.out(str(path), by.originator, tell=tell)
        return _outward(out, None, parameters)

    def _check_relay(self, by: Submitter, override: bool, tell: Tell) -> None:
        verdict = self.may_relay(by)
        if override and not verdict.denied:
            tell("relaying: allowed by the row of the routing table, or by a reverse-path of ours")
            return
        tell(f"relaying: {'allowed' if verdict.allowed else 'refused'}, {verdict.rule}")
        if not verdict.allowed:
            raise RelayDenied

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

    async def _inner(self, path: Path) -> Path | Foreign | Recipient:
        """What an unknown address of ours holds. Raises NoSuchRecipient if there is nothing."""
        held = decode(path.local)
        if held is None:
            return _rewritten(path)
        if held.type == "SMTP":
            return _parsed(held.value)
        try:
            return await self._directory.resolve_foreign(held.type, held.value)
        except NoSuchRecipient:
            return held

    # Hosts and originators ----------------------------------------------------------------

    def check_host(self, peer: str, encrypted: bool, authenticated: bool) -> bool:
        """May this host bring mail to port 25? True: it is a relay server.

        Raises HostRejected, SecurityRequired (ims_spec 3.4.4).
        """
        page = self._settings[Accept]
        row = page.row_of(peer)
        if row.rejects:
            raise HostRejected
        required = page.required(row)
        if "auth" in required and not authenticated:
            raise SecurityRequired("Authentication required")
        if "tls" in required and not encrypted:
            raise SecurityRequired("Encryption required, use STARTTLS")
        return row.relay_server

    async def check_home(self, account: Account | None, address: str) -> None:
        """The originator has logged in and has a mailbox here. Raises NotHomed, SecurityRequired."""
        if not self._settings[Accept].require_home:
            return
        if account is None:
            raise SecurityRequired("Authentication required")
        try:
            sender = await self._directory.resolve(address) if address else None
        except NoSuchRecipient:
            sender = None
        if not account.addresses or (address and not isinstance(sender, Local)):
            raise NotHomed(f"Mailbox is not local: {address or account.dn}")

    async def check_sender(self, account: Account, address: str, submission: bool = True) -> Writes:
        """The address must be the account's own, or of somebody who has let it write in his name; "" is the
        null reverse-path and always may be.

        ON_BEHALF: as an author, or the reverse-path. Raises SenderNotPermitted (RFC 6409 6.1).
        """
        when = self._settings[Accept].match_sender
        if not address or when == "never" or (when == "submission" and not submission):
            return Writes.AS
        if address.lower() in account.addresses:
            return Writes.AS
        try:
            recipient = await self._directory.resolve(address)
        except NoSuchRecipient:
            raise SenderNotPermitted from None
        if isinstance(recipient, Local) and recipient.account == account.id:
            return Writes.AS
        writes = await self._directory.writes_for(account.entry, recipient.entry)
        if writes is Writes.NOT:
            raise SenderNotPermitted
        return writes


def _addressee(address: str, recipient: Recipient | None, given: RcptParameters) -> Addressee:
    return Addressee(address, recipient, given.notify, given.orcpt_type, given.orcpt)


def _outward(out: Out, recipient: Recipient | None, given: RcptParameters) -> Addressee:
    bound = str(out.destination) if out.destination.connector else ""
    return Addressee(out.address, recipient, given.notify, given.orcpt_type, given.orcpt, bound, out.parked)


def _handed(path: Path, host: str, given: RcptParameters) -> Addressee:
    """For a host, whatever the domain."""
    bound = str(Destination(host=host))
    return Addressee(str(path), None, given.notify, given.orcpt_type, given.orcpt, bound)


def _rewritten(path: Path) -> Path:
    """A quoted address, a bang path, the %-hack. Raises NoSuchRecipient for anything else."""
    local = path.local
    if "@" in local:
        return _parsed(local)
    if "!" in local:
        host, _, rest = local.partition("!")
        return _parsed(f"{rest}@{host}")
    if "%" in local:
        user, _, host = local.rpartition("%")
        return _parsed(f"{user}@{host}")
    raise NoSuchRecipient


def _parsed(text: str) -> Path:
    local, _, domain = text.rpartition("@")
    try:
        # Read again by the grammar: what was encoded may hide octets that no address has.
        return parse_address(f"{quote_local(local)}@{domain.strip()}".encode())
    except (BadPath, UnicodeEncodeError):
        raise NoSuchRecipient from None
