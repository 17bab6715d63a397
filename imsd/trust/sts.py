"""MTA-STS (RFC 8461): the record that says that there is a policy, and the policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from imsd.settings.domains import normal_domain

LONGEST = 31_557_600
"""max_age in seconds (RFC 8461 3.2)."""
MOST_MX = 100

_ID = re.compile(r"[A-Za-z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class Policy:
    """mode: enforce, testing or none. mx: hosts, `*.` in front for one label. max_age: seconds."""

    mode: str
    mx: tuple[str, ...]
    max_age: int

    @property
    def lines(self) -> list[str]:
        """The policy as text (RFC 8461 3.2), for reports."""
        mx = [f"mx: {host}" for host in self.mx]
        return ["version: STSv1", f"mode: {self.mode}", *mx, f"max_age: {self.max_age}"]

    def allows(self, host: str) -> bool:
        """Whether a host may take mail (RFC 8461 4.1)."""
        host = host.lower().rstrip(".")
        return any(
            host.partition(".")[2] == pattern[2:] if pattern.startswith("*.") else host == pattern
            for pattern in self.mx
        )


class BadPolicy(ValueError):
    """The text is no policy."""


def record_id(texts: Iterable[str]) -> str | None:
    """The id of the one record of `_mta-sts.DOMAIN`; None where there is no policy (RFC 8461 3.1)."""
    # sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
    found = [text for text in texts if re.match(r"v=STSv1[ \t]*;", text)]
    if len(found) != 1:
        return None
    for field in found[0].split(";")[1:]:
        key, _, value = field.strip(" \t").partition("=")
        if key.rstrip(" \t") == "id":
            value = value.strip(" \t")
            return value if _ID.fullmatch(value) else None
    return None


def parse_policy(text: str) -> Policy:
    """Raises BadPolicy. Keys that are not known are passed over, the first of equal ones counts."""
    # sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP) [sts-policy-term]
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in re.split(r"\r\n|\n", text):
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not line.strip(" \t"):
            continue
        if not colon:
            raise BadPolicy(f"{line[:60]!r}: key: value expected")
        if key == "mx":
            mx.append(_pattern(value))
        else:
            fields.setdefault(key, value)
    if fields.get("version") != "STSv1":
        raise BadPolicy("version: STSv1 expected")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise BadPolicy("mode: enforce, testing or none expected")
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise BadPolicy("max_age: seconds expected")
    if mode != "none" and not mx:
        raise BadPolicy("mx expected")
    if len(mx) > MOST_MX:
        raise BadPolicy("too many mx")
    return Policy(mode, tuple(mx), min(int(age), LONGEST))


def _pattern(text: str) -> str:
    wild = "*." if text.startswith("*.") else ""
    try:
        return wild + normal_domain(text[len(wild) :])
    except ValueError as error:
        raise BadPolicy(f"mx: {text[:60]!r}: {error}") from None
