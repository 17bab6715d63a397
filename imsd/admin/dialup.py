"""What is wrong with links, and with mail that waits to be asked for (ims_spec 3.8): part of `check`.

Settings that cannot mean anything are refused when they are set (`imsd.settings.links`); what stands here
may be meant, or becomes true later: a program that is removed, a link that no connector names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imsd.admin.operations import Json
from imsd.mail.retrieving import own_domains
from imsd.mail.routing import Route
from imsd.mail.security import wanted
from imsd.settings.connectors import Delivery, DeliveryRestrictions, Ims, connectors
from imsd.settings.links import Dialup, Link
from imsd.settings.routing import Rerouting
from imsd.settings.schedules import next_of
from imsd.settings.scheduling import Retry, Timeout
from imsd.settings.security import Tls
from imsd.settings.smtp import Smtp

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

LOOKED_AT: Final = timedelta(days=15)
"""What is looked at of a schedule: a week comes round twice."""


def findings(settings: LiveSettings, served: Sequence[str], now: datetime) -> Iterator[Json]:
    """served: the domains of our addresses. now: by the server's clock and time zone."""
    ways = connectors(settings[Ims], settings[Delivery], settings[DeliveryRestrictions])
    waits_for = {one.delivery.link.lower(): one.name for one in ways if one.delivery.link}
    links = {link.name.lower(): link for link in settings[Dialup].links}
    for name, connector in waits_for.items():
        if name not in links:
            yield _error(
                f"connector {connector} waits for link {name}, and there is none in ims.dialup.links"
            )
    for name, link in links.items():
        yield from _commands(link)
        if link.retrieve in ("etrn", "atrn", "turn"):
            yield from _retrieval(link, settings, served)
        yield from _opening(link, settings, waits_for.get(name, ""), now)
    yield from _held(settings)


def _error(text: str) -> Json:
    return {"level": "error", "text": text}


def _warning(text: str) -> Json:
    return {"level": "warning", "text": text}


def _commands(link: Link) -> Iterator[Json]:
    asks = link.command if link.retrieve == "command" else ()
    for field, command in (("up", link.up), ("down", link.down), ("command", asks)):
        if not command:
            continue
        program = command[0]
        if not program:
            yield _error(f"link {link.name}: {field} has no program")
        elif shutil.which(program) is None:
            why = "cannot be executed by the server's user" if os.path.exists(program) else "is not there"
            yield _error(f"link {link.name}: {field}: {program} {why}")
        elif not os.path.isabs(program):
            text = "is looked for along PATH; say where it is"
            yield _warning(f"link {link.name}: {field}: {program} {text}")
    if link.up and not link.down:
        yield _warning(f"link {link.name}: up has a command and down has none: nothing takes it down")


def _retrieval(link: Link, settings: LiveSettings, served: Sequence[str]) -> Iterator[Json]:
    delivery = settings[Delivery]
    if not link.host and not delivery.smart_hosts:
        text = "there is nobody to ask: neither the link's host nor ims.delivery.smart_hosts is set"
        yield _error(f"link {link.name}: {text}")
    if link.retrieve != "turn" and not (link.domains or own_domains(served, settings[Rerouting])):
        yield _error(f"link {link.name}: there is no domain to ask for; set the link's domains")
    if link.user:
        yield from _password(link)
        route = Route(link.name, "", (link.host,) if link.host else delivery.smart_hosts)
        level = wanted(route, settings[Ims], settings[Tls]).level
        if route.hosts and level not in ("verify", "dane"):
            text = "our password is given to whoever is there; set tls = verify in ims.security for"
            yield _warning(f"link {link.name}: {text} {', '.join(route.hosts)}")
    if link.retrieve == "etrn" and settings[Ims].transfer_mode in ("outbound", "none", "hold"):
        text = "a host that is asked by ETRN connects to port 25"
        yield _error(f"link {link.name}: {text}, and ims.transfer_mode is {settings[Ims].transfer_mode}")


def _password(link: Link) -> Iterator[Json]:
    try:
        text = Path(link.password_file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        yield _error(f"link {link.name}: password_file: {error}")
    else:
        if not text.split("\n", 1)[0].strip():
            yield _error(f"link {link.name}: password_file {link.password_file}: its first line is empty")


def _opening(link: Link, settings: LiveSettings, connector: str, now: datetime) -> Iterator[Json]:
    """Does it ever come up, and often enough?"""
    if not link.schedule and not link.queued_after_min:
        text = "it has neither a schedule nor queued_after_min: it comes up by hand alone"
        if connector:
            yield _error(f"link {link.name}: {text}, and what connector {connector} sends waits for it")
        else:
            yield _warning(f"link {link.name}: {text}")
    if not connector and link.queued_after_min:
        text = "queued_after_min does nothing: no ims.delivery.link names this link, so no mail waits for it"
        yield _warning(f"link {link.name}: {text}")
    if not connector and link.retrieve == "none" and not link.queued_after_min:
        text = "nothing is sent over it (ims.delivery.link) and nothing asked for (retrieve)"
        yield _warning(f"link {link.name}: {text}")
    if connector and link.schedule and not link.queued_after_min:
        hours = settings[Timeout].hours(0, settings[Retry])
        longest = _longest_wait(link.schedule, now)
        if longest > timedelta(hours=hours):
            text = f"{longest.total_seconds() / 3600:g} hours may pass before it comes up"
            yield _warning(f"link {link.name}: {text}, and mail is returned after {hours:g} (ims.timeout)")


def _longest_wait(schedule: Sequence[str], now: datetime) -> timedelta:
    longest, time = timedelta(), now
    first = True
    while time < now + LOOKED_AT:
        following = next_of(schedule, time)
        if following is None:
            return LOOKED_AT
        if not first:
            longest = max(longest, following - time)
        first = False
        time = following
    return longest


def _held(settings: LiveSettings) -> Iterator[Json]:
    """Mail that is kept for others, who cannot have it."""
    ims, page = settings[Ims], settings[Smtp]
    by_atrn = [row.domain for row in ims.domains if row.logins]
    by_etrn = [row.domain for row in ims.domains if row.route == "etrn"]
    if by_atrn and not page.atrn:
        yield _error(f"mail for {', '.join(by_atrn)} is held until ATRN asks for it, and smtp.atrn is off")
    if by_etrn and not page.etrn:
        yield _error(f"mail for {', '.join(by_etrn)} is held until ETRN asks for it, and smtp.etrn is off")
    if page.atrn and not by_atrn:
        yield _warning("smtp.atrn is on, and no row of ims.domains says who may ask for what (atrn:LOGIN)")
    if ims.turn != "off" and not page.atrn:
        yield _warning("ims.turn does nothing: TURN is a kind of ATRN, and smtp.atrn is off")
