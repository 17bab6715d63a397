"""Message filtering (ims_spec 3.4.4): originators whose mail is not wanted, and what becomes of it.

    user@domain     this address                    @domain     the domain and those below it
    user            this local part, any domain     #@domain    the domain alone
    user@[address]  from that host                  @[address]  all that comes from that host
    .               a message whose From names nobody

Case does not matter. An address literal is that of the originator's address, or of the host that
brings the message. The null reverse-path is no empty From: it is how reports come (RFC 5321 4.5.5).
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from imsd.settings.domains import DomainTable, normal_domain
from imsd.settings.page import Page
from protocols.smtp.grammar import BadPath, parse_address, quote_local

NOBODY = "."


def normal_sender(text: str) -> str:
    """A row as it is stored. Raises ValueError."""
    text = text.strip().casefold()
    if text == NOBODY:
        return text
    if text.startswith("#"):
        return "#@" + _named(text[1:].removeprefix("@"))
    local, at, domain = text.rpartition("@")
    if at and not local:
        return "@" + normal_domain(domain)
    try:
        path = parse_address((text if at else text + "@x").encode())
    except BadPath:
        raise ValueError(f"{text or 'nothing'}: user@domain, user, @domain, #@domain or . expected") from None
    local = quote_local(path.local)
    return f"{local}@{normal_domain(path.domain)}" if at else local


def _named(domain: str) -> str:
    if domain.startswith("["):
        raise ValueError(f"#{domain}: an address literal stands alone")
    return normal_domain(domain)


SenderPattern = Annotated[str, AfterValidator(normal_sender)]


def _normal(domain: str) -> str:
    try:
        return normal_domain(domain)
    except ValueError:
        return ""  # No row has it.


class SenderTable:
    """Rows ready to be asked. `match` gives the row that fits, "" if none does."""

    def __init__(self, rows: tuple[str, ...]) -> None:
        self.nobody = NOBODY in rows
        self._addresses = frozenset(row for row in rows if "@" in row and row[0] not in "@#")
        self._locals = frozenset(row for row in rows if "@" not in row and row != NOBODY)
        domains = [row for row in rows if row[0] in "@#"]
        self._domains: DomainTable[str] = DomainTable((row.replace("@", "", 1), row) for row in domains)

    def match(self, address: str, peer: str) -> str:
        """address: local@domain as it came. peer: the IP address that the message comes from."""
        local, _, domain = address.rpartition("@")
        local = local.casefold()
        domain, host = _normal(domain), _normal(f"[{peer.partition('%')[0]}]")
        for each in (domain, host):
            if f"{local}@{each}" in self._addresses:
                return f"{local}@{each}"
        if local in self._locals:
            return local
        return self._domains.find(domain) or self._domains.find(host) or ""


class Filter(Page):
    """Message filtering."""

    section = "ims.filter"

    senders: tuple[SenderPattern, ...] = Field(
        (),
        max_length=100_000,
        description="Originators whose mail from outside is not wanted: user@domain, user, @domain (and "
        "below), #@domain (alone), user@[address], @[address], or . for a From naming nobody; asked of the "
        "reverse-path and of From and Sender",
    )
    action: Literal["reject", "delete", "turf"] = Field(
        "reject",
        description="What becomes of it: reject (550 5.7.1), delete (the sender is not told), turf (kept in "
        "HOME/turf, the sender is not told)",
    )
    turf_mb: int = Field(
        1_024,
        ge=1,
        le=1_048_576,
        description="Megabytes that HOME/turf may hold; what comes when it is full is refused for now (452)",
    )

    @cached_property
    def table(self) -> SenderTable:
        return SenderTable(self.senders)
