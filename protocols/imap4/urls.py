"""IMAP URLs that name a message or a part of one (RFC 5092, which replaces RFC 2192).

    /Drafts;UIDVALIDITY=385759045/;UID=20/;SECTION=1.2/;PARTIAL=0.1024
    imap://alice@example.test/INBOX/;UID=7;EXPIRE=2030-01-01T00:00:00Z;URLAUTH=submit+alice:INTERNAL:...

1. Markers (`;UID=`) have no case; what stands in them does. Octets that are percent-encoded
   are undone once, after the URL was taken apart.
2. Mailbox names are UTF-8 there, whatever the connection speaks (RFC 5092 8).
3. A relative reference is resolved as RFC 3986 5.2 says, against `/` or the selected mailbox.
   `;UID=20` alone means a message of the selected mailbox.
4. Nothing but a message is meant: URLs of servers, mailboxes and searches are bad here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from protocols.errors import BadSyntax
from protocols.imap4 import mailboxnames, sectionspecs
from protocols.imap4.grammar import MAX32, Cursor
from protocols.message.sections import Section

MAX_URL: Final = 4096
"""Octets of one URL."""

# bchar = achar / ":" / "@" / "/"; achar = unreserved / pct-encoded / sub-delims but ";"
_BCHAR: Final = r"(?:[A-Za-z0-9\-._~!$'()*+,&=:@/]|%[0-9A-Fa-f]{2})"
_ACHAR: Final = r"(?:[A-Za-z0-9\-._~!$'()*+,&=]|%[0-9A-Fa-f]{2})"
# imessagepart = imailbox-ref iuid [isection] [ipartial]
_PATH: Final = re.compile(
    rf"/(?P<mailbox>{_BCHAR}*?)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{{0,9}}))?"
    r"(?:/|(?<=^/));UID=(?P<uid>[1-9][0-9]{0,9})"
    rf"(?:/;SECTION=(?P<section>{_BCHAR}+?))?"
    r"(?:/;PARTIAL=(?P<offset>[0-9]{1,18})(?:\.(?P<count>[1-9][0-9]{0,17}))?)?/?",
    re.IGNORECASE,
)
# imapurl = "imap://" iserver ipath-query; iserver = [iuserinfo "@"] host [":" port]
_SERVER: Final = re.compile(
    rf"imap://(?:(?P<user>{_ACHAR}+)?(?P<auth>;AUTH=(?:\*|{_ACHAR}+))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%]+)(?::(?P<port>[0-9]{1,5}))?(?=/)",
    re.IGNORECASE,
)
# iurlauth = [expire] ";URLAUTH=" access [":" uauth-mechanism ":" enc-urlauth]
_AUTHORITY: Final = re.compile(
    r"(?:;EXPIRE=(?P<expire>[0-9TtZz:.+\-]{20,40}))?"
    rf";URLAUTH=(?P<kind>submit\+|user\+|authuser|anonymous)(?P<who>{_ACHAR}*)"
    r"(?P<verifier>:(?P<mechanism>[A-Za-z0-9\-.]+):(?P<token>[0-9A-Fa-f]{32,}))?$",
    re.IGNORECASE,
)


WHOLE: Final = Section()


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message, or octets of it. validity: the UIDVALIDITY it was made under, 0 for any."""

    mailbox: str
    uid: int
    validity: int = 0
    section: Section = WHOLE
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class AuthorizedUrl:
    """A URL with URLAUTH (RFC 4467 3).

    rump: everything before the mechanism, octet by octet as it was given: what is signed.
    user, host: whose mailbox, and where. access: `submit+`, `user+`, `authuser` or `anonymous`,
    and for the first two who. expire: seconds since the epoch, None for never. mechanism and
    token: empty in a rump URL.
    """

    rump: bytes
    user: str
    host: str
    target: MessageUrl
    access: str
    who: str
    expire: float | None
    mechanism: str = ""
    token: str = ""


