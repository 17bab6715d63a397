"""Why a message was not delivered, from the codes of RFC 3463.

`reason_of` sorts a code into one of a few reasons, each of which people are told of in its own words
(`imsd.mail.explaining`), administrators as one of the kinds of the Notifications dialog (`kind_of`,
ims_spec 3.1.1), and whoever knows the product this follows in its own line (`product_line`, ims_spec 6):

    MSEXCH:IMS:Organization:Site:SERVER 3550 550 5.1.1 User unknown
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from imsd.settings.reports import Kind


class Reason(Enum):
    """What went wrong, as far as it matters to people."""

    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"
    NO_PROXY = "no-proxy"
    HOST = "host"
    TIMEOUT = "timeout"
    LOOP = "loop"
    SIZE = "size"
    FULL = "full"
    DISABLED = "disabled"
    POLICY = "policy"
    STOPPED = "stopped"
    PROTECTION = "protection"
    CONTENT = "content"
    TOO_MANY = "too-many"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol"
    OTHER = "other"


STOPPED: Final = "Delivery was stopped by the administrator"
"""What is said of who was taken out of the queue; RFC 3463 has no code of its own for that."""

_EXACT: Final = {
    "1.2": Reason.HOST,
    "1.4": Reason.AMBIGUOUS,
    "1.7": Reason.NO_PROXY,
    "1.8": Reason.NO_PROXY,
    "1.10": Reason.HOST,
    "2.1": Reason.DISABLED,
    "2.2": Reason.FULL,
    "2.3": Reason.SIZE,
    "3.1": Reason.FULL,
    "3.4": Reason.SIZE,
    "4.3": Reason.HOST,
    "4.4": Reason.HOST,
    "4.6": Reason.LOOP,
    "4.7": Reason.TIMEOUT,
    "5.3": Reason.TOO_MANY,
    "7.10": Reason.PROTECTION,
    "7.30": Reason.PROTECTION,
}
_BY_SUBJECT: Final = {
    "1": Reason.UNKNOWN,
    "4": Reason.UNREACHABLE,
    "5": Reason.PROTOCOL,
    "6": Reason.CONTENT,
    "7": Reason.POLICY,
}
_KINDS: Final[dict[Reason, Kind]] = {
    Reason.UNKNOWN: "address-not-found",
    Reason.AMBIGUOUS: "multiple-matches",
    Reason.CONTENT: "conversion-failed",
    Reason.HOST: "host-not-found",
    Reason.TIMEOUT: "timeout",
}
# The hexadecimal numbers were seen beside these, and mean nothing more (ims_spec 6).
_PRODUCT: Final = {
    Reason.HOST: "3902 Host unknown",
    Reason.SIZE: "3903 (000B099C) Message exceeds size limit.",
    Reason.LOOP: "0 (00120270) Too Many Hops",
    Reason.UNKNOWN: "0 (000C05A6) Unknown Recipient",
    Reason.AMBIGUOUS: "0 (000C0595) Ambiguous Recipient",
    Reason.NO_PROXY: "0 (000D06B5) No proxy for recipient",
    Reason.TOO_MANY: "0 (00010256) Too many recipients",
}
_REPLY: Final = re.compile(r"([245]\d\d)(?:[ -]|\Z)")


def reason_of(status: str, text: str = "") -> Reason:
    """status: class.subject.detail. text: ours, in which `STOPPED` stands for itself."""
    if text == STOPPED:
        return Reason.STOPPED
    _, _, rest = status.partition(".")
    found = _EXACT.get(rest)
    return found or _BY_SUBJECT.get(rest.partition(".")[0], Reason.OTHER)


def kind_of(status: str, diagnostic: str) -> Kind | None:
    """The kind of notification of a failure; None for one that is of none.

    diagnostic: what another server said (Diagnostic-Code), "" if none did.
    """
    reason = reason_of(status)
    if reason is not Reason.TIMEOUT and _said(diagnostic).startswith("5"):
        return "protocol-error"
    return _KINDS.get(reason)


def product_line(status: str, text: str, diagnostic: str) -> str:
    """Code and text as the product had them: 3000 and the other server's reply, or its own number."""
    reply, reason = _said(diagnostic), reason_of(status)
    if reply and reason is not Reason.TIMEOUT:
        return f"3{reply} {diagnostic.partition('; ')[2]}"
    return _PRODUCT.get(reason) or f"0 {text or status}"


def _said(diagnostic: str) -> str:
    """The reply code of a diagnostic `smtp; 550 5.1.1 ...`."""
    match = _REPLY.match(diagnostic.partition("; ")[2])
    return match[1] if match is not None else ""
