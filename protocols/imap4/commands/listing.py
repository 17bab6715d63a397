"""LIST (RFC 9051 6.3.9; RFC 5258, 3348, 5819, 6154, 8440, 9590) and LSUB (RFC 3501 6.3.9); RLIST and
RLSUB, which have mailboxes on other servers too (RFC 2193 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.commands.mailboxes import SPECIAL_USES, status_items
from protocols.imap4.commands.metadata import entries
from protocols.imap4.grammar import Cursor
from protocols.imap4.mailboxnames import DELIMITER, literal_prefix, matcher, with_inbox
from protocols.imap4.values import Listed

PATTERNS: Final = 100
"""Patterns of one LIST."""

_SELECT: Final = frozenset({b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE"})
_RETURN: Final = frozenset({b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"MYRIGHTS"})
_SPECIAL: Final = frozenset(SPECIAL_USES.values())


@dataclass(frozen=True, slots=True)
class List:
    """select, returned: options in capitals. status: items of RETURN (STATUS (...)).
    extended: the extended syntax was used in some way. annotations: entries of RETURN (METADATA ...)."""

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[bytes] = frozenset()
    returned: frozenset[bytes] = frozenset()
    status: tuple[bytes, ...] = ()
    extended: bool = False
    annotations: tuple[str, ...] = ()
    remote: bool = False

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> List:
        cursor.space()
        select: frozenset[bytes] = frozenset()
        extended = cursor.at(b"(")
        if extended:
            select = _options(cursor, _SELECT)
            # list-select-mod-opt needs a list-select-base-opt.
            if b"RECURSIVEMATCH" in select and not select & {b"SUBSCRIBED", b"SPECIAL-USE"}:
                raise cursor.fail("SUBSCRIBED or SPECIAL-USE with RECURSIVEMATCH")
            cursor.space()
        reference = cursor.mailbox()
        cursor.space()
        if cursor.at(b"("):
            extended = True
            patterns = [cursor.list_mailbox() for _ in cursor.items()]
            if not 0 < len(patterns) <= PATTERNS:
                raise cursor.fail(f"1 to {PATTERNS} patterns")
        else:
            patterns = [cursor.list_mailbox()]
        returned: frozenset[bytes] = frozenset()
        status: tuple[bytes, ...] = ()
        annotations: tuple[str, ...] = ()
        if cursor.skip(b" "):
            extended = True
            if not cursor.keyword(b"RETURN"):
                raise cursor.fail("RETURN")
            cursor.need(b"LIST-EXTENDED")
            cursor.space()
            returned, status, annotations = _return_options(cursor)
        return cls(reference, tuple(patterns), select, returned, status, extended, annotations)

    async def run(self, account: Any, channel: Channel) -> None:
        if not self.extended and self.patterns == ("",):
            # A request for the delimiter and the root of the name (RFC 9051 6.3.9).
            channel.send(responses.listed(b"LIST", [b"\\Noselect"], "", channel.dialect))
            return
        if b"HIGHESTMODSEQ" in self.status:
            channel.enable(condstore=True)
        patterns = [self.reference + pattern for pattern in self.patterns if pattern]
        matches = any_of(patterns)
        only_subscribed = b"SUBSCRIBED" in self.select
        remote = self.remote or b"REMOTE" in self.select
        known = await account.mailboxes(common_prefix(patterns), only_subscribed, remote)
        chosen = [entry for entry in known if self._selected(entry)]
        answers: list[tuple[Listed, list[bytes], list[bytes]]] = []
        for entry in chosen:
            if matches(entry.name):
                answers.append((entry, self._attributes(entry), []))
            await channel.breathe()
        if b"RECURSIVEMATCH" in self.select:
            answers = await self._with_child_info(account, chosen, answers, matches)
        counters = {}
        if self.status:
            names = [entry.name for entry, attributes, _ in answers if not _unselectable(attributes)]
            counters = await account.status(names, b"DELETED-STORAGE" in self.status)
        annotated = {}
        if self.annotations:
            names = [entry.name for entry, _, _ in answers if entry.exists]
            annotated = await account.metadata_of(names, self.annotations)
        for entry, attributes, items in answers:
            channel.send(responses.listed(b"LIST", attributes, entry.name, channel.dialect, items))
            if entry.name in annotated:
                channel.send(responses.metadata(entry.name, annotated[entry.name], channel.dialect))
            if b"MYRIGHTS" in self.returned and entry.rights:
                channel.send(responses.my_rights(entry.name, entry.rights, channel.dialect))
            found = counters.get(entry.name)
            if found is not None:
                channel.send(responses.status(entry.name, found, self.status, channel.dialect))
            await channel.breathe()

    def _selected(self, entry: Listed) -> bool:
        if b"SUBSCRIBED" in self.select:
            if not entry.subscribed:
                return False
        elif not entry.exists and not entry.children:
            return False
        return b"SPECIAL-USE" not in self.select or not _SPECIAL.isdisjoint(entry.attributes)

    def _attributes(self, entry: Listed) -> list[bytes]:
        """The attributes of one answer (RFC 9051 7.3.1). Special use and children are told
        unasked, as RFC 6154 2 and RFC 3348 3 allow."""
        attributes = list(entry.attributes)
        if not entry.exists:
            # One selectability flag per answer, and one that a client of RFC 3501 knows.
            attributes = [attribute for attribute in attributes if attribute != b"\\Noselect"]
            attributes.insert(0, b"\\NonExistent" if self.extended else b"\\Noselect")
        if b"\\Noinferiors" not in attributes:
            attributes.append(b"\\HasChildren" if entry.children else b"\\HasNoChildren")
        if entry.subscribed and (b"SUBSCRIBED" in self.select or b"SUBSCRIBED" in self.returned):
            attributes.append(b"\\Subscribed")
        return attributes

    async def _with_child_info(
        self,
        account: Any,
        chosen: Sequence[Listed],
        answers: list[tuple[Listed, list[bytes], list[bytes]]],
        matches: Callable[[str], bool],
    ) -> list[tuple[Listed, list[bytes], list[bytes]]]:
        """CHILDINFO for names with inferiors that the selection finds but the patterns do
        not (RFC 9051 6.3.9.6); such names are told of even when not selected themselves."""
        options = [option for option in (b"SUBSCRIBED", b"SPECIAL-USE") if option in self.select]
        item = b'"CHILDINFO" (%b)' % b" ".join(b'"%b"' % option for option in options)
        parents = {above for entry in chosen if not matches(entry.name) for above in superiors(entry.name)}
        parents = {name for name in parents if matches(name)}
        answered = {entry.name for entry, _, _ in answers}
        if parents - answered:
            everything = {entry.name: entry for entry in await account.mailboxes("", False)}
            for name in parents - answered:
                entry = everything.get(name, Listed(name, exists=False, children=True))
                answers.append((entry, self._attributes(entry), []))
            answers.sort(key=lambda answer: answer[0].name)
        return [
            (entry, attributes, [item] if entry.name in parents else []) for entry, attributes, _ in answers
        ]


class Rlist:
    """RFC 2193 5: as LIST of RFC 2060."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> List:
        # rlist = "RLIST" SPACE mailbox SPACE list_mailbox
        cursor.space()
        reference = cursor.mailbox()
        cursor.space()
        return List(reference, (cursor.list_mailbox(),), remote=True)


