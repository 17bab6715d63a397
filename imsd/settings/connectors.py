"""Connectors: which addresses each carries, to where, for whom (ims_spec 3.2 to 3.4, 3.7).

The Internet Mail Service itself is the connector `ims`: its pages are Address Space and Connected
Sites (`ims`), Message delivery (`ims.delivery`) and Delivery Restrictions (`ims.restrict`). Others
stand whole in `ims.connectors`. `connectors` gives them all in one form.
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from imsd.settings.domains import DomainPattern, DomainTable, normal_domain, once_each
from imsd.settings.networks import Networks, NetworkText, network
from imsd.settings.page import Page
from imsd.settings.security import SecurityRow

DEFAULT = "ims"
"""The connector that is always there."""

TransferMode = Literal["both", "inbound", "outbound", "none", "hold"]
_FROZEN = ConfigDict(frozen=True, extra="forbid")


def host_and_port(text: str, port: int = 25) -> tuple[str, int]:
    """Take apart "host", "host:port", "[address]" or "[host]:port". Raises ValueError.

    A name in brackets is given with them: its own addresses are meant, not its MX records.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text}: host or host:port expected")
        host = host[5:] if host[:5].lower() == "ipv6:" else host
        try:
            ip_address(host)
        except ValueError:
            host = f"[{normal_domain(host)}]"
        digits = rest[1:]
    else:
        host, _, digits = text.partition(":")
    if not host or (digits and not digits.isdigit()) or (digits and not 0 < int(digits) < 65_536):
        raise ValueError(f"{text}: host or host:port expected")
    return host, int(digits) if digits else port


def _host(text: str) -> str:
    host_and_port(text)
    return text.strip()


Host = Annotated[str, AfterValidator(_host)]


def _via(text: str) -> str:
    """A routing address: the host that an address is encapsulated for (ims_spec 3.2, 3.3, 15-A8)."""
    text = text.strip()
    return normal_domain(text) if text else ""


class AddressSpace(BaseModel):
    """One row of the Address Space page: addresses of a type that a connector carries."""

    model_config = _FROZEN

    type: str = Field("SMTP", pattern=r"^[A-Za-z][A-Za-z0-9]{0,15}$")
    pattern: str = Field("*", max_length=500)
    cost: int = Field(1, ge=1, le=100)
    via: Annotated[str, AfterValidator(_via)] = ""
    scope: Literal["organization", "site", "location"] = "organization"

    @model_validator(mode="before")
    @classmethod
    def _local_type(cls, value: object) -> object:
        """LOCAL with SMTP:pattern is the older way to say scope=site (ims_spec 3.2)."""
        if isinstance(value, dict) and str(value.get("type", "")).upper() == "LOCAL":
            kind, colon, pattern = str(value.get("pattern", "")).partition(":")
            if not colon:
                raise ValueError("LOCAL needs a pattern TYPE:pattern")
            return {**value, "type": kind, "pattern": pattern, "scope": "site"}
        return value

    @field_validator("type")
    @classmethod
    def _type(cls, value: str) -> str:
        return value.upper()

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """Compared with the whole address. A bare domain of SMTP stands for it and what is below."""
        pattern = self.pattern.strip().lower()
        if self.type == "SMTP" and pattern and not set(pattern) & set("*@"):
            return (f"*@{pattern}", f"*@*.{pattern}")
        return (pattern,)


class ConnectedSite(BaseModel):
    """Another site of the organisation, reached through this connector."""

    model_config = _FROZEN

    organization: str = Field("", max_length=64)
    site: str = Field(min_length=1, max_length=64)
    cost: int = Field(1, ge=1, le=100)
    address: str

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        return normal_domain(value.strip().removeprefix("@"))


def _sender(text: str) -> str:
    text = text.strip()
    if not text or ("@" not in text and "=" not in text):
        raise ValueError(f"{text or 'nothing'}: an address or a DN expected")
    return text


Senders = tuple[Annotated[str, AfterValidator(_sender)], ...]


