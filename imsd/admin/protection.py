"""How a connection to each host of a route would be protected, in words for administrators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imsd.mail.names import LookupFailed
from imsd.mail.relay.outcomes import Insecure
from imsd.mail.relay.protection import Protection, policy_domain
from imsd.mail.requiring import REQUIRED
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted, wanted
from imsd.settings.connectors import Ims
from imsd.settings.security import Tls
from imsd.trust.sts import Policy


async def protections(core: Any, way: Route, targets: list[Target]) -> list[str]:
    """What holds for each host, for a message and for one that requires TLS, and who is told of failures."""
    finder = core.server.queue.transport.protections
    wants = wanted(way, core.settings[Ims], core.settings[Tls])
    required = replace(wants, asks=REQUIRED)
    told = []
    policy = await finder.policy(way, wants)
    if policy is not None:
        told.append(f"MTA-STS: {policy.mode}, exchangers {', '.join(policy.mx)}")
    fault = finder.fault(way)
    if fault is not None:
        told.append(f"MTA-STS: the policy cannot be had ({fault.kind}): {fault}")
    policy_if_required = policy or await finder.policy(way, required)
    for target in targets:
        told.append(await _one(finder, target, way, wants, policy))
        told.append(await _one(finder, target, way, required, policy_if_required))
    told += await _reports(core, way)
    return told


async def _one(finder: Any, target: Target, way: Route, wants: Wanted, policy: Policy | None) -> str:
    """One line about one host."""
    about = f"{target}, REQUIRETLS" if wants.asks == REQUIRED else f"{target}"
    try:
        found: Protection = await finder.of(target, way, wants, policy)
    except Insecure as error:
        return f"{about} is not used: {error}"
    if wants.asks == REQUIRED:
        return f"{about}: {_asked(found)}, and it must offer REQUIRETLS"
    asks = f" ({found.by} asks for TLS)" if found.by else ""
    return f"{about}: {_asked(found)}{asks}"


def _asked(found: Protection) -> str:
    names = ", ".join(found.names[:5])
    match found.level:
        case "none":
            return "no TLS"
        case "may":
            return "TLS where it is offered, whoever is there"
        case "encrypt":
            return "TLS, whoever is there"
        case "dane":
            return f"TLS, with a certificate that DNSSEC names ({len(found.tlsa)} TLSA records)"
    by = "no authority" if found.ca_file == "-" else "an authority that is trusted"
    told = f"TLS, with a certificate for {names} of {by}"
    return f"{told}; what is wrong is told and no more" if found.testing else told


async def _reports(core: Any, way: Route) -> list[str]:
    """Where reports on TLS go (RFC 8460)."""
    domain = policy_domain(way)
    if not domain or way.hosts:
        return []
    try:
        found = await core.server.queue.reports.destinations(domain)
    except LookupFailed as error:
        return [f"reports on TLS: {error}"]
    if not found:
        return [f"reports on TLS: {domain} asks for none"]
    sent, why = core.server.queue.reports.sendable(found)
    if not why:
        return [f"reports on TLS: to {', '.join(found)}"]
    why = f"; sent to {', '.join(sent) or 'nobody'} ({why})"
    return [f"reports on TLS: wanted at {', '.join(found)}{why}"]
