"""The Protocols container (ims_spec 7.1): what holds for POP3, IMAP4 and LDAP alike."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from pydantic import Field

from imsd.settings.networks import AcceptOrReject, Networks, accepting
from imsd.settings.page import Page


class Protocols(Page):
    """Connections: who may connect by POP3, IMAP4 and LDAP."""

    section = "protocols"
    of_servers: ClassVar[bool] = True

    connections: tuple[AcceptOrReject, ...] = Field(
        (),
        max_length=10_000,
        description='Who may connect by POP3, IMAP4 and LDAP: a list of "accept NETWORK" and '
        '"reject NETWORK" (10.0.0.0/8, 2001:db8::/32, one address); the smallest network that holds '
        "an address decides, and who is in none is accepted",
    )

    @cached_property
    def _rules(self) -> Networks[bool]:
        return accepting(self.connections)

    def accepts(self, peer: str) -> bool:
        """May this address connect?"""
        return self._rules.find(peer, True)