class DomainRow(BaseModel):
    """Specify by e-mail domain. route: dns, smarthost, host:HOST[,HOST...], etrn or atrn:LOGIN[,LOGIN...]."""

    model_config = _FROZEN

    domain: DomainPattern
    route: str = "dns"
    port: int | None = Field(None, ge=1, le=65_535)

    @field_validator("route")
    @classmethod
    def _route(cls, value: str) -> str:
        value = value.strip()
        if value.startswith("host:"):
            hosts = [_host(each) for each in value[5:].split(",")]
            return "host:" + ",".join(hosts)
        if value.startswith("atrn:"):
            logins = [each.strip().lower() for each in value[5:].split(",")]
            if not all(each.rpartition("@")[0] for each in logins):
                raise ValueError(f"{value}: addresses of who may ask expected after atrn:")
            return "atrn:" + ",".join(logins)
        if value not in ("dns", "smarthost", "etrn"):
            raise ValueError(f'{value}: "dns", "smarthost", "host:HOST", "etrn" or "atrn:LOGIN" expected')
        return value

    @property
    def held(self) -> str:
        """Why mail waits to be asked for, "" if it does not."""
        if self.route == "etrn":
            return "Held until the domain's host asks for it by ETRN"
        return "Held until the domain's host asks for it by ATRN" if self.logins else ""

    @property
    def logins(self) -> tuple[str, ...]:
        """Who may ask by ATRN."""
        return tuple(self.route[5:].split(",")) if self.route.startswith("atrn:") else ()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.route[5:].split(",")) if self.route.startswith("host:") else ()


class Way(BaseModel):
    """Message delivery of one connector."""

    model_config = _FROZEN

    mode: Literal["dns", "smarthost"] = "dns"
    smart_hosts: tuple[Host, ...] = ()
    port: int = Field(25, ge=1, le=65_535)
    link: str = Field("", max_length=20)

    @model_validator(mode="after")
    def _hosts(self) -> Way:
        if self.mode == "smarthost" and not self.smart_hosts:
            raise ValueError("smarthost needs smart_hosts")
        return self


class Restrict(BaseModel):
    """Delivery restrictions of one connector."""

    model_config = _FROZEN

    accept_from: Senders = ()
    reject_from: Senders = ()

    def __bool__(self) -> bool:
        return bool(self.accept_from or self.reject_from)


