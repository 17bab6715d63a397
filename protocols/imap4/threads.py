"""THREAD: messages as trees (RFC 5256 3; REFS as other servers have it).

ORDEREDSUBJECT puts messages of one base subject under the first of them. REFERENCES joins
replies to what they answer, then threads of one base subject. REFS does without that, and
orders threads by their youngest message.

The work is a generator that yields now and then, so that whoever drives it can pause.
Nothing recurses: a thread may be as deep as it has messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Final

from protocols.imap4.ordering import Traits

PAUSE: Final = 200
CLIMB: Final = 5000
"""How far up a loop is looked for; what is deeper is not linked."""
_when = attrgetter("when")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(.)")


class Node:
    """A message in a tree, or a dummy (number 0) that holds its children together."""

    __slots__ = ("answer", "base", "children", "number", "parent", "when")

    def __init__(
        self, number: int = 0, when: tuple[int, int] = (0, 0), base: bytes = b"", answer: bool = False
    ) -> None:
        self.number = number
        # Sent date; of equal ones the order in the mailbox decides (RFC 5256 2.2).
        self.when = when
        self.base = base
        self.answer = answer
        self.parent: Node | None = None
        self.children: list[Node] = []


Work = Generator[None, None, list[Node]]


def ordered_subject(numbers: Sequence[int], traits: Sequence[Traits]) -> Work:
    threads: dict[bytes, Node] = {}
    order = sorted(range(len(numbers)), key=lambda at: traits[at].sent)
    yield
    for count, at in enumerate(order):
        node = Node(numbers[at], (traits[at].sent, at))
        first = threads.setdefault(traits[at].base, node)
        if first is not node:
            first.children.append(node)
        if not count % PAUSE:
            yield
    # Made in the order of their first messages already.
    return list(threads.values())


def references(numbers: Sequence[int], traits: Sequence[Traits]) -> Work:
    roots = yield from _linked(numbers, traits)
    roots = yield from _pruned(roots)
    for count, node in enumerate(roots):
        if not node.number:
            _by_date(node.children)
        if not count % PAUSE:
            yield
    _by_date(roots)
    yield
    roots = yield from _merged(roots)
    # Children first, so that a dummy is as old as its first child when it is put in order.
    for count, node in enumerate((yield from _upwards(roots, leaves=False))):
        _by_date(node.children)
        if not count % PAUSE:
            yield
    _by_date(roots)
    return roots


def refs(numbers: Sequence[int], traits: Sequence[Traits]) -> Work:
    roots = yield from _linked(numbers, traits)
    roots = yield from _pruned(roots)
    youngest: dict[Node, tuple[int, int]] = {}
    for count, node in enumerate((yield from _upwards(roots))):
        _by_date(node.children)
        youngest[node] = max([node.when, *(youngest[child] for child in node.children)])
        if not count % PAUSE:
            yield
    roots.sort(key=youngest.__getitem__)
    return roots


ALGORITHMS: Final[Mapping[bytes, Callable[[Sequence[int], Sequence[Traits]], Work]]] = {
    b"ORDEREDSUBJECT": ordered_subject,
    b"REFERENCES": references,
    b"REFS": refs,
}


# The steps of REFERENCES -----------------------------------------------------------------------


def _linked(numbers: Sequence[int], traits: Sequence[Traits]) -> Work:
    """Steps 1 and 2: what has no parent."""
    known: dict[bytes, Node] = {}
    nodes: list[Node] = []
    ids: set[bytes] = set()
    for at, (number, trait) in enumerate(zip(numbers, traits, strict=True)):
        name = _normal(trait.message_id)
        when = (trait.sent, at)
        if not name or name in ids:
            # Without an id, or with another's: nobody can refer to it.
            node = Node(number, when, trait.base, trait.answer)
        else:
            ids.add(name)
            found = known.get(name)
            node = Node() if found is None else found
            known[name] = node
            node.number, node.when, node.base, node.answer = number, when, trait.base, trait.answer
        nodes.append(node)
        last: Node | None = None
        for reference in trait.references:
            name = _normal(reference)
            here = known.get(name)
            if here is None:
                here = known[name] = Node()
            if last is not None and here.parent is None and not _above(here, last):
                _adopt(last, here)
            last = here
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None
        if last is not None and not _above(node, last):
            _adopt(last, node)
        if not at % 20:
            yield
    every = {id(node): node for node in (*known.values(), *nodes)}
    yield
    return [node for node in every.values() if node.parent is None]


def _normal(name: bytes) -> bytes:
    """A message id without the quoting that does not matter (RFC 5256 3)."""
    if b'"' in name:
        name = _QUOTED.sub(lambda found: _ESCAPE.sub(rb"\1", found[1]), name)
    return name


def _above(node: Node, other: Node) -> bool:
    """Whether node is other or above it, or may be."""
    if node is other:
        return True
    if not node.children:
        return False
    at: Node | None = other
    for _ in range(CLIMB):
        if at is None:
            return False
        if at is node:
            return True
        at = at.parent
    return True


def _adopt(parent: Node, child: Node) -> None:
    child.parent = parent
    parent.children.append(child)


def _upwards(roots: Sequence[Node], leaves: bool = True) -> Work:
    """Every node, children before parents. leaves: those without children, too."""
    stack = list(roots)
    found: list[Node] = []
    count = 0
    while stack:
        node = stack.pop()
        if node.children:
            found.append(node)
            stack.extend(node.children)
        elif leaves:
            found.append(node)
        count += 1
        if not count % PAUSE:
            yield
    found.reverse()
    return found


def _pruned(roots: list[Node]) -> Work:
    """Step 3: no dummies, but at the top for those with more children than one."""
    for count, node in enumerate((yield from _upwards(roots, leaves=False))):
        node.children = [
            kept for child in node.children for kept in ([child] if child.number else child.children)
        ]
        if not count % PAUSE:
            yield
    found: list[Node] = []
    for node in roots:
        if node.number or len(node.children) > 1:
            found.append(node)
        else:
            found.extend(node.children)
    return found


def _by_date(nodes: list[Node]) -> None:
    for node in nodes:
        if not node.number and node.children:
            node.when = node.children[0].when
    nodes.sort(key=_when)


def _subject(node: Node) -> bytes:
    return node.base if node.number or not node.children else node.children[0].base


def _merged(roots: list[Node]) -> Work:
    """Step 5: threads of one base subject together."""
    table: dict[bytes, Node] = {}
    for count, node in enumerate(roots):
        subject = _subject(node)
        if subject:
            other = table.setdefault(subject, node)
            if other.number and (not node.number or (other.answer and not node.answer)):
                table[subject] = node
        if not count % PAUSE:
            yield
    gone: set[int] = set()
    made: list[Node] = []
    for count, node in enumerate(roots):
        subject = _subject(node)
        other = table[subject] if subject else node
        if other is not node:
            if not other.number and not node.number:
                other.children.extend(node.children)
            elif not other.number or (node.answer and not other.answer):
                other.children.append(node)
            else:
                dummy = Node()
                dummy.children = [other, node]
                table[subject] = dummy
                made.append(dummy)
                gone.add(id(other))
            gone.add(id(node))
        if not count % PAUSE:
            yield
    return [node for node in (*roots, *made) if id(node) not in gone]


# The wire --------------------------------------------------------------------------------------


def encode(roots: Sequence[Node]) -> Iterator[bytes]:
    """thread-list of each thread (RFC 5256 5)."""
    for root in roots:
        yield b"".join(_encode(root)) if root.children else b"(%d)" % root.number


def _encode(root: Node) -> Iterator[bytes]:
    stack: list[Node | None] = [root]
    while stack:
        top = stack.pop()
        if top is None:
            yield b")"
            continue
        # thread-members = nz-number *(SP nz-number) [SP thread-nested]
        node, members = top, []
        while True:
            if node.number:
                members.append(b"%d" % node.number)
            if len(node.children) != 1:
                break
            node = node.children[0]
        yield b"(" + b" ".join(members)
        if node.children and members:
            yield b" "
        stack.append(None)
        stack.extend(reversed(node.children))
