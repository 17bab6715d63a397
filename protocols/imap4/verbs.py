"""The table of commands: the only list of them. CAPABILITY, what a command may hold and
when EXPUNGE may be sent come from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from protocols.imap4.channel import Channel
from protocols.imap4.commands import (
    acl,
    append,
    comparator,
    copy,
    esearch,
    fetch,
    listing,
    login,
    mailboxes,
    metadata,
    notify,
    quota,
    search,
    selection,
    session,
    sort,
    store,
    urlauth,
)
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed


class Held(Enum):
    """What a command needs to hold."""

    ANY = "any state"
    DOOR = "no login yet"
    ACCOUNT = "a login"
    VIEW = "a selected mailbox"


class Command(Protocol):
    async def run(self, held: Any, channel: Channel) -> Completed | None: ...


class Parses(Protocol):
    """A command class."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Command: ...


@dataclass(frozen=True, slots=True)
class Verb:
    """One command.

    capabilities: what is whole because of it.
    expunges: EXPUNGE may be sent while it is answered (RFC 9051 7.5.1).
    codes: other words for a response code: a missing target is TRYCREATE (RFC 9051 7.1).
    removes: it may remove messages, which is told whatever was asked of NOTIFY.
    numbers: it is about message numbers: not once UIDONLY is enabled (RFC 9586 3.2, 3.8).
    streams: its last literal is not collected.
    answers_itself: it sends its own tagged OK.
    secret: its literals are not asked for where others could read them (RFC 9051 11.2).
    """

    name: bytes
    command: type[Parses]
    held: Held
    capabilities: tuple[bytes, ...] = ()
    expunges: bool = True
    codes: Mapping[bytes, bytes] = field(default_factory=dict)
    removes: bool = False
    numbers: bool = False
    streams: bool = False
    answers_itself: bool = False
    secret: bool = False

    @property
    def uid(self) -> bool:
        return self.name.startswith(b"UID ")

    @property
    def completed(self) -> str:
        """What its tagged OK says."""
        return f"{self.label} completed"

    @property
    def label(self) -> str:
        return self.name.decode("ascii")


_TARGET: Final = {b"NONEXISTENT": b"TRYCREATE"}

