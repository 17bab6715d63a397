"""Limits of a mailbox: from its entry, or from the site (ims_spec 8, 12.3).

    MDB-Storage-Quota         KB from which its owner is warned
    MDB-Over-Quota-Limit      KB from which it cannot send
    DXA-Task                  KB it holds at most: neither sends nor receives
    imsMessageQuota           messages it holds at most (RFC 9208 5.2)
    MDB-Use-Defaults          TRUE: the site's are used in place of these four
    Deliv-Cont-Length, Incoming-Msg-Size-Limit
                              KB of one message that it receives (the smaller one holds)
    Submission-Cont-Length    KB of one message that it sends

A value that is absent is no limit, 0 is nothing at all. Without MDB-Use-Defaults a mailbox that has
any of the four uses its own, and one that has none the site's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from imsd.directory.allowances import allowance_of
from imsd.settings.quotas import Quotas
from imsd.store.quotas import NOTHING, Bounds

KB: Final = 1024

WARN: Final = "mdb-storage-quota"
SEND: Final = "mdb-over-quota-limit"
MOST: Final = "dxa-task"
MESSAGES: Final = "imsmessagequota"
USE_DEFAULTS: Final = "mdb-use-defaults"

KEYS: Final = frozenset({WARN, SEND, MOST, MESSAGES, USE_DEFAULTS})
"""What the store has to hear of when it changes."""

Values = Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """bounds: in octets; 0 is no limit, NOTHING is nothing at all. own: the mailbox's, not the site's.
    receives, sends: octets of one message, None for any. sending: how much it may send in a time,
    where it has limits of its own (imsd.directory.allowances)."""

    bounds: Bounds
    own: bool = False
    receives: int | None = None
    sends: int | None = None
    sending: Mapping[str, int] = field(default_factory=dict)


def site_bounds(page: Quotas) -> Bounds:
    return Bounds(page.warn_kb * KB, page.send_kb * KB, page.most_kb * KB, page.messages)


def has_own(values: Values) -> bool:
    """Are the limits the mailbox's own?"""
    stated = values.get(USE_DEFAULTS)
    if stated:
        return stated[0].upper() != b"TRUE"
    return any(values.get(key) for key in (WARN, SEND, MOST, MESSAGES))


def bounds_of(values: Values, site: Bounds) -> tuple[Bounds, bool]:
    """The bounds of `Limits`, and whether they are the mailbox's own."""
    if not has_own(values):
        return site, False
    units = ((WARN, KB), (SEND, KB), (MOST, KB), (MESSAGES, 1))
    return Bounds(*(_bound(values, key, unit) for key, unit in units)), True


def limits_of(values: Values, site: Bounds) -> Limits:
    """Of an entry's attributes, by key."""
    bounds, own = bounds_of(values, site)
    sizes = [_number(values, key) for key in ("deliv-cont-length", "incoming-msg-size-limit")]
    received = [size * KB for size in sizes if size is not None]
    sent = _number(values, "submission-cont-length")
    sends = None if sent is None else sent * KB
    return Limits(bounds, own, min(received, default=None), sends, allowance_of(values))


def _bound(values: Values, key: str, unit: int) -> int:
    found = _number(values, key)
    if found is None:
        return 0
    return found * unit or NOTHING


def _number(values: Values, key: str) -> int | None:
    found = values.get(key)
    try:
        return max(0, int(found[0])) if found else None
    except ValueError:
        return None
