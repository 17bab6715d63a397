"""Reports on TLS (RFC 8460): the record that asks for them, and reports as JSON, written and read.

1. Other domains choose what stands in a record and in a report: sizes, counts and depths are bounded, what is
   not known is passed over, and text is cut. A report that is compressed is inflated up to `MOST` octets.
2. One that is read comes back as plain values of known names alone.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from imsd.store.tls_results import DAY, Result

MOST: Final = 4 * 1024 * 1024
"""Octets of a report, inflated."""
MOST_POLICIES: Final = 200
MOST_DETAILS: Final = 2_000
"""Of all policies of a report."""
MOST_LINES: Final = 100
LONGEST: Final = 500
"""Characters of a text."""
MOST_DESTINATIONS: Final = 5

NO_POLICY: Final = "no-policy-found"


class BadReport(ValueError):
    """It is no report, or too large for one."""


# A mailbox that takes machines' mail has a plain address.
_ADDRESS: Final = re.compile(r"[!#-'*+\-/-9=?A-Z^-~.]{1,64}@[A-Za-z0-9._-]{1,255}")


# The record --------------------------------------------------------------------------------


def destinations(texts: Iterable[str]) -> tuple[str, ...]:
    """Where `_smtp._tls.DOMAIN` wants reports: mailto: and https: URIs; () for no one record (RFC 8460 3)."""
    # tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
    found = [text for text in texts if re.match(r"v=TLSRPTv1[ \t]*;", text)]
    if len(found) != 1:
        return ()
    uris: list[str] = []
    for field in found[0].split(";")[1:]:
        key, equals, value = field.strip(" \t").partition("=")
        if equals and key == "rua":
            uris += [uri.strip(" \t") for uri in value.split(",")]
    usable = [uri for uri in uris if len(uri) <= LONGEST and (mail_address(uri) or is_https(uri))]
    return tuple(dict.fromkeys(usable))[:MOST_DESTINATIONS]


def mail_address(uri: str) -> str:
    """The address of a mailto: URI (RFC 6068), "" for another."""
    scheme, _, rest = uri.partition(":")
    address = unquote(rest.partition("?")[0]) if scheme.lower() == "mailto" else ""
    return address if _ADDRESS.fullmatch(address) else ""


def is_https(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        fine = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return bool(fine) and uri.isascii() and uri.isprintable() and "@" not in parts.netloc and " " not in uri


# Written -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heading:
    """Who reports on which day. contact: an address. token: of a report that is not that of a whole day."""

    organization: str
    contact: str
    day: int
    domain: str
    token: str = ""

    @property
    def submitter(self) -> str:
        """The domain that reports: it stands in headers and in names of files (RFC 8460 5.1, 5.3)."""
        return self.contact.rpartition("@")[2]

    @property
    def report_id(self) -> str:
        """The same each time: a report that comes twice is one (RFC 8460 5.3)."""
        token = f".{self.token}" if self.token else ""
        return f"{moment(self.day * DAY)[:10]}.{self.domain}{token}@{self.submitter}"

    @property
    def filename(self) -> str:
        begin = self.day * 86_400
        token = f"!{self.token}" if self.token else ""
        return f"{self.submitter}!{self.domain}!{begin}!{begin + 86_399}{token}.json.gz"


def moment(micros: int) -> str:
    """RFC 3339 5.6."""
    return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def report(heading: Heading, results: Iterable[tuple[Result, int]]) -> dict[str, Any]:
    """The report of a day (RFC 8460 4.4). results: those of a policy together."""
    policies = []
    for _, some in groupby(results, key=lambda each: _policy_key(each[0])):
        policies.append(_policy(list(some)))
    return {
        "organization-name": heading.organization,
        "date-range": {
            "start-datetime": moment(heading.day * DAY),
            "end-datetime": moment(heading.day * DAY + DAY - 1),
        },
        "contact-info": heading.contact,
        "report-id": heading.report_id,
        "policies": policies,
    }


def _policy_key(result: Result) -> tuple[str, str, str]:
    return result.policy_type, result.policy_domain, result.policy


def _policy(some: list[tuple[Result, int]]) -> dict[str, Any]:
    first = some[0][0]
    lines = first.policy.split("\n") if first.policy else []
    policy: dict[str, Any] = {"policy-type": first.policy_type}
    if lines:
        policy["policy-string"] = lines
    policy["policy-domain"] = first.policy_domain or first.domain
    hosts = [line[3:].strip() for line in lines if line.startswith("mx:")]
    if first.policy_type == "sts" and hosts:
        policy["mx-host"] = hosts
    failures = [(result, count) for result, count in some if result.result]
    made: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(count for result, count in some if not result.result),
            "total-failure-session-count": sum(count for _, count in failures),
        },
    }
    if failures:
        made["failure-details"] = [_detail(result, count) for result, count in failures]
    return made


def _detail(result: Result, count: int) -> dict[str, Any]:
    named = {
        "result-type": result.result,
        "sending-mta-ip": result.sending_ip,
        "receiving-mx-hostname": result.mx,
        "receiving-mx-helo": result.helo,
        "receiving-ip": result.receiving_ip,
        "failed-session-count": count,
        "failure-reason-code": result.reason,
    }
    return {name: value for name, value in named.items() if value}


def encode(made: Mapping[str, Any]) -> bytes:
    """The report, compressed (RFC 8460 5.2). May take some milliseconds."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    return pack.compress(json.dumps(made, separators=(",", ":")).encode()) + pack.flush()


