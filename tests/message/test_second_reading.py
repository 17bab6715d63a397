"""Difficult messages as FETCH tells of them, beside a second reading that is made from the grammars.

Where the two differ on purpose the message stands in DIFFERENT with the reason.
"""

from __future__ import annotations

from typing import Any

import pytest

from protocols.message import envelope, sections, structure, transfer
from protocols.message.part import Scan
from protocols.message.scan import scan
from protocols.message.sections import Kind, Section
from protocols.message.summary import Summarizer, summarize
from tests.message import difficult, second

MESSAGES = difficult.messages()
NAMES = [b"subject", b"to", b"x-no-value"]
MOST = 40
"""Part numbers of one message that are looked at."""

# Of the name's beginning: why the second reading is not ours.
DIFFERENT = {
    "qp-garbage": "RFC 2045 6.7 leaves open what a wrong escape means",
}


def different(name: str) -> bool:
    return any(name.removeprefix("lf-").startswith(one) for one in DIFFERENT)


CASES = [pytest.param(name, data, id=name) for name, data in MESSAGES if not different(name)]


def test_there_are_more_than_five_hundred() -> None:
    assert len(MESSAGES) >= 500
    assert len({name for name, _ in MESSAGES}) == len(MESSAGES)
    assert len(CASES) > len(MESSAGES) * 0.97


def taken(data: bytes, tree: Scan, section: Section) -> bytes | None:
    extent = sections.resolve(tree, section)
    return None if extent is None else extent.pick(data[extent.start : extent.stop])


@pytest.mark.parametrize(("name", "data"), CASES)
def test_structure_and_envelope(name: str, data: bytes) -> None:
    tree, entity = scan(data), second.read(data)
    assert second.tree_of(structure.bodystructure(tree.root, utf8=True)) == second.bodystructure(entity)
    assert second.tree_of(envelope.envelope(tree.root.header, utf8=True)) == second.envelope(entity.header)


@pytest.mark.parametrize(("name", "data"), CASES)
def test_sections(name: str, data: bytes) -> None:
    made = summarize(data)
    tree, root = Scan.unpack(made.packed), second.read(data)
    assert taken(data, tree, Section()) == data
    wanted: dict[tuple[int, ...], Any] = {(): root}
    for count, path in enumerate(second.paths(root)):
        if count < MOST or not count % 997:
            wanted[path] = second.descend(root, path)
    for path, entity in wanted.items():
        if path:
            whole = path == (1,) and root.kind != "multipart"
            assert taken(data, tree, Section(path)) == entity.body
            assert taken(data, tree, Section(path, Kind.MIME)) == (root.header if whole else entity.header)
            part = tree.part(path)
            assert part is not None
            if not part.children:
                plain = second.decoded(entity.body, entity.encoding)
                known = transfer.known(part.content.encoding)
                assert (transfer.decode(entity.body, part.content.encoding) if known else None) == plain
        message = root if not path else entity.children[0] if entity.kind == "message" else None
        header = None if message is None else message.header
        assert taken(data, tree, Section(path, Kind.HEADER)) == header
        assert taken(data, tree, Section(path, Kind.TEXT)) == (None if message is None else message.body)
        for kind in (Kind.FIELDS, Kind.FIELDS_NOT):
            picked = None if header is None else second.picked(header, NAMES, kind is Kind.FIELDS_NOT)
            assert taken(data, tree, Section(path, kind, tuple(NAMES))) == picked
    beyond = (*list(wanted)[-1], 99_999)
    assert taken(data, tree, Section(beyond)) is None


@pytest.mark.parametrize(("name", "data"), CASES[::7])
def test_partials(name: str, data: bytes) -> None:
    tree = scan(data)
    for path in [(), *list(second.paths(second.read(data)))[:5]]:
        extent = sections.resolve(tree, Section(path))
        assert extent is not None
        whole = data[extent.start : extent.stop]
        for offset, count in ((0, 1), (3, 10), (0, 1 << 40), (len(whole), 5), (len(whole) + 9, 1)):
            cut = extent.partial(offset, count)
            assert data[cut.start : cut.stop] == whole[offset : offset + count]


def test_pieces_give_the_same() -> None:
    for name, data in MESSAGES[::5]:
        if len(data) < 20_000:
            summarizer = Summarizer()
            for at in range(0, len(data), 7):
                summarizer.feed(data[at : at + 7])
            assert summarizer.finish() == summarize(data), name