_TABLE: Final = (
    Verb(b"CAPABILITY", session.Capability, Held.ANY),
    Verb(b"NOOP", session.Noop, Held.ANY),
    Verb(b"LOGOUT", session.Logout, Held.ANY),
    Verb(b"ID", session.Id, Held.ANY, (b"ID",)),
    Verb(b"LANGUAGE", session.Language, Held.ANY, (b"LANGUAGE",)),
    Verb(b"STARTTLS", login.StartTls, Held.DOOR, answers_itself=True),
    Verb(b"AUTHENTICATE", login.Authenticate, Held.DOOR, (b"SASL-IR", b"LOGIN-REFERRALS")),
    Verb(b"LOGIN", login.Login, Held.DOOR, secret=True),
    Verb(b"UNAUTHENTICATE", login.Unauthenticate, Held.ACCOUNT, (b"UNAUTHENTICATE",)),
    Verb(b"ENABLE", session.Enable, Held.ACCOUNT, (b"ENABLE", b"UIDONLY")),
    Verb(b"SELECT", selection.Select, Held.ACCOUNT, (b"QRESYNC",)),
    Verb(b"EXAMINE", selection.Examine, Held.ACCOUNT),
    Verb(b"CREATE", mailboxes.Create, Held.ACCOUNT, (b"CREATE-SPECIAL-USE", b"OBJECTID")),
    Verb(b"DELETE", mailboxes.Delete, Held.ACCOUNT),
    Verb(b"RENAME", mailboxes.Rename, Held.ACCOUNT),
    Verb(b"SUBSCRIBE", mailboxes.Subscribe, Held.ACCOUNT),
    Verb(b"UNSUBSCRIBE", mailboxes.Unsubscribe, Held.ACCOUNT),
    Verb(
        b"LIST",
        listing.List,
        Held.ACCOUNT,
        (b"CHILDREN", b"SPECIAL-USE", b"LIST-EXTENDED", b"LIST-STATUS", b"LIST-MYRIGHTS", b"LIST-METADATA"),
    ),
    Verb(b"LSUB", listing.Lsub, Held.ACCOUNT),
    Verb(b"RLIST", listing.Rlist, Held.ACCOUNT, (b"MAILBOX-REFERRALS",)),
    Verb(b"RLSUB", listing.Rlsub, Held.ACCOUNT),
    Verb(b"NAMESPACE", mailboxes.Namespace, Held.ACCOUNT, (b"NAMESPACE",)),
    Verb(b"STATUS", mailboxes.Status, Held.ACCOUNT, (b"STATUS=SIZE", b"APPENDLIMIT")),
    Verb(
        b"APPEND",
        append.Append,
        Held.ACCOUNT,
        (b"MULTIAPPEND", b"CATENATE", b"URL-PARTIAL", b"UTF8=ACCEPT"),
        codes=_TARGET,
        streams=True,
    ),
    Verb(
        b"REPLACE",
        append.Replace,
        Held.VIEW,
        (b"REPLACE",),
        codes=_TARGET,
        streams=True,
        numbers=True,
        removes=True,
    ),
    Verb(b"UID REPLACE", append.Replace, Held.VIEW, codes=_TARGET, streams=True, removes=True),
    Verb(
        b"GETQUOTA",
        quota.GetQuota,
        Held.ACCOUNT,
        (b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE", b"QUOTA=RES-MAILBOX"),
    ),
    Verb(b"GETQUOTAROOT", quota.GetQuotaRoot, Held.ACCOUNT),
    Verb(b"SETQUOTA", quota.SetQuota, Held.ACCOUNT, (b"QUOTASET",)),
    Verb(b"SETACL", acl.SetAcl, Held.ACCOUNT, (b"ACL", b"RIGHTS=kxte")),
    Verb(b"DELETEACL", acl.DeleteAcl, Held.ACCOUNT),
    Verb(b"GETACL", acl.GetAcl, Held.ACCOUNT),
    Verb(b"LISTRIGHTS", acl.ListRights, Held.ACCOUNT),
    Verb(b"MYRIGHTS", acl.MyRights, Held.ACCOUNT),
    Verb(b"GETMETADATA", metadata.GetMetadata, Held.ACCOUNT, (b"METADATA", b"METADATA-SERVER")),
    Verb(b"SETMETADATA", metadata.SetMetadata, Held.ACCOUNT, (b"FILTERS",)),
    Verb(b"GENURLAUTH", urlauth.GenUrlAuth, Held.ACCOUNT, (b"URLAUTH",)),
    Verb(b"RESETKEY", urlauth.ResetKey, Held.ACCOUNT),
    Verb(b"URLFETCH", urlauth.UrlFetch, Held.ACCOUNT),
    Verb(b"COMPARATOR", comparator.Comparator, Held.ACCOUNT, (b"I18NLEVEL=2",)),
    Verb(b"COMPRESS", session.Compress, Held.ACCOUNT, (b"COMPRESS=DEFLATE",), answers_itself=True),
    Verb(b"NOTIFY", notify.Notify, Held.ACCOUNT, (b"NOTIFY",)),
    Verb(b"IDLE", session.Idle, Held.ACCOUNT, (b"IDLE",)),
    Verb(b"CHECK", selection.Check, Held.VIEW),
    Verb(b"CLOSE", selection.Close, Held.VIEW),
    Verb(b"UNSELECT", selection.Unselect, Held.VIEW, (b"UNSELECT",)),
    Verb(b"EXPUNGE", selection.Expunge, Held.VIEW, removes=True),
    Verb(b"UID EXPUNGE", selection.Expunge, Held.VIEW, (b"UIDPLUS",), removes=True),
    Verb(
        b"SEARCH",
        search.Search,
        Held.VIEW,
        (b"ESEARCH", b"SEARCHRES", b"PARTIAL", b"WITHIN", b"CONTEXT=SEARCH", b"SEARCH=FUZZY"),
        expunges=False,
        numbers=True,
    ),
    Verb(b"UID SEARCH", search.Search, Held.VIEW),
    Verb(b"ESEARCH", esearch.ESearch, Held.ACCOUNT, (b"MULTISEARCH",)),
    Verb(
        b"SORT",
        sort.Sort,
        Held.VIEW,
        (b"SORT", b"SORT=DISPLAY", b"ESORT", b"CONTEXT=SORT"),
        expunges=False,
        numbers=True,
    ),
    Verb(b"CANCELUPDATE", sort.CancelUpdate, Held.VIEW),
    Verb(b"UID SORT", sort.Sort, Held.VIEW),
    Verb(
        b"THREAD",
        sort.Thread,
        Held.VIEW,
        (b"THREAD=ORDEREDSUBJECT", b"THREAD=REFERENCES", b"THREAD=REFS"),
        expunges=False,
        numbers=True,
    ),
    Verb(b"UID THREAD", sort.Thread, Held.VIEW),
    Verb(
        b"FETCH", fetch.Fetch, Held.VIEW, (b"BINARY", b"SAVEDATE", b"PREVIEW"), expunges=False, numbers=True
    ),
    Verb(b"UID FETCH", fetch.Fetch, Held.VIEW),
    Verb(b"STORE", store.Store, Held.VIEW, (b"CONDSTORE",), expunges=False, numbers=True),
    Verb(b"UID STORE", store.Store, Held.VIEW),
    Verb(b"COPY", copy.Copy, Held.VIEW, (b"INPROGRESS",), codes=_TARGET, numbers=True),
    Verb(b"UID COPY", copy.Copy, Held.VIEW, codes=_TARGET),
    Verb(b"MOVE", copy.Move, Held.VIEW, (b"MOVE",), codes=_TARGET, numbers=True, removes=True),
    Verb(b"UID MOVE", copy.Move, Held.VIEW, codes=_TARGET, removes=True),
)

VERBS: Final[Mapping[bytes, Verb]] = {verb.name: verb for verb in _TABLE}

_VERSIONS: Final = (b"IMAP4rev1", b"IMAP4rev2")
_ALWAYS: Final = (b"LITERAL+",)


def _offered(states: Iterable[Held]) -> tuple[bytes, ...]:
    return tuple(
        name for state in states for verb in _TABLE if verb.held is state for name in verb.capabilities
    )


def before_login(tls: bool, login: bool, mechanisms: Iterable[str]) -> tuple[bytes, ...]:
    """Capabilities while not authenticated (RFC 9051 6.1.1). tls: STARTTLS can be given.
    login: LOGIN may be given."""
    names = [*_VERSIONS, *_ALWAYS, *_offered((Held.ANY, Held.DOOR)), b"ENABLE", b"IDLE"]
    if tls:
        names.append(b"STARTTLS")
    names.extend(b"AUTH=" + name.encode() for name in mechanisms)
    if not login:
        names.append(b"LOGINDISABLED")
    return tuple(names)


AFTER_LOGIN: Final = (*_VERSIONS, *_ALWAYS, *_offered((Held.ANY, Held.ACCOUNT, Held.VIEW)))
