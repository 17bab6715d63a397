"""The Routing page (ims_spec 3.11): which mail is ours, which goes on, and who may have it sent on."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from imsd.settings.domains import DomainPattern, DomainTable, normal_domain, once_each
from imsd.settings.networks import Networks, NetworkText
from imsd.settings.page import Page

INBOUND = "inbound"
RELAY = "relay"
REROUTE = "reroute:"


def _action(text: str) -> str:
    text = text.strip()
    word = text.strip("<>").lower()
    if word in (INBOUND, RELAY):
        return word
    if text.lower().startswith(REROUTE):
        return REROUTE + normal_domain(text[len(REROUTE) :])
    raise ValueError(f'{text}: "inbound", "relay" or "reroute:DOMAIN" expected')


class TableRow(BaseModel):
    """E-mail sent to this domain: accepted as ours, sent on to another domain, or sent on as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: DomainPattern
    action: Annotated[str, AfterValidator(_action)]
    override: bool = False

    @property
    def inbound(self) -> bool:
        return self.action == INBOUND

    @property
    def reroute(self) -> str:
        """The domain that takes the place of the recipient's, "" for other actions."""
        return self.action[len(REROUTE) :] if self.action.startswith(REROUTE) else ""


class Rerouting(Page):
    """The Routing page."""

    section = "routing"

    mode: Literal["reroute", "local_only"] = Field(
        "reroute",
        description="reroute: mail for other domains is sent on for those who may relay; local_only: "
        "incoming mail for other domains is refused, only people with a mailbox here send mail out",
    )
    table: tuple[TableRow, ...] = Field(
        (),
        max_length=10_000,
        description="Rows {domain, action, override}: E-mail sent to this domain (and those below it; "
        "#domain: it alone) is inbound, relay (sent on as it is) or reroute:DOMAIN (the recipient's domain "
        "is replaced); override: always relay, whatever the restrictions say but the list of who never "
        "may. Domains of addresses and of addressing.domains are inbound without a row",
    )
    catch_all: dict[DomainPattern, str] = Field(
        {},
        description="Inbound domain (or * for all) to the address that gets what is for nobody there",
    )
    plugin: str = Field(
        "",
        max_length=200,
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+)?$",
        description="Custom routing program: a Python function (module.function) in HOME/plugins or "
        "installed, which is asked about each recipient before the table (docs/routing.md)",
    )
    plugin_seconds: float = Field(
        2, gt=0, le=60, description="Seconds that the routing program has for an answer"
    )
    plugin_failure: Literal["table", "refuse"] = Field(
        "table",
        description="What becomes of a recipient when the routing program fails or is late: table (as if "
        "there were none) or refuse (for now, 451)",
    )
    resolve_headers: tuple[Literal["from", "sender", "reply-to", "to", "cc"], ...] = Field(
        (),
        max_length=5,
        description="Header fields in which any address of a mailbox here is replaced by its primary one "
        "(ResolveP2, AddressRewrite); not in messages with a DKIM signature",
    )
    resolve_for: Literal["submitted", "all"] = Field(
        "submitted",
        description="Whose header fields: submitted (of people who log in) or all (of what comes from "
        "outside, too)",
    )
    srs: bool = Field(
        True,
        description="Mail from elsewhere that contacts and alternate recipients send on to other domains "
        "leaves with a reverse-path of ours that holds the old one (SRS), so that SPF does not refuse it",
    )
    srs_days: int = Field(
        21, ge=1, le=365, description="Days for which reports come back by such a reverse-path"
    )
    allow_open_relay: bool = Field(
        False,
        description="Relay for everybody when no criterion of routing.restrictions says who may "
        "(never do that; imsctl check calls it an error)",
    )

    @field_validator("table")
    @classmethod
    def _table(cls, value: tuple[TableRow, ...]) -> tuple[TableRow, ...]:
        once_each(row.domain for row in value)
        return value

    @field_validator("catch_all")
    @classmethod
    def _catch_all(cls, value: dict[str, str]) -> dict[str, str]:
        for address in value.values():
            if not address.rpartition("@")[0]:
                raise ValueError(f"{address}: an address expected")
        return value

    @cached_property
    def rows(self) -> DomainTable[TableRow]:
        return DomainTable((row.domain, row) for row in self.table)


class Restrictions(Page):
    """Routing restrictions (ims_spec 3.11.1). A list that is not empty is a criterion that is set."""

    section = "routing.restrictions"

    authenticated: bool = Field(
        True, description="Hosts and clients that successfully authenticate may relay"
    )
    allow: tuple[NetworkText, ...] = Field(
        (), max_length=10_000, description="Hosts and clients with these IP addresses (CIDR) may relay"
    )
    local: tuple[NetworkText, ...] = Field(
        (),
        max_length=10_000,
        description="Hosts and clients connecting to these addresses of this server may relay",
    )
    deny: tuple[NetworkText, ...] = Field(
        (), max_length=10_000, description="Hosts and clients that can NEVER relay, whatever else is set"
    )

    @cached_property
    def denied(self) -> Networks[bool]:
        return Networks((text, True) for text in self.deny)

    @cached_property
    def allowed(self) -> Networks[bool]:
        return Networks((text, True) for text in self.allow)

    @cached_property
    def internal(self) -> Networks[bool]:
        return Networks((text, True) for text in self.local)
