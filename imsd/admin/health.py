"""Operations that look for what is wrong: `check` before and while running, `verify` the store."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from cryptography import x509
from twisted.internet.threads import deferToThreadPool

from imsd.admin import dialup, search
from imsd.admin.operations import Json, operation
from imsd.config import Config
from imsd.directory.values import Local, PublicFolder
from imsd.errors import NoSuchRecipient
from imsd.mail.links import local
from imsd.mail.names import Answer, Dns, LookupFailed
from imsd.settings.connectors import Connector, Delivery, Ims
from imsd.settings.outside import Outside
from imsd.settings.routing import Rerouting
from imsd.settings.security import Tls
from imsd.settings.tls_reports import TlsReports
from imsd.store.verify import verify

SOON = datetime.timedelta(days=14)
SPACE = 1 << 30
MOST_DOMAINS = 50
"""Of ours that DNS is asked about."""


def _finding(level: str, text: str) -> Json:
    return {"level": level, "text": text}


@operation("verify")
async def verify_store(core: Any, repair: bool = False) -> Json:
    """Prove the store: hashes, references, counters, the search index."""
    report = await verify(core.db, core.blobs, repair=repair)
    findings = await _search_index(core, repair)
    for problem in report.problems:
        mended = problem.repair and repair
        done = f" ({problem.repair}{'' if mended else ', with --repair'})" if problem.repair else ""
        findings.append(_finding("warning" if mended else "error", f"{problem.kind}: {problem.what}{done}"))
    return findings


async def _search_index(core: Any, repair: bool) -> list[Json]:
    """The index is derived: what is wrong with it is mended by making it anew."""
    found = await core.search.check()
    if not found:
        return []
    if repair:
        await search.rebuild(core)
    level, mended = ("warning", "made anew") if repair else ("error", "made anew, with --repair")
    return [_finding(level, f"search: {text} ({mended})") for text in found]


def transfer_warnings(ims: Ims) -> list[str]:
    """What a transfer mode keeps from people who may not know of it (ims_spec 3.4.1)."""
    mode = ims.transfer_mode
    if mode == "inbound" and ims.address_space:
        return ["ims.transfer_mode is inbound, and ims has an address space: what it would carry waits"]
    if mode == "outbound":
        return ["ims.transfer_mode is outbound: connections to port 25 are closed"]
    if mode == "none":
        return ["ims.transfer_mode is none: no mail comes in, new mail that would leave waits, old is sent"]
    if mode == "hold":
        return ["ims.transfer_mode is hold: no mail comes in and none leaves"]
    return []


def idle_connectors(connectors: Iterable[Connector]) -> list[str]:
    """Connectors that carry nothing (ims_spec 3.2: an address space or a connected site)."""
    return [
        f"connector {one.name} has neither an address space nor a connected site: it carries nothing"
        for one in connectors
        if not one.address_space and not one.connected_sites
    ]


@operation("check")
async def check(core: Any) -> Json:
    """Look for mistakes in configuration, certificates, DNS and settings."""
    findings = [
        _finding("error", f"setting {key} does not fit and is not used: {reason}")
        for key, reason in core.settings.rejected.items()
    ]
    lacks = core.settings[Outside].lacks
    if lacks:
        findings.append(_finding("error", f"{lacks}: whose password is known there cannot log in"))
    findings += await _routing(core)
    text = "our password is given to whoever is there; tls should be verify"
    findings += [
        _finding("warning", f"ims.security {row.domain}: {text}")
        for row in core.settings[Ims].security
        if row.auth in ("any", "plain", "login") and row.tls not in ("verify", "dane")
    ]
    findings += dialup.findings(core.settings, core.directory.domains.served, local(time.time()))
    findings += await _dnssec(core)
    findings += await _tls_reports(core)
    findings += _certificates(core.config)
    findings += _space(core.config)
    findings += await deferToThreadPool(
        core.reactor, core.reactor.getThreadPool(), _names, core.config,
        core.directory.domains.served, Dns(lambda: core.settings[Delivery].nameservers),
    )  # fmt: skip
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding["level"]])


async def _dnssec(core: Any) -> list[Json]:
    """Whether DANE can be had."""
    page, rows = core.settings[Tls], core.settings[Ims].security
    must = [row.domain for row in rows if row.tls == "dane"]
    must += ["ims.tls.level"] if page.level == "dane" else []
    if core.server is None or not (page.dane or must):
        return []
    validates = await deferToThreadPool(
        core.reactor, core.reactor.getThreadPool(), core.server.queue.dns.validates
    )
    if validates:
        return []
    text = (
        "the name servers do not answer"
        if validates is None
        else (
            "the name servers do not validate by DNSSEC, or stand neither on the loopback nor in "
            "ims.delivery.trusted_nameservers"
        )
    )
    if must:
        return [_finding("error", f"{text}: nothing is sent to {', '.join(must)}, where dane is wanted")]
    return [_finding("info", f"{text}: TLSA records (DANE) are not used")]


async def _tls_reports(core: Any) -> list[Json]:
    """Whether reports on TLS can be sent and read."""
    page = core.settings[TlsReports]
    findings = []
    if page.send != "off" and not page.count:
        findings.append(_finding("warning", "tls_reports.send is on, and tls_reports.count is off"))
    if page.address:
        try:
            found = await core.directory.resolve(page.address)
            fine = isinstance(found, Local | PublicFolder)
        except NoSuchRecipient:
            fine = False
        if not fine:
            text = f"tls_reports.address: {page.address} is no mailbox or public folder of ours"
            findings.append(_finding("warning", text))
    return findings


async def _routing(core: Any) -> list[Json]:
    """Settings of routing that contradict each other, or that nobody should have."""
    page, ims, delivery = core.settings[Rerouting], core.settings[Ims], core.settings[Delivery]
    findings = []
    if page.allow_open_relay:
        text = "routing.allow_open_relay is on: where no restriction says who may relay, anybody may"
        findings.append(_finding("error", text))
    if core.policy.plugin.plugin.problem:
        findings.append(_finding("error", f"routing.plugin: {core.policy.plugin.plugin.problem}"))
    findings += [
        _finding("error", f"hooks.plugins: {each.problem}") for each in core.plugins.all if each.problem
    ]
    if delivery.mode == "smarthost" and not delivery.smart_hosts:
        text = "ims.delivery.mode is smarthost, and ims.delivery.smart_hosts is empty: DNS is used"
        findings.append(_finding("warning", text))
    findings += [_finding("warning", text) for text in transfer_warnings(ims)]
    findings += [_finding("warning", text) for text in idle_connectors(core.delivery.connectors.all)]
    wanted = {f"routing.catch_all {domain}": to for domain, to in page.catch_all.items()}
    if ims.admin_mailbox:
        wanted["ims.admin_mailbox"] = ims.admin_mailbox
    for connector in core.delivery.connectors.all:
        for name in (*connector.restrict.accept_from, *connector.restrict.reject_from):
            if not await core.directory.entries_of((name,)):
                text = f"restriction of connector {connector.name}: {name} is nobody, or has no members"
                findings.append(_finding("warning", text))
    for key, address in wanted.items():
        try:
            await core.directory.resolve(address)
        except NoSuchRecipient:
            findings.append(_finding("error", f"{key}: {address} is no address of ours"))
    return findings


def _certificates(config: Config) -> list[Json]:
    findings = []
    pairs = [config.tls.certificate, *(pair["certificate"] for pair in config.tls.names.values())]
    for file in pairs:
        path = config.path(file)
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            findings.append(_finding("error", f"{path}: {error}"))
            continue
        left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        if left < datetime.timedelta():
            findings.append(_finding("error", f"{path} has expired; replace it, it is read again by itself"))
        elif left < SOON:
            findings.append(_finding("warning", f"{path} expires in {left.days} days"))
        if certificate.issuer == certificate.subject:
            findings.append(_finding("warning", f"{path} is self-signed; clients will warn their users"))
    return findings


def _space(config: Config) -> list[Json]:
    space = os.statvfs(config.home)
    free = space.f_bavail * space.f_frsize
    if free < SPACE:
        return [_finding("warning", f"only {free >> 20} MiB are free below {config.home}")]
    return []


def _names(config: Config, domains: Sequence[str], dns: Dns) -> list[Json]:
    """What DNS says of our names; runs in a thread. dns: asks whom the server asks."""
    findings = []
    host = config.server.hostname.rstrip(".").lower()
    if "." not in host:
        findings.append(_finding("warning", f"server.hostname is {host}; others want a full name there"))
    try:
        if not any(dns.lookup(host, kind).records for kind in ("A", "AAAA")):
            findings.append(_finding("warning", f"{host} has no address in DNS"))
        for domain in domains[:MOST_DOMAINS]:
            findings += _exchangers(host, domain, dns.lookup(domain, "MX"))
    except LookupFailed as error:
        findings.append(_finding("warning", f"DNS cannot be asked about our names: {error}"))
    return findings


def _exchangers(host: str, domain: str, answer: Answer) -> list[Json]:
    hosts = sorted(name.rstrip(".").lower() for _, name in answer.records)
    if hosts and host not in hosts:
        return [_finding("warning", f"the MX of {domain} is {', '.join(hosts)}, not {host}")]
    if not hosts:
        why = "does not exist in DNS: nobody elsewhere can send mail there"
        if not answer.missing:
            why = "has no MX record: mail for it goes to its own address, if it has one"
        return [_finding("warning", f"{domain} {why}")]
    return []