# Read --------------------------------------------------------------------------------------


def inflate(data: bytes, most: int = MOST) -> bytes:
    """What is compressed by gzip. Raises BadReport for what is damaged, or larger inflated."""
    unpack = zlib.decompressobj(31)
    try:
        whole = unpack.decompress(data, most + 1)
    except zlib.error as error:
        raise BadReport(f"the report cannot be inflated: {error}") from None
    if len(whole) > most:
        raise BadReport(f"the report is larger than {most} octets")
    if not unpack.eof:
        raise BadReport("the report is cut")
    return whole


@dataclass(frozen=True, slots=True)
class Read:
    """What a report says. Times are microseconds; policies: as `report` writes them, of known names."""

    organization: str
    contact: str
    report_id: str
    begins: int
    ends: int
    policies: list[dict[str, Any]]

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (each["policy-domain"] for each in self.policies))))

    def total(self, name: str) -> int:
        """successes or failures."""
        return sum(each[name] for each in self.policies)


def parse(data: bytes) -> Read:
    """Raises BadReport. Best in a thread."""
    if len(data) > MOST:
        raise BadReport(f"the report is larger than {MOST} octets")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadReport(f"the report is no JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("policies"), list):
        raise BadReport("the report has no policies")
    dates = _object(found.get("date-range"))
    policies = []
    room = MOST_DETAILS
    for each in found["policies"][:MOST_POLICIES]:
        made = _read_policy(_object(each), room)
        room -= len(made["details"])
        policies.append(made)
    return Read(
        _text(found.get("organization-name")),
        _text(found.get("contact-info")),
        _text(found.get("report-id")),
        _time(dates.get("start-datetime")),
        _time(dates.get("end-datetime")),
        policies,
    )


def _read_policy(each: dict[str, Any], room: int) -> dict[str, Any]:
    policy, summary = _object(each.get("policy")), _object(each.get("summary"))
    given = each.get("failure-details")
    details = [_object(detail) for detail in (given if isinstance(given, list) else [])[:room]]
    return {
        "policy-type": _text(policy.get("policy-type")),
        "policy-string": _texts(policy.get("policy-string")),
        "policy-domain": _text(policy.get("policy-domain")).lower(),
        "mx-host": _texts(policy.get("mx-host")),
        "successes": _number(summary.get("total-successful-session-count")),
        "failures": _number(summary.get("total-failure-session-count")),
        "details": [
            {name: _text(detail[name]) for name in _DETAILS if detail.get(name)}
            | {"failed-session-count": _number(detail.get("failed-session-count"))}
            for detail in details
        ],
    }


_DETAILS: Final = (
    *("result-type", "sending-mta-ip", "receiving-mx-hostname", "receiving-mx-helo", "receiving-ip"),
    *("additional-information", "failure-reason-code"),
)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """Text of one line, cut; it is shown on terminals."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:LONGEST])


def _texts(value: Any) -> list[str]:
    """Lines: an array of strings, or one string as drafts had it."""
    lines = value.splitlines() if isinstance(value, str) else value if isinstance(value, list) else []
    return [_text(line) for line in lines[:MOST_LINES]]


def _number(value: Any) -> int:
    fine = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), 10**12) if fine else 0


def _time(value: Any) -> int:
    try:
        found = datetime.fromisoformat(_text(value).replace("Z", "+00:00"))
        found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        return max(0, round(found.timestamp() * 1_000_000))
    except (ValueError, OverflowError):
        return 0
