"""What every listener admits."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field

from imsd.settings.networks import Networks, NetworkText
from imsd.settings.page import Page


class Admission(Page):
    """Limits on connections, for each listener."""

    section = "admission"

    connections: int = Field(10_000, ge=1, le=1_000_000, description="Connections open at once on one port")
    per_address: int = Field(
        200, ge=0, le=100_000, description="Connections open at once from one address (IPv6: one /64), 0: any"
    )
    per_minute: int = Field(
        6_000, ge=0, le=1_000_000, description="New connections per minute from one address, 0: any number"
    )
    proxies: tuple[NetworkText, ...] = Field(
        (),
        max_length=1_000,
        description="Load balancers (CIDR): their connections, on every port, begin with a PROXY protocol "
        "header, version 1 or 2, that says who is at the far end; nobody else's is believed",
    )
    loopback_exempt: bool = Field(True, description="Whether connections from this machine are not counted")

    @cached_property
    def _proxies(self) -> Networks[bool]:
        return Networks((network, True) for network in self.proxies)

    def is_proxy(self, peer: str) -> bool:
        return bool(self.proxies) and self._proxies.find(peer, False)