def message(url: bytes, selected: str | None = None) -> MessageUrl:
    """A relative URL as APPEND takes it (RFC 4469 3). selected: the name of the selected
    mailbox. Raises BadSyntax."""
    text = _text(url)
    if text.startswith("//") or re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:", text):
        raise BadSyntax("a relative IMAP URL")
    if not text.startswith("/"):
        if text[:5].upper() == ";UID=":
            return _target("/" + text, selected)
        base = "/" + quote(selected, safe="/", encoding="utf-8") if selected is not None else "/"
        text = _without_dots(base.rpartition("/")[0] + "/" + text)
    return _target(text, selected)


def authorized(url: bytes, whole: bool) -> AuthorizedUrl:
    """An absolute URL with URLAUTH. whole: with mechanism and token (URLFETCH), or without
    (GENURLAUTH). Raises BadSyntax."""
    text = _text(url)
    server = _SERVER.match(text)
    if server is None:
        raise BadSyntax("an absolute IMAP URL")
    if not server["user"]:
        raise BadSyntax("the owner's name in the URL")
    start = text.upper().rfind(";URLAUTH=")
    expire = text.upper().rfind(";EXPIRE=", server.end(), max(start, server.end()))
    found = _AUTHORITY.match(text, expire if expire >= 0 else start) if start >= 0 else None
    if found is None or bool(found["verifier"]) is not whole:
        raise BadSyntax("URLAUTH with its token" if whole else "URLAUTH with an access identifier")
    kind = found["kind"].lower()
    if kind.endswith("+") is not bool(found["who"]):
        raise BadSyntax("a known access identifier")
    rump = text[: found.start("verifier")] if whole else text
    return AuthorizedUrl(
        rump.encode("ascii"),
        _undone(server["user"]),
        server["host"].lower(),
        _target(text[server.end() : found.start()], None),
        kind,
        _undone(found["who"]),
        _moment(found["expire"]),
        (found["mechanism"] or "").upper(),
        (found["token"] or "").lower(),
    )


def _text(url: bytes) -> str:
    if len(url) > MAX_URL or not url.isascii():
        raise BadSyntax(f"a URL of at most {MAX_URL} ASCII characters")
    return url.decode("ascii")


def _target(path: str, selected: str | None) -> MessageUrl:
    found = _PATH.fullmatch(path)
    if found is None:
        raise BadSyntax("the URL of a message")
    if found["mailbox"]:
        name = mailboxnames.decode(unquote_to_bytes(found["mailbox"]), True)
    elif selected is not None and not found["validity"]:
        name = selected
    else:
        raise BadSyntax("a mailbox in the URL")
    uid, validity = int(found["uid"]), int(found["validity"] or 0)
    if uid > MAX32 or validity > MAX32:
        raise BadSyntax("numbers of at most 32 bits in the URL")
    partial = None
    if found["offset"] is not None:
        partial = (int(found["offset"]), int(found["count"]) if found["count"] else 1 << 62)
    return MessageUrl(name, uid, validity, _section(found["section"]), partial)


def _section(encoded: str | None) -> Section:
    # enc-section = 1*bchar: section-spec, percent-encoded.
    if encoded is None:
        return WHOLE
    cursor = Cursor(unquote_to_bytes(encoded))
    section = sectionspecs.parse(cursor)
    cursor.end()
    return section


def _undone(encoded: str) -> str:
    try:
        return unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("UTF-8 in the URL") from None


def _moment(text: str | None) -> float | None:
    """RFC 3339 date-time."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise BadSyntax("a time like 2030-01-01T00:00:00Z") from None
    if moment.tzinfo is None:
        raise BadSyntax("a time with its zone")
    try:
        return moment.astimezone(UTC).timestamp()
    except (OverflowError, ValueError):
        raise BadSyntax("a time within the calendar") from None


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept)


def shown(url: bytes) -> bytes:
    """The URL within a response code: one line without `]` (RFC 4469 5, url-resp-text)."""
    return b'"' + quote(url[:MAX_URL], safe="!#$%&'()*+,-./:;<=>?@[^_`{|}~ ").encode("ascii") + b'"'
