"""Operations on DKIM keys: made, shown as records, looked up, retired (RFC 6376)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, Literal

from imsd.admin.operations import Json, operation
from imsd.admin.settings import set_setting
from imsd.errors import NoSuchEntry, Refusal
from imsd.mail.names import LookupFailed
from imsd.settings.dkim import Dkim, DkimKey
from imsd.settings.domains import normal_domain
from imsd.trust import dkim
from imsd.trust.dkim import BadKey

Kind = Literal["rsa", "ed25519", "both"]


@operation("dkim.create")
async def create(core: Any, domain: str, selector: str = "", algorithm: Kind = "both") -> Json:
    """Make keys for a domain. selector: "" for one of today's date; with both, each has its letter behind."""
    name = _domain(domain)
    rows = list(core.settings[Dkim].keys)
    stem = selector or time.strftime("%Y%m%d", time.gmtime())
    made = []
    for each in ("rsa", "ed25519") if algorithm == "both" else (algorithm,):
        chosen = f"{stem}{each[0]}" if algorithm == "both" or not selector else stem
        if any((row.domain, row.selector) == (name, chosen) for row in rows):
            raise NoSuchEntry(f"{name} has a key {chosen} already: choose another --selector")
        key = await core.db.in_thread(dkim.make_key, each)
        made.append(chosen)
        rows.append(DkimKey(domain=name, selector=chosen, key=key))
    await _put(core, rows)
    return [each for each in await show(core, name) if each["selector"] in made]


@operation("dkim.show")
async def show(core: Any, domain: str = "") -> Json:
    """The keys of a domain, or all, with the records that publish them."""
    return [await _row(core, each) for each in _chosen(core, domain)]


async def _row(core: Any, each: DkimKey) -> Json:
    found = {
        "domain": each.domain,
        "selector": each.selector,
        "algorithm": "",
        "retired": each.retired,
        "name": f"{each.selector}._domainkey.{each.domain}",
        "record": "",
        "error": "",
    }
    try:
        key = await core.db.in_thread(core.delivery.signer.key, each)
    except (Refusal, BadKey, OSError) as error:
        return {**found, "error": str(error)}
    return {**found, "algorithm": dkim.algorithm_of(key), "record": dkim.record(key)}


@operation("dkim.check", needs_server=True)
async def check(core: Any, domain: str = "") -> Json:
    """The same with what the name system says of each record."""
    return [{**row, **await _published(core, row)} for row in await show(core, domain)]


async def _published(core: Any, row: Json) -> Json:
    names = core.server.queue.names
    # Who has just published it asks again and again.
    names.forget(row["name"])
    try:
        texts = await names.texts(row["name"])
    except LookupFailed as error:
        return {"published": False, "error": row["error"] or str(error)}
    wanted = dkim.tags(row["record"])
    values = [tags["p"] for tags in map(dkim.tags, texts) if "p" in tags]
    if wanted.get("p") in values:
        return {"published": True}
    why = "there is no such record" if not values else "the record has another key"
    return {"published": False, "error": row["error"] or why}


@operation("dkim.retire")
async def retire(core: Any, domain: str, selector: str) -> Json:
    """Sign with a key no more; its record stays of use for what is on its way."""
    return await _change(core, domain, selector, lambda row: [row.model_copy(update={"retired": True})])


@operation("dkim.delete")
async def delete(core: Any, domain: str, selector: str) -> Json:
    """Forget a key."""
    return await _change(core, domain, selector, lambda row: [])


async def _change(core: Any, domain: str, selector: str, change: Any) -> Json:
    name, chosen = _domain(domain), selector.lower()
    rows: list[DkimKey] = []
    found = False
    for row in core.settings[Dkim].keys:
        fits = (row.domain, row.selector) == (name, chosen)
        found |= fits
        rows += change(row) if fits else [row]
    if not found:
        raise NoSuchEntry(f"{name} has no key {selector}")
    await _put(core, rows)
    return {"domain": name, "selector": chosen}


def _chosen(core: Any, domain: str) -> Sequence[DkimKey]:
    name = _domain(domain) if domain else ""
    return [each for each in core.settings[Dkim].keys if not name or each.domain == name]


def _domain(domain: str) -> str:
    try:
        return normal_domain(domain)
    except ValueError as error:
        raise NoSuchEntry(str(error)) from None


async def _put(core: Any, rows: Sequence[DkimKey]) -> None:
    await set_setting(core, "dkim.keys", json.dumps([row.model_dump() for row in rows]))
