"""What MAIL and RCPT say beside the path: the same values for server and client.

SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), RET, ENVID, NOTIFY, ORCPT
(RFC 3461), AUTH (RFC 4954 5), REQUIRETLS (RFC 8689), MT-PRIORITY, BY, HOLDFOR and HOLDUNTIL
(protocols.smtp.timing). Parsing checks syntax and what is known; whether a size or a time is acceptable is
the door's decision.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from protocols.smtp.grammar import BadArgument, decode_orcpt, decode_xtext, encode_xtext
from protocols.smtp.solicitation import parse_solicit
from protocols.smtp.timing import (
    By,
    Hold,
    parse_by,
    parse_hold_for,
    parse_hold_until,
    parse_priority,
)
from protocols.values import value

SEVEN_BIT, EIGHT_BIT, BINARY = "7BIT", "8BITMIME", "BINARYMIME"


class UnknownParameter(BadArgument):
    """A parameter that was not offered (555 5.5.4, RFC 5321 4.1.1.11)."""


@value(frozen=True, slots=True)
class MailParameters:
    """size: declared octets, 0 = not declared; ret: "", "FULL" or "HDRS"; auth: as sent, decoded.
    mt_priority, by, hold: None where they were not given."""

    size: int = 0
    body: str = SEVEN_BIT
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    auth: str = ""
    mt_priority: int | None = None
    by: By | None = None
    hold: Hold | None = None
    solicit: tuple[str, ...] = ()
    requiretls: bool = False

    @classmethod
    def parse(cls, given: Mapping[bytes, bytes]) -> "MailParameters":
        if not given:
            return NO_MAIL_PARAMETERS
        found: dict[str, Any] = {}
        for keyword, text in given.items():
            offered = _MAIL.get(keyword)
            if offered is None:
                raise UnknownParameter(f"{keyword.decode('ascii')} is not supported")
            name, read = offered
            if name in found:
                # RFC 4865 4.2: HOLDFOR or HOLDUNTIL, not both.
                raise BadArgument("HOLDFOR and HOLDUNTIL exclude each other")
            found[name] = read(text)
        return cls(**found)

    def encode(self, offered: Collection[str]) -> bytes:
        """The parameters that a server with these extensions takes, with a leading space each."""
        parts: list[bytes] = []
        if self.size and "SIZE" in offered:
            parts.append(b"SIZE=%d" % self.size)
        if self.body == BINARY or (self.body == EIGHT_BIT and "8BITMIME" in offered):
            parts.append(b"BODY=" + self.body.encode("ascii"))
        if self.smtputf8:
            parts.append(b"SMTPUTF8")
        if "DSN" in offered:
            if self.ret:
                parts.append(b"RET=" + self.ret.encode("ascii"))
            if self.envid:
                parts.append(b"ENVID=" + encode_xtext(self.envid.encode("ascii", "replace")))
        if self.auth and "AUTH" in offered:
            value = b"<>" if self.auth == "<>" else encode_xtext(self.auth.encode("utf-8"))
            parts.append(b"AUTH=" + value)
        if self.mt_priority is not None and "MT-PRIORITY" in offered:
            parts.append(b"MT-PRIORITY=%d" % self.mt_priority)
        if self.by is not None and "DELIVERBY" in offered:
            parts.append(b"BY=" + self.by.encode())
        if self.requiretls and "REQUIRETLS" in offered:
            parts.append(b"REQUIRETLS")
        if self.solicit and "NO-SOLICITING" in offered:
            parts.append(b"SOLICIT=" + ",".join(self.solicit).encode("ascii"))
        return b"".join(b" " + part for part in parts)


NO_MAIL_PARAMETERS = MailParameters()


def _size(value: bytes) -> int:
    # size-value = 1*20DIGIT (RFC 1870 5)
    if not value.isdigit() or len(value) > 20:
        raise BadArgument("SIZE: number expected")
    return int(value)


def _body(value: bytes) -> str:
    word = value.upper().decode("utf-8", "replace")
    if word not in (SEVEN_BIT, EIGHT_BIT, BINARY):
        raise BadArgument("BODY: 7BIT, 8BITMIME or BINARYMIME expected")
    return word


def _smtputf8(value: bytes) -> bool:
    if value:
        raise BadArgument("SMTPUTF8 takes no value")  # RFC 6531 3.4
    return True


def _requiretls(value: bytes) -> bool:
    if value:
        raise BadArgument("REQUIRETLS takes no value")  # RFC 8689 2
    return True


def _ret(value: bytes) -> str:
    word = value.upper().decode("utf-8", "replace")
    if word not in ("FULL", "HDRS"):
        raise BadArgument("RET: FULL or HDRS expected")
    return word


def _envid(value: bytes) -> str:
    # RFC 3461 4.4: at most 100 characters, printable once decoded.
    text = decode_xtext(value).decode("utf-8", "replace")
    if not value or len(value) > 100 or not (text.isascii() and text.isprintable()):
        raise BadArgument("ENVID: up to 100 printable characters expected")
    return text


def _auth(value: bytes) -> str:
    if not value or len(value) > 500:
        raise BadArgument("AUTH: mailbox expected")
    text = decode_xtext(value).decode("utf-8", "replace")
    if not text.isprintable():
        raise BadArgument("AUTH: mailbox expected")
    return text


# Keyword to the field of MailParameters and what reads its value.
_MAIL: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"SIZE": ("size", _size),
    b"BODY": ("body", _body),
    b"SMTPUTF8": ("smtputf8", _smtputf8),
    b"RET": ("ret", _ret),
    b"ENVID": ("envid", _envid),
    b"AUTH": ("auth", _auth),
    b"MT-PRIORITY": ("mt_priority", parse_priority),
    b"BY": ("by", parse_by),
    b"HOLDFOR": ("hold", parse_hold_for),
    b"HOLDUNTIL": ("hold", parse_hold_until),
    b"SOLICIT": ("solicit", parse_solicit),
    b"REQUIRETLS": ("requiretls", _requiretls),
}


@value(frozen=True, slots=True)
class RcptParameters:
    """notify: () = not given, else ("NEVER",) or some of SUCCESS, FAILURE, DELAY in that order.

    orcpt_type, orcpt: the address type and the decoded address of ORCPT, both empty if not given.
    """

    notify: tuple[str, ...] = ()
    orcpt_type: str = ""
    orcpt: str = ""

    @classmethod
    def parse(cls, given: Mapping[bytes, bytes]) -> "RcptParameters":
        if not given:
            return NO_RCPT_PARAMETERS
        notify: tuple[str, ...] = ()
        kind = address = ""
        for keyword, text in given.items():
            if keyword == b"NOTIFY":
                notify = _notify(text)
            elif keyword == b"ORCPT":
                kind, address = decode_orcpt(text)
            else:
                raise UnknownParameter(f"{keyword.decode('ascii')} is not supported")
        return cls(notify, kind, address)

    def encode(self, offered: Collection[str]) -> bytes:
        if "DSN" not in offered:
            return b""
        text = b""
        if self.notify:
            text += b" NOTIFY=" + ",".join(self.notify).encode("ascii")
        if self.orcpt:
            text += b" ORCPT=" + self.orcpt_type.encode("ascii") + b";" + _orcpt_address(self)
        return text


NO_RCPT_PARAMETERS = RcptParameters()

_NOTIFY = ("SUCCESS", "FAILURE", "DELAY")


def _notify(value: bytes) -> tuple[str, ...]:
    # notify-esmtp-value = "NEVER" / 1#notify-list-element (RFC 3461 4.1)
    words = value.upper().decode("utf-8", "replace").split(",")
    if words == ["NEVER"]:
        return ("NEVER",)
    if any(word not in _NOTIFY for word in words):
        raise BadArgument("NOTIFY: NEVER or SUCCESS, FAILURE, DELAY expected")
    return tuple(word for word in _NOTIFY if word in words)


def _orcpt_address(given: RcptParameters) -> bytes:
    """utf-8-addr-xtext for addresses that are not ASCII (RFC 6533 3), xtext for the others."""
    if given.orcpt_type.lower() != "utf-8":
        return encode_xtext(given.orcpt.encode("utf-8"))
    return utf8_xtext(given.orcpt)


def utf8_xtext(address: str) -> bytes:
    """utf-8-addr-xtext, the form of an address for where only ASCII may stand (RFC 6533 3)."""
    # QCHAR leaves out "\\", "+", "=" and what is not printable ASCII.
    return b"".join(
        bytes([ord(c)]) if "\x21" <= c <= "\x7e" and c not in "\\+=" else b"\\x{%02X}" % ord(c)
        for c in address
    )
