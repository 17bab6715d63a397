"""Trace information: the Received line, and what a received header says about hops.

RFC 5321 4.4; the words after "with" are those of RFC 3848 and RFC 6531 4.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from protocols.message import dates
from protocols.smtp.interfaces import Client

_LINE = 900
"""Octets of keywords in a line."""
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)
# What begins with one octet is looked for by memchr: half of what each of these takes that begins with "^".
_NOTED = re.compile(
    rb"\n(received|return-path|return-receipt-to|solicitation|tls-required"
    rb"|mt-priority|x-priority|importance|priority|x-msmail-priority)[ \t]*:",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f.:IPVv]+\]")


def noted(header: bytes) -> list[bytes]:
    """The names, in lower case, of the fields that mean something to whoever takes a message in.

    Few messages have others than Received, so that one look spares a look for each.
    """
    return [name.lower() for name in _NOTED.findall(b"\n" + header)]


def hops(header: bytes) -> int:
    """How many servers this message has passed (RFC 5321 6.3)."""
    return len(_RECEIVED.findall(header))


def has_whole_lines(header: bytes) -> bool:
    """Whether CR and LF occur together alone: else others see other fields than we do."""
    return header.count(b"\r\n") == header.count(b"\r") == header.count(b"\n")


_PRIORITY = re.compile(
    rb"^(?:x-priority|importance|priority|x-msmail-priority)[ \t]*:[ \t]*([A-Za-z0-9-]+)",
    re.IGNORECASE | re.MULTILINE,
)
_URGENT = frozenset((b"1", b"2", b"high", b"urgent", b"highest"))
_NOT_URGENT = frozenset((b"4", b"5", b"low", b"non-urgent", b"lowest"))


def priority(header: bytes) -> int:
    """1 urgent, 0 normal, -1 non-urgent (RFC 2156 5.3.6, and what clients write)."""
    match = _PRIORITY.search(header)
    if match is None:
        return 0
    word = match[1].lower()
    return 1 if word in _URGENT else -1 if word in _NOT_URGENT else 0


def protocol_word(client: Client, smtputf8: bool) -> str:
    """SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, UTF8SMTP, UTF8SMTPSA, ..."""
    if not client.esmtp:
        return "SMTP"
    word = "UTF8SMTP" if smtputf8 else "ESMTP"
    if client.lmtp:
        word = "UTF8LMTP" if smtputf8 else "LMTP"
    return f"{word}{'S' if client.encrypted else ''}{'A' if client.identity is not None else ''}"


@lru_cache(maxsize=1024)
def literal(address: str) -> str:
    """An IP address as an address literal (RFC 5321 4.1.3)."""
    try:
        version = ip_address(address.partition("%")[0]).version
    except ValueError:
        return "localhost"
    return f"[IPv6:{address.partition('%')[0]}]" if version == 6 else f"[{address}]"


def received_line(
    client: Client,
    hostname: str,
    word: str,
    queue_id: str,
    recipient: str,
    seconds: float,
    name: str = "",
    priority: int | None = None,
    solicit: Sequence[str] = (),
) -> bytes:
    """The time stamp line. name: the peer's, by the name system, if it is known. recipient: the only one, ""
    when there are several (RFC 5321 7.6). priority: MT-PRIORITY (RFC 6710 4.1). solicit: kinds of
    solicitation that it says it is (RFC 3865 2.6), as many as a line holds."""
    hello = client.hello if _DOMAIN.fullmatch(client.hello) else "unknown"
    tls = f" ({client.cipher})" if client.cipher else ""
    if solicit:
        tls += f"\r\n\t(SOLICIT={_as_many(solicit)})\r\n\t"
    target = f"\r\n\tfor <{recipient}>" if recipient else ""
    if priority is not None:
        target += f"\r\n\tpriority {priority}"
    line = (
        f"Received: from {hello} ({name}{' ' * bool(name)}{literal(client.peer)})\r\n"
        f"\tby {hostname} with {word}{tls} id {queue_id}{target};\r\n\t"
    )
    return line.encode("utf-8") + _date(int(seconds)) + b"\r\n"


def _as_many(words: Sequence[str]) -> str:
    text = ",".join(words)
    return text if len(text) <= _LINE else text[:_LINE].rpartition(",")[0] or text[:_LINE]


@lru_cache(maxsize=2)
def _date(seconds: int) -> bytes:
    return dates.format(seconds)