@dataclass(frozen=True, slots=True)
class Lsub:
    """RFC 3501 6.3.9; `%` shows a level that only has subscribed inferiors as \\Noselect."""

    reference: str
    pattern: str
    remote: bool = False

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Lsub:
        cursor.space()
        reference = cursor.mailbox()
        cursor.space()
        return cls(reference, cursor.list_mailbox())

    async def run(self, account: Any, channel: Channel) -> None:
        if not self.pattern:
            channel.send(responses.listed(b"LSUB", [b"\\Noselect"], "", channel.dialect))
            return
        pattern = self.reference + self.pattern
        matches = matcher(pattern)
        answers: dict[str, list[bytes]] = {}
        for entry in await account.mailboxes(literal_prefix(pattern), True, self.remote):
            if matches(entry.name):
                answers[entry.name] = [] if entry.exists else [b"\\Noselect"]
            elif pattern.endswith("%"):
                for above in superiors(entry.name):
                    if matches(above):
                        answers.setdefault(above, [b"\\Noselect"])
            await channel.breathe()
        for name in sorted(answers):
            channel.send(responses.listed(b"LSUB", answers[name], name, channel.dialect))
            await channel.breathe()


class Rlsub:
    """RFC 2193 5."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Lsub:
        return replace(Lsub.parse(cursor, uid), remote=True)


def _options(cursor: Cursor, known: frozenset[bytes]) -> frozenset[bytes]:
    found = set()
    for _ in cursor.items():
        option = cursor.word()
        cursor.need(b"LIST-EXTENDED")
        _need(cursor, option)
        if option not in known:
            raise cursor.fail("a known option")
        found.add(option)
    return frozenset(found)


def _need(cursor: Cursor, option: bytes) -> None:
    if option == b"SPECIAL-USE":
        cursor.need(b"SPECIAL-USE")
    elif option in (b"STATUS", b"MYRIGHTS", b"METADATA"):
        cursor.need(b"LIST-" + option)


def _return_options(cursor: Cursor) -> tuple[frozenset[bytes], tuple[bytes, ...], tuple[str, ...]]:
    found: set[bytes] = set()
    status: tuple[bytes, ...] = ()
    annotations: tuple[str, ...] = ()
    for _ in cursor.items():
        option = cursor.word()
        _need(cursor, option)
        if option == b"STATUS":
            cursor.space()
            status = status_items(cursor)
        elif option == b"METADATA":
            cursor.space()
            annotations = entries(cursor)
        elif option in _RETURN:
            found.add(option)
        else:
            raise cursor.fail("a known option")
    return frozenset(found), status, annotations


def _unselectable(attributes: Iterable[bytes]) -> bool:
    return any(attribute in (b"\\Noselect", b"\\NonExistent", b"\\Remote") for attribute in attributes)


def any_of(patterns: Sequence[str]) -> Callable[[str], bool]:
    matchers = [matcher(pattern) for pattern in patterns]
    return lambda name: any(matches(name) for matches in matchers)


def common_prefix(patterns: Sequence[str]) -> str:
    """What every name that matches one of the patterns starts with."""
    prefixes = [literal_prefix(pattern) for pattern in patterns]
    if not prefixes:
        return ""
    low, high = min(prefixes), max(prefixes)
    length = 0
    while length < len(low) and low[length] == high[length]:
        length += 1
    return low[:length]


def superiors(name: str) -> list[str]:
    """The names above a name, nearest last."""
    levels = with_inbox(name).split(DELIMITER)
    return [DELIMITER.join(levels[:count]) for count in range(1, len(levels))]
