"""Content synchronization and persistent search on the wire (RFC 4533 2, draft-ietf-ldapext-psearch-03)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocols.ldap import ber
from protocols.ldap.ber import BadValue, Cursor
from protocols.ldap.messages import Control, IntermediateResponse
from protocols.ldap.responses import encode

SYNC: Final = "1.3.6.1.4.1.4203.1.9.1.1"
SYNC_STATE: Final = "1.3.6.1.4.1.4203.1.9.1.2"
SYNC_DONE: Final = "1.3.6.1.4.1.4203.1.9.1.3"
SYNC_INFO: Final = "1.3.6.1.4.1.4203.1.9.1.4"
PERSISTENT_SEARCH: Final = "2.16.840.1.113730.3.4.3"
CHANGE_NOTIFICATION: Final = "2.16.840.1.113730.3.4.7"

COOKIE: Final = 512
"""Octets of a cookie."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An encoded protocolOp of a search, with the controls of its message."""

    operation: bytes
    controls: tuple[Control, ...] = ()


PERSISTING: Final = Answer(b"")
"""Not sent: from here on a search has neither a time limit nor a number of entries."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """syncRequestValue (RFC 4533 2.2)."""

    persist: bool
    cookie: bytes = b""
    reload: bool = False


class State(IntEnum):
    """RFC 4533 2.3."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


class ChangeType(IntEnum):
    """draft psearch 3, 4."""

    ADD = 1
    DELETE = 2
    MODIFY = 4
    MODIFY_DN = 8


@dataclass(frozen=True, slots=True)
class PersistentSearch:
    """types: of changes that are wanted, as bits. notify: whether each says what it is of."""

    types: int
    changes_only: bool
    notify: bool


def read_sync(value: bytes | None) -> SyncRequest:
    if value is None:
        raise BadValue("a sync request value")
    inside = Cursor(value).enter()
    mode = inside.integer(ber.ENUMERATED)
    if mode not in (1, 3):
        raise BadValue("refreshOnly or refreshAndPersist")
    cookie = inside.next(ber.OCTETS) or b""
    if len(cookie) > COOKIE:
        raise BadValue(f"a cookie of at most {COOKIE} octets")
    return SyncRequest(mode == 3, cookie, inside.boolean() if inside.more else False)


def read_persistent(value: bytes | None) -> PersistentSearch:
    if value is None:
        raise BadValue("a persistent search value")
    inside = Cursor(value).enter()
    return PersistentSearch(inside.integer(low=1, high=15), inside.boolean(), inside.boolean())


# Answers --------------------------------------------------------------------------------


def state_control(state: State, uuid: bytes, cookie: bytes | None = None) -> Control:
    parts = [ber.integer(state, ber.ENUMERATED), ber.octets(uuid)]
    if cookie is not None:
        parts.append(ber.octets(cookie))
    return Control(SYNC_STATE, value=ber.sequence(parts))


def done_control(cookie: bytes) -> Control:
    """The end of a present phase: refreshDeletes is FALSE."""
    return Control(SYNC_DONE, value=ber.sequence([ber.octets(cookie)]))


def _info(value: bytes) -> Answer:
    return Answer(encode(IntermediateResponse(SYNC_INFO, value)))


def refreshed(cookie: bytes) -> Answer:
    """refreshPresent with refreshDone: the persist stage begins."""
    return _info(ber.sequence([ber.octets(cookie)], 0xA2))


def present(uuids: Iterable[bytes]) -> Answer:
    """syncIdSet of entries that are as they were."""
    return _info(ber.sequence([ber.sequence(map(ber.octets, uuids), ber.SET)], 0xA3))


_TYPES: Final = {State.ADD: ChangeType.ADD, State.DELETE: ChangeType.DELETE, State.MODIFY: ChangeType.MODIFY}


def notification(asked: PersistentSearch, state: State, entry: bytes, before: bytes) -> Answer | None:
    """An entry of a persistent search, if changes of this type are wanted. before: its name, if that
    has changed."""
    kind = ChangeType.MODIFY_DN if before else _TYPES[state]
    if not asked.types & kind:
        return None
    if not asked.notify:
        return Answer(entry)
    parts = [ber.integer(kind, ber.ENUMERATED)]
    if before:
        parts.append(ber.octets(before))
    return Answer(entry, (Control(CHANGE_NOTIFICATION, value=ber.sequence(parts)),))