class Connector(BaseModel):
    """A connector, whole."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")
    transfer_mode: TransferMode = "both"
    location: str = Field("", max_length=64)
    address_space: tuple[AddressSpace, ...] = Field((), max_length=1_000)
    connected_sites: tuple[ConnectedSite, ...] = Field((), max_length=1_000)
    inbound_hosts: tuple[NetworkText, ...] = Field((), max_length=1_000)
    delivery: Way = Way()
    restrict: Restrict = Restrict()

    @cached_property
    def _inbound(self) -> Networks[bool]:
        return Networks((network, True) for network in self.inbound_hosts)

    def brings(self, peer: str) -> bool:
        """Whether what a host brings comes in by this connector."""
        return bool(self.inbound_hosts) and self._inbound.find(peer, False)

    @property
    def sends(self) -> bool:
        """Whether what is in its queue leaves."""
        return self.transfer_mode not in ("inbound", "hold")

    @property
    def takes(self) -> bool:
        """Whether what is given to it now may leave (ims_spec 15-A4: none holds new mail and drains old)."""
        return self.transfer_mode in ("both", "outbound")

    @property
    def frozen(self) -> bool:
        return self.transfer_mode == "hold"


class Ims(Page):
    """The Internet Mail Service: Internet Mail, Address Space, Connected Sites, Connections."""

    section = "ims"

    note: str = Field("", max_length=1_024, description="Administrative note; nothing depends on it")
    admin_mailbox: str = Field(
        "",
        description="Address of the administrator's mailbox: gets what is for postmaster of an inbound "
        "domain that has no postmaster address of its own; empty: an administrator",
    )
    site_domain: str = Field(
        "",
        description="Domain of reports and notifications about mail for other domains (postmaster@ it); "
        "empty: the first domain of addresses",
    )
    suppress_dr: bool = Field(
        True,
        description="Give no delivery receipts for Return-Receipt-To; off: a message that names its own "
        "sender there is reported to him when it is delivered. What NOTIFY=SUCCESS asks for is always told",
    )
    turn: Literal["off", "atrn"] = Field(
        "off",
        description="What TURN does: off: it is refused; atrn: over TLS, to who is logged in, the same as "
        "ATRN for all that he may fetch (smtp.atrn). Never anything without a login (RFC 5321 F.1)",
    )
    transfer_mode: TransferMode = Field(
        "both",
        description="both; inbound: mail that would leave waits in the queue; outbound: connections to "
        "port 25 are closed; none: port 25 answers 421, new mail that would leave waits, what is in the "
        "queue is sent (imsctl drain); hold: likewise, and nothing is sent nor given up",
    )
    size_limit_kb: int = Field(
        50_000,
        ge=0,
        le=9_999_999,
        description="Largest message in kilobytes, in and out; 0: any size",
    )
    size_limit_in: int = Field(
        0, ge=0, le=4_294_967_295, description="Largest message that comes in, in bytes; 0: as size_limit_kb"
    )
    size_limit_out: int = Field(
        0, ge=0, le=4_294_967_295, description="Largest message that leaves, in bytes; 0: as size_limit_kb"
    )
    size_tolerance: int = Field(
        1_023,
        ge=0,
        le=1_048_576,
        description="Bytes that a message may have beyond size_limit_kb",
    )
    location: str = Field("", max_length=64, description="Server location, for address spaces of that scope")
    address_space: tuple[AddressSpace, ...] = Field(
        (AddressSpace(),),
        max_length=1_000,
        description="Rows {type, pattern, cost, via, scope}: the addresses that leave here. type: SMTP, "
        "X400, MS, CCMAIL or another; pattern: compared with the whole address (* anything, a bare domain: "
        "it and those below); cost: 1 to 100; via: the address is encapsulated and sent to that host; "
        "scope: organization, site or location",
    )
    connected_sites: tuple[ConnectedSite, ...] = Field(
        (),
        max_length=1_000,
        description="Rows {organization, site, cost, address}: sites whose recipients (EX addresses) are "
        "sent encapsulated to the host that address names",
    )
    inbound_hosts: tuple[NetworkText, ...] = Field(
        (),
        max_length=1_000,
        description="Hosts (CIDR) whose mail comes in by this connector: it leaves by another, where one "
        "fits as well",
    )
    sites_direct: bool = Field(
        False,
        description="Send to people of connected sites by their Internet address, where they have one, "
        "and not encapsulated",
    )
    lowest_cost_only: bool = Field(
        False, description="Never use a connector of higher cost while one of lower cost is not working"
    )
    domains: tuple[DomainRow, ...] = Field(
        (),
        max_length=10_000,
        description="Rows {domain, route, port}: how mail for a domain and those below it leaves: dns, "
        "smarthost, host:HOST[:PORT][,HOST...], etrn (it is held until the domain's host asks by ETRN) or "
        "atrn:LOGIN[,LOGIN...] (until it logs in as one of these and fetches it by ATRN); "
        "the recipient's address is not changed",
    )
    security: tuple[SecurityRow, ...] = Field(
        (),
        max_length=10_000,
        description="Rows {domain, tls, names, ca_file, certificate, key, auth, user, password, "
        "allow_cleartext}: the hosts of an e-mail domain (and those below it), or a host that mail is handed "
        "to. tls: none, may, encrypt, verify or dane; names: what verify wants in the certificate in place "
        "of the host's name (.example.org: anything below it); certificate, key: ours, PEM files relative to "
        "the home; auth: plain, login, scram-sha-256, scram-sha-256-plus, external or any; password: "
        "file:PATH, or itself, which is kept sealed; allow_cleartext: plain and login without TLS",
    )
    connectors: tuple[Connector, ...] = Field(
        (),
        max_length=100,
        description="More connectors: {name, transfer_mode, location, address_space, connected_sites, "
        "inbound_hosts, delivery: {mode, smart_hosts, port, link}, restrict: {accept_from, reject_from}}",
    )

    @property
    def inbound_limit(self) -> int:
        """Octets; 0: no limit."""
        return self.size_limit_in or self._both

    @property
    def outbound_limit(self) -> int:
        """Octets; 0: no limit."""
        return self.size_limit_out or self._both

    @property
    def _both(self) -> int:
        return self.size_limit_kb * 1024 + self.size_tolerance if self.size_limit_kb else 0

    @field_validator("admin_mailbox")
    @classmethod
    def _admin_mailbox(cls, value: str) -> str:
        if value and not value.rpartition("@")[0]:
            raise ValueError(f"{value}: an address expected")
        return value.strip()

    @field_validator("site_domain")
    @classmethod
    def _site_domain(cls, value: str) -> str:
        return normal_domain(value) if value.strip() else ""

    @field_validator("domains")
    @classmethod
    def _domains(cls, value: tuple[DomainRow, ...]) -> tuple[DomainRow, ...]:
        once_each(row.domain for row in value)
        return value

    @field_validator("security")
    @classmethod
    def _security(cls, value: tuple[SecurityRow, ...]) -> tuple[SecurityRow, ...]:
        once_each(row.domain for row in value)
        return value

    @field_validator("connectors")
    @classmethod
    def _connectors(cls, value: tuple[Connector, ...]) -> tuple[Connector, ...]:
        names = [connector.name.lower() for connector in value]
        if len(names) != len(set(names)) or DEFAULT in names:
            raise ValueError(f"a connector needs a name of its own, other than {DEFAULT}")
        return value

    @cached_property
    def rows(self) -> DomainTable[DomainRow]:
        return DomainTable((row.domain, row) for row in self.domains)

    @cached_property
    def secured(self) -> DomainTable[SecurityRow]:
        return DomainTable((row.domain, row) for row in self.security)

    @cached_property
    def site_hosts(self) -> frozenset[str]:
        """The hosts that name connected sites, of all connectors."""
        rows = [*self.connected_sites, *(row for one in self.connectors for row in one.connected_sites)]
        return frozenset(row.address for row in rows)


class Delivery(Page):
    """Message delivery."""

    section = "ims.delivery"

    mode: Literal["dns", "smarthost"] = Field(
        "dns",
        description="dns: use the domain name system; smarthost: forward all messages to "
        "ims.delivery.smart_hosts (when there are any)",
    )
    smart_hosts: tuple[Host, ...] = Field(
        (),
        max_length=20,
        description="Hosts that take all mail, in the order in which they are tried: name (its MX records, "
        "else its addresses), [name] (its addresses), [address], each with :port if need be",
    )
    port: int = Field(25, ge=1, le=65_535, description="Port of mail exchangers found by DNS")
    link: str = Field(
        "",
        max_length=20,
        description="Send only while this link of ims.dialup.links is up; until then mail waits",
    )
    nameservers: tuple[str, ...] = Field(
        (), description="Name servers to ask, address or address:port; empty: those of the operating system"
    )

    trusted_nameservers: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Addresses or networks of name servers that are believed when they say that they have "
        "validated by DNSSEC, because the way to them is safe; the loopback always is",
    )
    prefer: Literal["ipv6", "ipv4"] = Field(
        "ipv6", description="Addresses of a host that are tried first; those of both kinds are tried in turn"
    )
    own: tuple[str, ...] = Field(
        (),
        max_length=100,
        description="More names and addresses of this server, such as those that a router translates; an "
        "exchanger that is one of them is ourselves",
    )
    loopback_check: bool = Field(
        True,
        description="Never connect to the loopback or to an address of this machine because DNS says so, "
        "nor to ourselves at all",
    )

    @field_validator("trusted_nameservers")
    @classmethod
    def _trusted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(network(text)) for text in value)

    def trusts(self, nameserver: str) -> bool:
        """Whether what a name server says of DNSSEC is believed."""
        return Networks((text, True) for text in self.trusted_nameservers).find(nameserver, False)

    @field_validator("own")
    @classmethod
    def _own(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_address(text)) if _is_address(text) else normal_domain(text) for text in value)

    @field_validator("nameservers")
    @classmethod
    def _nameservers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            nameserver(text)
        return value


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def nameserver(text: str) -> tuple[str, int]:
    """Address and port. Raises ValueError."""
    try:
        return str(ip_address(text)), 53
    except ValueError:
        host, port = host_and_port(text, 53)
        return str(ip_address(host)), port


class DeliveryRestrictions(Page):
    """Delivery Restrictions: who may use the connector `ims`."""

    section = "ims.restrict"

    accept_from: Senders = Field(
        (),
        max_length=1_000,
        description="Accept messages from these directory recipients alone (addresses or DNs; of a list, "
        "its members); empty: from all",
    )
    reject_from: Senders = Field(
        (), max_length=1_000, description="Reject messages from these; goes before accept_from"
    )


def connectors(ims: Ims, delivery: Delivery, restrict: DeliveryRestrictions) -> tuple[Connector, ...]:
    """Every connector, `ims` first."""
    mode = delivery.mode if delivery.smart_hosts else "dns"
    return (
        Connector(
            name=DEFAULT,
            transfer_mode=ims.transfer_mode,
            address_space=ims.address_space,
            connected_sites=ims.connected_sites,
            inbound_hosts=ims.inbound_hosts,
            delivery=Way(mode=mode, smart_hosts=delivery.smart_hosts, port=delivery.port, link=delivery.link),
            restrict=Restrict(accept_from=restrict.accept_from, reject_from=restrict.reject_from),
        ),
        *ims.connectors,
    )
