"""Values to bytes (RFC 9051 7). Everything here is pure and ends in CRLF where it is a
whole response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime
from typing import Final

from protocols.imap4 import mailboxnames
from protocols.imap4.dialect import Dialect
from protocols.imap4.grammar import MONTHS
from protocols.imap4.sets import Ranges, compact, encode_ranges
from protocols.imap4.values import (
    AccessNow,
    Acl,
    Appended,
    Copied,
    Expunged,
    FlagsNow,
    Grantable,
    Grown,
    KeywordsNow,
    MetadataNow,
    Namespaces,
    Notice,
    Quota,
    Row,
    Status,
    StatusNow,
    Update,
    UrlKeyNow,
)
from protocols.languages import DEFAULT, translate

_ATOM: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_ASTRING: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
_QUOTABLE: Final = re.compile(rb"[\x20-\x7e]{0,1000}")
_QUOTABLE8: Final = re.compile(rb"[\x20-\x7e\x80-\xff]{0,1000}")
_TEXT_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
_TEXT_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class No(Exception):
    """A command refuses by the protocol's own rules; domain refusals go through the door."""

    def __init__(self, code: bytes, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Completed:
    """A tagged OK that says more than that the command completed."""

    code: bytes = b""
    text: str = ""


# Strings -----------------------------------------------------------------------------------


def quoted(text: bytes) -> bytes:
    """A quoted string; the caller knows that the octets fit one."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def string(text: bytes, utf8: bool = False) -> bytes:
    """A quoted string where it fits, otherwise a literal (RFC 9051 4.3)."""
    if (_QUOTABLE8 if utf8 else _QUOTABLE).fullmatch(text):
        return quoted(text)
    return b"{%d}\r\n%b" % (len(text), text)


def astring(text: bytes, utf8: bool = False) -> bytes:
    if _ATOM.fullmatch(text) and text.upper() != b"NIL":
        return text
    return string(text, utf8)


def nstring(text: bytes | None, utf8: bool = False) -> bytes:
    return b"NIL" if text is None else string(text, utf8)


def mailbox(name: str, dialect: Dialect) -> bytes:
    """A mailbox name: modified UTF-7, or UTF-8 once that is enabled (RFC 9051 5.1, RFC 6855 3)."""
    return astring(mailboxnames.encode(name, dialect.utf8), dialect.utf8)


def line_text(text: str, language: str = DEFAULT) -> bytes:
    """Human-readable text: one line of printable ASCII, or of UTF-8 in another language than
    the default one (RFC 5255 3.5, resp-text)."""
    if language == DEFAULT:
        return _TEXT_UNSAFE.sub("?", text).encode("ascii")[:400]
    return _TEXT_UNPRINTABLE.sub("?", translate(text, language))[:400].encode("utf-8")


# Status responses --------------------------------------------------------------------------


def condition(tag: bytes, kind: bytes, code: bytes, text: str, language: str = DEFAULT) -> bytes:
    """resp-cond-state under a tag or `*` (RFC 9051 7.1). Text is never empty; it is English here
    and goes out in the language."""
    words = line_text(text, language) or kind
    if code:
        return b"%b %b [%b] %b\r\n" % (tag, kind, code, words)
    return b"%b %b %b\r\n" % (tag, kind, words)


def in_progress(tag: bytes, done: int, goal: int, language: str = DEFAULT) -> bytes:
    """RFC 9585 4: INPROGRESS (tag done goal). goal 0: not known; a tag with `]` is not told."""
    shown = b"NIL" if b"]" in tag else quoted(tag)
    code = b"INPROGRESS (%b %d %b)" % (shown, done, b"%d" % goal if goal else b"NIL")
    return condition(b"*", b"OK", code, "Still at work", language)


def untagged(data: bytes) -> bytes:
    return b"* %b\r\n" % data


def capability(names: Iterable[bytes]) -> bytes:
    return b"CAPABILITY " + b" ".join(names)


# Mailbox data ------------------------------------------------------------------------------


def listed(
    verb: bytes,
    attributes: Iterable[bytes],
    name: str,
    dialect: Dialect,
    extended: Sequence[bytes] = (),
) -> bytes:
    """LIST or LSUB (RFC 9051 7.3.1). extended: items of mbox-list-extended, ready."""
    tail = b" (%b)" % b" ".join(extended) if extended else b""
    return b'* %b (%b) "/" %b%b\r\n' % (verb, b" ".join(attributes), mailbox(name, dialect), tail)


STATUS_ITEMS: Final = {
    b"MESSAGES": "messages",
    b"RECENT": "recent",
    b"UIDNEXT": "uid_next",
    b"UIDVALIDITY": "uid_validity",
    b"UNSEEN": "unseen",
    b"DELETED": "deleted",
    b"SIZE": "size",
    b"HIGHESTMODSEQ": "highest_modseq",
    b"APPENDLIMIT": "append_limit",
    b"MAILBOXID": "mailbox_id",
    b"DELETED-STORAGE": "deleted_storage",
}
"""status-att and where it is in Status (RFC 9051 6.3.11; RECENT: RFC 3501 6.3.10;
APPENDLIMIT: RFC 7889 3.1; MAILBOXID: RFC 8474 4.3)."""


def status(name: str, found: Status, items: Iterable[bytes], dialect: Dialect) -> bytes:
    values = b" ".join(
        b"MAILBOXID (%b)" % found.mailbox_id
        if item == b"MAILBOXID"
        else b"%b %d" % (item, getattr(found, STATUS_ITEMS[item]))
        for item in items
    )
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, dialect), values)


def notice(what: Notice, dialect: Dialect) -> bytes:
    """RFC 5465 5.1 to 5.5; empty where there is nothing that may be told."""
    if isinstance(what, StatusNow):
        return _status_now(what, dialect)
    if isinstance(what, MetadataNow):
        entries = b" ".join(astring(each.encode()) for each in what.entries)
        return b"* METADATA %b %b\r\n" % (mailbox(what.name, dialect), entries)
    entry = what.listed
    attributes = list(entry.attributes)
    if not entry.exists:
        attributes.append(b"\\NonExistent")
    else:
        attributes.append(b"\\HasChildren" if entry.children else b"\\HasNoChildren")
    if entry.subscribed:
        attributes.append(b"\\Subscribed")
    old = [b'"OLDNAME" (%b)' % mailbox(what.old, dialect)] if what.old else []
    return listed(b"LIST", attributes, entry.name, dialect, old)


def _status_now(what: StatusNow, dialect: Dialect) -> bytes:
    counts = what.new or what.expunged
    modseq = (dialect.condstore and (what.new or what.flags)) or (dialect.qresync and what.expunged)
    items = [b"MESSAGES", b"UIDNEXT"] if counts else []
    if what.valid or (what.flags and modseq):
        items.append(b"UIDVALIDITY")
    if modseq or (what.valid and what.flags):
        items.append(b"HIGHESTMODSEQ")
    return status(what.name, what.status, items, dialect) if items else b""


def quota(found: Quota) -> bytes:
    """QUOTA (RFC 9208 4.2.1)."""
    each = b" ".join(b"%b %d %d" % resource for resource in found.resources)
    return b"* QUOTA %b (%b)\r\n" % (astring(found.root.encode()), each)


def quota_root(name: str, root: str, dialect: Dialect) -> bytes:
    """QUOTAROOT (RFC 9208 4.2.2)."""
    return b"* QUOTAROOT %b %b\r\n" % (mailbox(name, dialect), astring(root.encode()))


def rights(held: bytes) -> bytes:
    """Rights as they are told: with the obsolete `c` and `d` where a member is held (RFC 4314 2.1.1)."""
    create = b"c" if b"k" in held or b"x" in held else b""
    delete = b"d" if b"t" in held or b"e" in held else b""
    return held + create + delete


def acl(found: Acl, dialect: Dialect) -> bytes:
    """ACL (RFC 4314 3.6)."""
    pairs = b"".join(
        b" %b %b" % (astring(identifier.encode(), dialect.utf8), astring(rights(held.encode())))
        for identifier, held in found.entries
    )
    return b"* ACL %b%b\r\n" % (mailbox(found.name, dialect), pairs)


def list_rights(name: str, identifier: str, found: Grantable, dialect: Dialect) -> bytes:
    """LISTRIGHTS (RFC 4314 3.7): no right is tied to another, so `c` and `d` stand alone (2.1.1)."""
    required = rights(found.required.encode())
    optional = [word.encode() for word in found.optional]
    every = b"".join(optional)
    optional += [word for word in (b"c", b"d") if word in rights(every) and word not in required]
    return b"* LISTRIGHTS %b %b %b\r\n" % (
        mailbox(name, dialect),
        astring(identifier.encode(), dialect.utf8),
        b" ".join([astring(required), *optional]),
    )


def metadata(name: str, values: Iterable[tuple[str, bytes | None]], dialect: Dialect) -> bytes:
    """METADATA with values (RFC 5464 4.4.1)."""
    pairs = b" ".join(
        b"%b %b" % (astring(entry.encode()), _value(value, dialect.utf8)) for entry, value in values
    )
    return b"* METADATA %b (%b)\r\n" % (mailbox(name, dialect), pairs)


def _value(value: bytes | None, utf8: bool) -> bytes:
    """value = nstring / literal8 (RFC 5464 5)."""
    if value is not None and b"\0" in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    # What is no UTF-8 must not stand between quotes.
    return nstring(value, utf8 and value is not None and _is_utf8(value))


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def my_rights(name: str, held: bytes, dialect: Dialect) -> bytes:
    """MYRIGHTS (RFC 4314 3.8)."""
    return b"* MYRIGHTS %b %b\r\n" % (mailbox(name, dialect), astring(rights(held)))


def namespace(found: Namespaces, dialect: Dialect) -> bytes:
    """RFC 9051 7.3.4."""

    def spelled(prefix: str) -> bytes:
        return string(mailboxnames.encode(prefix, dialect.utf8), dialect.utf8)

    def one(prefix: str) -> bytes:
        shown = translate(prefix, dialect.language)
        if shown == prefix:
            return b'(%b "/")' % spelled(prefix)
        # namespace-trans = SP DQUOTE "TRANSLATION" DQUOTE SP "(" string ")" (RFC 5255 3.4)
        return b'(%b "/" "TRANSLATION" (%b))' % (spelled(prefix), spelled(shown))

    def group(prefixes: Sequence[str]) -> bytes:
        if not prefixes:
            return b"NIL"
        return b"(%b)" % b"".join(map(one, prefixes))

    return b"* NAMESPACE %b %b %b\r\n" % (group(found.personal), group(found.others), group(found.shared))


# Message data ------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _day(day: int) -> bytes:
    when = gmtime(day * 86400)
    return b"%2d-%b-%04d" % (when.tm_mday, MONTHS[when.tm_mon - 1], when.tm_year)


def date_time(microseconds: int) -> bytes:
    """date-time in UTC, quoted (RFC 9051 9)."""
    day, second = divmod(microseconds // 1_000_000, 86400)
    hour, rest = divmod(second, 3600)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(day), hour, rest // 60, rest % 60)


def flags_of(rows: Iterable[Row], dialect: Dialect, uid: bool, flags: bool = True) -> bytes:
    """FETCH responses that tell of flags (RFC 9051 7.5.2, RFC 7162 3.1).

    uid: the command was a UID command. flags: False leaves MODSEQ alone (STORE .SILENT).
    """
    shape = b"FLAGS (%b)" if flags else b""
    shape += (b" MODSEQ (%d)" if flags else b"MODSEQ (%d)") if dialect.condstore else b""
    if dialect.uidonly:
        # RFC 9586 3.3: the UID stands in front.
        shape = b"* %d UIDFETCH (" + shape + b")\r\n"
        if not dialect.condstore:
            return b"".join([shape % (row.uid, row.flags) for row in rows])
        if not flags:
            return b"".join([shape % (row.uid, row.modseq) for row in rows])
        return b"".join([shape % (row.uid, row.flags, row.modseq) for row in rows])
    shape = b"* %d FETCH (" + (b"UID %d " if uid or dialect.condstore else b"") + shape + b")\r\n"
    if dialect.condstore:
        if flags:
            return b"".join([shape % (row.sequence, row.uid, row.flags, row.modseq) for row in rows])
        return b"".join([shape % (row.sequence, row.uid, row.modseq) for row in rows])
    if uid:
        return b"".join([shape % (row.sequence, row.uid, row.flags) for row in rows])
    return b"".join([shape % (row.sequence, row.flags) for row in rows])


def updates(changes: Iterable[Update], dialect: Dialect, uid: bool = False) -> bytes:
    """What changed in the selected mailbox, in order (RFC 9051 7.4, 7.5)."""
    out: list[bytes] = []
    gone: list[int] = []
    for change in changes:
        if isinstance(change, Expunged):
            if dialect.qresync or dialect.uidonly:
                gone.append(change.uid)
            else:
                out.append(b"* %d EXPUNGE\r\n" % change.sequence)
            continue
        if gone:
            out.append(vanished(compact(gone)))
            gone = []
        if isinstance(change, Grown):
            out.append(grown(change.exists, change.recent, dialect))
        elif isinstance(change, FlagsNow):
            out.append(flags_of(change.rows, dialect, uid))
        elif isinstance(change, KeywordsNow):
            out.append(keywords(change.flags, change.permanent, dialect.language))
        elif isinstance(change, AccessNow):
            out.append(access(change.read_only, dialect.language))
        elif isinstance(change, UrlKeyNow) and b"URLAUTH" not in dialect.off:
            out.append(url_mechanisms(dialect.language))
    if gone:
        out.append(vanished(compact(gone)))
    return b"".join(out)


def vanished(uids: Ranges, earlier: bool = False) -> bytes:
    """RFC 7162 3.2.10, RFC 9586 3.4; earlier: they were not told in this session."""
    return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if earlier else b"", encode_ranges(uids))


def grown(exists: int, recent: int, dialect: Dialect) -> bytes:
    """EXISTS, and RECENT where there is such a thing (RFC 9051 appendix E, 13)."""
    if dialect.rev2:
        return b"* %d EXISTS\r\n" % exists
    return b"* %d EXISTS\r\n* %d RECENT\r\n" % (exists, recent)


def keywords(flags: bytes, permanent: bytes, language: str = DEFAULT) -> bytes:
    may = condition(b"*", b"OK", b"PERMANENTFLAGS (%b)" % permanent, "Flags that can be changed", language)
    return b"* FLAGS (%b)\r\n%b" % (flags, may)


def access(read_only: bool, language: str = DEFAULT) -> bytes:
    """READ-ONLY or READ-WRITE of a mailbox that is selected (RFC 9051 7.1)."""
    word = b"READ-ONLY" if read_only else b"READ-WRITE"
    return condition(b"*", b"OK", word, "Rights on the mailbox changed", language)


def url_mechanisms(language: str = DEFAULT) -> bytes:
    """RFC 4467 9."""
    return condition(b"*", b"OK", b"URLMECH INTERNAL", "How URLs can be authorized", language)


# Search ------------------------------------------------------------------------------------


def search(numbers: Sequence[int], modseq: int, verb: bytes = b"SEARCH") -> bytes:
    """SEARCH of IMAP4rev1 (RFC 3501 7.2.5, RFC 7162 3.1.5); SORT (RFC 5256 4)."""
    tail = b" (MODSEQ %d)" % modseq if modseq and numbers else b""
    return b"* %b%b%b\r\n" % (verb, "".join([f" {number}" for number in numbers]).encode(), tail)


def esearch(tag: bytes, uid: bool, data: Sequence[bytes], where: bytes = b"") -> bytes:
    """ESEARCH (RFC 9051 7.3.4, RFC 4731 3.1). where: `correlators` of the mailbox, after ESEARCH."""
    head = b"* ESEARCH (TAG %b%b)%b" % (quoted(tag), where, b" UID" if uid else b"")
    return b" ".join([head, *data]) + b"\r\n"


def correlators(name: str, uid_validity: int, dialect: Dialect) -> bytes:
    """Which mailbox results are of (RFC 7377 4, one-correlator)."""
    return b" MAILBOX %b UIDVALIDITY %d" % (mailbox(name, dialect), uid_validity)


# Codes -------------------------------------------------------------------------------------


def copyuid(copied: Copied, off: frozenset[bytes] = frozenset()) -> bytes:
    """resp-code-copy (RFC 4315 3); empty when nothing was copied, or UIDPLUS is switched off."""
    if not copied.source or not copied.target or b"UIDPLUS" in off:
        return b""
    return b"COPYUID %d %b %b" % (
        copied.uid_validity,
        encode_ranges(copied.source),
        encode_ranges(copied.target),
    )


def appenduid(done: Appended, off: frozenset[bytes] = frozenset()) -> bytes:
    """resp-code-apnd (RFC 4315 3), of several messages too (RFC 3502); empty when UIDPLUS is off."""
    if b"UIDPLUS" in off:
        return b""
    if done.count == 1:
        return b"APPENDUID %d %d" % (done.uid_validity, done.uid)
    return b"APPENDUID %d %d:%d" % (done.uid_validity, done.uid, done.uid + done.count - 1)


def modified(ranges: Ranges) -> bytes:
    return b"MODIFIED " + encode_ranges(ranges) if ranges else b""
