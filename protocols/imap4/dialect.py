"""What a connection speaks: one frozen value, consulted in `responses` and in the view."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.languages import DEFAULT
from protocols.message import collation


@dataclass(frozen=True, slots=True)
class Dialect:
    """rev2: ENABLE IMAP4rev2 was given (RFC 9051 6.3.1): UTF-8 mailbox names, ESEARCH
    instead of SEARCH, no RECENT, no \\Recent.
    utf8: UTF-8 may be sent in quoted strings (RFC 6855 3); implied by rev2.
    condstore: a CONDSTORE-enabling command was given (RFC 7162 3.1): every untagged
    FETCH that tells of flags carries MODSEQ.
    metadata: annotations that others change are told (RFC 5464 4.1).
    qresync: VANISHED is sent instead of EXPUNGE (RFC 7162 3.2.10); implies condstore.
    uidonly: message numbers are neither taken nor sent (RFC 9586 3): UIDFETCH instead of
    FETCH, VANISHED instead of EXPUNGE. EXISTS and RECENT are counts and stay.
    language: in which people are spoken to (RFC 5255 3).
    comparator: by which SEARCH, SORT and THREAD compare text (RFC 5255 4.2).
    off: capabilities that are switched off (`switches`).
    """

    rev2: bool = False
    utf8: bool = False
    condstore: bool = False
    metadata: bool = False
    qresync: bool = False
    uidonly: bool = False
    language: str = DEFAULT
    comparator: str = collation.DEFAULT
    off: frozenset[bytes] = frozenset()


PLAIN = Dialect()
