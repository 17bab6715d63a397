"""Operations on routing: what would become of an address, and why (ims_spec 3.2 to 3.4, 3.11)."""

from __future__ import annotations

from typing import Any, Final

from imsd.admin.operations import Json, operation
from imsd.admin.protection import protections
from imsd.directory.recipients import primary_address
from imsd.directory.values import Contact, DistributionList, Local, PublicFolder, Recipient
from imsd.errors import ConstraintViolation, Refusal
from imsd.mail.connectors import Connectors
from imsd.mail.destinations import Destination
from imsd.mail.envelope import Addressee
from imsd.mail.policy import Submitter
from imsd.mail.routing import Unroutable, route
from imsd.mail.security import wanted
from imsd.plugins.interfaces import QUESTIONS
from imsd.settings.connectors import DEFAULT, Ims
from imsd.settings.networks import address as parse_address
from imsd.settings.routing import Rerouting, Restrictions
from imsd.settings.security import Tls
from protocols.errors import BadSyntax
from protocols.smtp.grammar import Path
from protocols.smtp.grammar import parse_address as parse_path
from protocols.smtp.parameters import NO_RCPT_PARAMETERS


@operation("route.show")
async def show(core: Any) -> Json:
    """The routing table, the connectors and the list of domains, as they hold now."""
    page, lists = core.settings[Rerouting], core.settings[Restrictions]
    domains = core.directory.domains
    rows = [
        {"domain": row.domain, "action": row.action, "override": row.override, "from": "routing.table"}
        for row in page.table
    ]
    named = {row["domain"] for row in rows}
    rows += [
        {"domain": f"#{name}", "action": "inbound", "override": False, "from": "addressing"}
        for name in domains.served
        if not named & {name, f"#{name}"}
    ]
    connectors: Connectors = core.delivery.connectors
    return {
        "mode": page.mode,
        "plugin": page.plugin,
        "plugin_problem": core.policy.plugin.plugin.problem,
        "table": rows,
        "restrictions": lists.model_dump(mode="json"),
        "allow_open_relay": page.allow_open_relay,
        "connectors": [connector.model_dump(mode="json") for connector in connectors.all],
        "domains": [row.model_dump(mode="json") for row in core.settings[Ims].domains],
        "shared": dict(domains.shared.patterns),
        "catch_all": dict(domains.catch_all.patterns),
    }


@operation("route.explain", needs_server=True)
async def explain(core: Any, address: str, sender: str = "", client: str = "", auth: bool = False) -> Json:
    """Every rule that is considered for an address, and where it leads."""
    told: list[str] = []
    by = await _submitter(core, sender, client, auth)
    path = _path(address, core.policy.first_domain)
    told.append(f"{path} from {_who(by)}")
    try:
        found = await core.policy.addressee(path, NO_RCPT_PARAMETERS, by, told.append)
    except Refusal as refusal:
        return {"rules": told, "result": "refused", "text": refusal.text, "targets": []}
    told += [
        f"plug-in {each.row.name} will be asked: {', '.join(asked)}"
        for each in core.plugins.all
        if (asked := [event for event in QUESTIONS if each.takes(event)])
    ]
    if found.recipient is not None:
        text = await _here(core, found.recipient, str(path), told)
        return {"rules": told, "result": "here", "text": text, "targets": []}
    return {"rules": told, **await _outward(core, found, by, told)}


async def _outward(core: Any, found: Addressee, by: Submitter, told: list[str]) -> Json:
    connectors: Connectors = core.delivery.connectors
    to = Destination.parse(found.destination or found.address.rpartition("@")[2].lower())
    connector = connectors.named(to.connector or DEFAULT)
    if not to.connector and not to.host:
        connector = (await connectors.out(found.address, by.originator)).connector
    row = None if to.host else connectors.domain_row(to.domain)
    way = route(connector, row, to)
    told.append(f"delivery: {way.why}")
    parked = connectors.parked(connector, to)
    answer: dict[str, Json] = {
        "result": "held" if parked else "relayed",
        "text": f"{found.address} by connector {connector.name}" + (f"; {parked}" if parked else ""),
        "connector": connector.name,
        "tls": f"TLS {wanted(way, core.settings[Ims], core.settings[Tls])}",
    }
    try:
        targets = await core.server.queue.routing.targets(way)
    except Unroutable as refusal:
        told.append(f"no host: {refusal.text}")
        return {**answer, "result": "unroutable", "text": refusal.text, "targets": []}
    told += await protections(core, way, targets)
    return {**answer, "targets": [str(target) for target in targets]}


@operation("route.test-relay")
async def test_relay(core: Any, client: str, local: str = "", auth: bool = False) -> Json:
    """Whether a client may have mail for other domains sent on, and by which rule."""
    if parse_address(client) is None:
        raise ConstraintViolation(f"{client}: an IP address expected")
    verdict = core.policy.may_relay(Submitter(client, local, 0 if auth else None))
    return {"allowed": verdict.allowed, "rule": verdict.rule}


async def _submitter(core: Any, sender: str, client: str, auth: bool) -> Submitter:
    """Who asks: an account of ours, where the sender's address is one, unless a client is named."""
    account = None
    if sender and (auth or not client):
        person = await core.directory.person_by_login(sender)
        account = None if person is None else person.account
    if auth and account is None:
        account = 0
    return Submitter(client, "", account, sender)


def _who(by: Submitter) -> str:
    who = by.sender or "<>"
    if by.account is not None:
        return f"{who}, logged in"
    return f"{who}, not logged in" + (f", at {by.peer}" if by.peer else "")


def _path(text: str, domain: str) -> Path:
    """domain: of a name that has none."""
    text = text.strip("<>")
    try:
        return parse_path((text if "@" in text or not domain else f"{text}@{domain}").encode())
    except BadSyntax as error:
        raise ConstraintViolation(f"{text}: {error}") from None


_CALLED: Final[dict[type, str]] = {
    Local: "mailbox",
    DistributionList: "list",
    Contact: "contact",
    PublicFolder: "public folder",
}


async def _here(core: Any, found: Recipient, asked: str, told: list[str]) -> str:
    """Whose it is, and what else becomes of it."""
    cache = core.directory.cache
    entry, dn = await cache.entry(found.entry), await cache.dn(found.entry)
    kind, primary = _CALLED[type(found)], primary_address(entry)
    if isinstance(found, Local) and found.detail:
        told.append(f"addressing.separator: {found.detail} is a detail of {primary}")
    elif found.address not in {each.value.lower() for each in entry.proxies}:
        told.append(_instead(found, asked))
    if found.restricted:
        told.append(f"the {kind} does not accept from everybody (Auth-Orig, Unauth-Orig)")
    if isinstance(found, Local) and found.alternate is not None:
        other = await cache.dn(found.alternate)
        told.append(f"Alt-Recipient: {other} gets the mail{', too' if found.keeps else ''}")
    if isinstance(found, Contact):
        told.append(f"Target-Address: {found.kind}:{found.target}")
    if isinstance(found, DistributionList):
        expansion = await core.directory.expand(found)
        told.append(f"it leads to {len(expansion.recipients)} recipients")
    return f"{kind} {primary or found.address}, {dn}"


def _instead(found: Recipient, asked: str) -> str:
    """Why somebody gets mail for an address that nobody has."""
    local, _, domain = found.address.rpartition("@")
    if local in ("postmaster", "abuse"):
        return (
            f"{local}: ims.admin_mailbox, else who is postmaster of a domain of ours, else an administrator"
        )
    return f"routing.catch_all, {domain}: nobody has {asked}"
