"""Capabilities that are switched off: for a site, an account, or clients that trip over them.

What is off is not announced, its commands, parameters and data items are refused as unknown
(`Cursor.need`), and its response codes are not sent. One exception: a literal that is not waited for
(LITERAL+) is read in any case, for it has been sent already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from protocols.imap4.verbs import Verb

NEVER_OFF: Final = frozenset({b"IMAP4REV1", b"STARTTLS", b"LOGINDISABLED"})

_BASE_OF_REV2: Final = (
    b"NAMESPACE", b"UNSELECT", b"UIDPLUS", b"ESEARCH", b"SEARCHRES", b"ENABLE", b"IDLE", b"SASL-IR",
    b"LIST-EXTENDED", b"LIST-STATUS", b"MOVE", b"LITERAL+", b"BINARY", b"SPECIAL-USE", b"STATUS=SIZE",
)  # fmt: skip
"""What IMAP4rev2 has without saying so (RFC 9051 appendix E): without one of them it is not that."""

_BUILT_ON: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    b"ENABLE": (b"QRESYNC", b"UTF8=ACCEPT", b"UIDONLY"),
    b"CONDSTORE": (b"QRESYNC",),
    b"ESEARCH": (b"SEARCHRES", b"PARTIAL", b"ESORT", b"CONTEXT=SEARCH", b"CONTEXT=SORT", b"MULTISEARCH"),
    b"ESORT": (b"CONTEXT=SORT",),
    b"SORT": (b"SORT=DISPLAY", b"ESORT"),
    b"LIST-EXTENDED": (b"LIST-STATUS",),
    b"CATENATE": (b"URL-PARTIAL",),
    b"QUOTA": (b"QUOTASET", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE", b"QUOTA=RES-MAILBOX"),
    b"ACL": (b"RIGHTS=", b"LIST-MYRIGHTS"),
    b"METADATA": (b"LIST-METADATA",),
}

_RFC3501: Final = frozenset(
    b"CAPABILITY NOOP LOGOUT STARTTLS AUTHENTICATE LOGIN SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE "
    b"UNSUBSCRIBE LIST LSUB STATUS APPEND CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY".split()
)
"""Commands that are there whatever is off."""
_ACL: Final = (b"ACL",)
_METADATA: Final = (b"METADATA",)
_URLAUTH: Final = (b"URLAUTH",)
_NEEDS: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    b"UID EXPUNGE": (b"UIDPLUS",),
    b"GETQUOTAROOT": (b"QUOTA",),
    b"CANCELUPDATE": (b"CONTEXT=SEARCH", b"CONTEXT=SORT"),
    b"THREAD": (b"THREAD=ORDEREDSUBJECT", b"THREAD=REFERENCES", b"THREAD=REFS"),
    b"RLSUB": (b"MAILBOX-REFERRALS",),
    b"GETACL": _ACL,
    b"SETACL": _ACL,
    b"DELETEACL": _ACL,
    b"LISTRIGHTS": _ACL,
    b"MYRIGHTS": _ACL,
    b"GETMETADATA": _METADATA,
    b"SETMETADATA": _METADATA,
    b"GENURLAUTH": _URLAUTH,
    b"RESETKEY": _URLAUTH,
    b"URLFETCH": _URLAUTH,
}
"""Commands that are there while one of these is on. Of others it is the first of what the table of
commands says they make whole."""


def closed(names: Iterable[bytes]) -> frozenset[bytes]:
    """What is off with these: what is built on them, too."""
    waiting = [name.upper() for name in names]
    off: set[bytes] = set()
    while waiting:
        name = waiting.pop()
        if name in off or name in NEVER_OFF:
            continue
        off.add(name)
        waiting.extend(_BUILT_ON.get(name, ()))
        if name in _BASE_OF_REV2:
            waiting.append(b"IMAP4REV2")
    return frozenset(off)


def is_off(capability: bytes, off: frozenset[bytes]) -> bool:
    """capability: as announced; `RIGHTS=texk` and `APPENDLIMIT=5` go with their names."""
    name = capability.upper()
    return name in off or (b"=" in name and name.partition(b"=")[0] in off)


def usable(verb: Verb, verbs: Mapping[bytes, Verb], off: frozenset[bytes]) -> bool:
    """May the command be given? Those of RFC 3501 always may."""
    base = verb.name.removeprefix(b"UID ")
    needs = _NEEDS.get(verb.name) or _NEEDS.get(base)
    if needs is None:
        if base in _RFC3501:
            return True
        needs = verbs[base].capabilities[:1]
    return not needs or not all(is_off(each, off) for each in needs)
