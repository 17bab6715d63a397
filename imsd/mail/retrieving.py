"""Asking a host for what it holds for our domains: ETRN (RFC 1985), ATRN (RFC 2645), TURN.

ETRN has the host connect to us, as it always does. After ATRN and TURN the connection that we made turns
round: we greet, and the host sends on it what it has, as to our port 25. TURN names no domain (RFC 5321
F.1), and is said as ATRN is: only encrypted, and logged in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.relay import Transport
from imsd.mail.relay.connecting import UNREACHED, LoginRefused
from imsd.mail.relay.outcomes import Insecure
from imsd.mail.routing import Route, Target, Unroutable
from imsd.mail.security import wanted
from imsd.settings.connectors import Delivery as DeliveryPage
from imsd.settings.connectors import Ims
from imsd.settings.links import Etrn, Link
from imsd.settings.routing import Rerouting
from imsd.settings.security import Tls
from protocols.smtp import client as smtp
from protocols.smtp import turning

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.settings import LiveSettings

ODMR = 366
"""The port of RFC 2645 4."""


class CannotRetrieve(Exception):
    """No host could be asked, or it refused; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a host said to each question."""

    host: str
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.host}: {'; '.join(self.answers)}"


def own_domains(served: Sequence[str], page: Rerouting) -> tuple[str, ...]:
    """Inbound rows of the routing table, where mail is rerouted; else, and without any, the first domain
    of addresses (ims_spec 3.8)."""
    if page.mode == "reroute":
        rows = (row.domain.removeprefix("#") for row in page.table if row.inbound)
        found = tuple(dict.fromkeys(each for each in rows if "*" not in each and each[0] != "["))
        if found:
            return found
    return tuple(served[:1])


async def ask_too(client: smtp.Client, directory: Directory, settings: LiveSettings) -> None:
    """Ask a host that mail is sent to, where every one is to be asked (`ims.etrn.always`)."""
    if settings[Etrn].always and "ETRN" in client.extensions:
        try:
            await turning.etrn(client, own_domains(directory.domains.served, settings[Rerouting]))
        except smtp.Rejected:
            pass


class Retriever:
    """transport: makes connections, protected as `ims.security` wants them. server: makes the protocol that
    takes mail on a connection that has turned round."""

    log = Logger()

    def __init__(
        self,
        transport: Transport,
        directory: Directory,
        settings: LiveSettings,
        server: Callable[[], Any],
    ) -> None:
        self._transport = transport
        self._directory = directory
        self._settings = settings
        self._server = server

    async def retrieve(self, link: Link) -> Asked:
        """Ask by ETRN, ATRN or TURN. Raises CannotRetrieve."""
        domains = link.domains or own_domains(self._directory.domains.served, self._settings[Rerouting])
        if not domains and link.retrieve != "turn":
            raise CannotRetrieve("there is no domain to ask for")
        client, target = await self._connected(link)
        try:
            return Asked(str(target), await self._ask(link, client, domains))
        except smtp.ClientError as error:
            raise CannotRetrieve(f"{target}: {error}") from error
        finally:
            client.abort()

    async def _ask(self, link: Link, client: smtp.Client, domains: Sequence[str]) -> tuple[str, ...]:
        if link.retrieve == "etrn":
            answers = await turning.etrn(client, domains)
            await client.quit()
            return answers
        if link.retrieve == "turn" and not client.encrypted:
            raise CannotRetrieve("TURN is only said over TLS")
        answer = await turning.ask(client, link.retrieve.upper(), domains)
        if answer is None:
            # The host has something: it is our client now, until it says QUIT.
            await turning.serve(client, self._server())
            return ("the host sent what it had",)
        await client.quit()
        return (answer,)

    async def _connected(self, link: Link) -> tuple[smtp.Client, Target]:
        hosts = (link.host,) if link.host else self._settings[DeliveryPage].smart_hosts
        if not hosts:
            raise CannotRetrieve("there is neither a host of the link nor a smart host")
        if link.port or link.retrieve != "etrn":
            port = link.port or ODMR
            hosts = tuple(each if _has_port(each) else f"{each}:{port}" for each in hosts)
        route = Route(link.name, "", hosts)
        wants = wanted(route, self._settings[Ims], self._settings[Tls])
        if link.user:
            file = f"file:{link.password_file}"
            wants = replace(wants, auth="any", user=link.user, password=file)
        try:
            targets = await self._transport.routing.targets(route)
        except Unroutable as error:
            raise CannotRetrieve(error.text) from error
        worst = ""
        for target in targets:
            try:
                return (await self._transport.session(target, wants, route)).client, target
            except LoginRefused as error:
                raise CannotRetrieve(f"{target}: {error}") from error
            except (smtp.ClientError, Insecure, Refusal, *UNREACHED) as error:
                worst = f"{target}: {error or type(error).__name__}"
        raise CannotRetrieve(worst)


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2] if host.startswith("[") else ":" in host
