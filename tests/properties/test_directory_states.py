"""Adds, changes, deletions, renames and searches in any order, against a simple model, on both databases.

The model is a tree of names with sets of values, compared as RFC 4518 says of the few kinds of text that are
drawn here. What it refuses the directory must refuse, with one of the reasons that hold, and nothing may
have changed; what it allows must be found by every filter, planned or not, under either suffix.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from imsd import errors
from imsd.directory.access import SERVER
from imsd.directory.changes import Change, Modification
from imsd.directory.directory import Directory
from imsd.store.database import Database
from protocols.ldap import dn, filters
from protocols.ldap.messages import Scope
from tests.directory.support import found, open_directory
from tests.support.stores import run

EXAMPLES = int(os.environ.get("IMSD_EXAMPLES", "25"))
NAMES = ("a", "A", "b c", "B  C", "é", "x,y", "#1", "a=b+c", " lead", "ﬁn", "fin")
TEXTS = (
    "one",
    "ONE",
    "two  words",
    "Two Words",
    "zwei",
    "é\u0301",
    "ﬁn",
    "fin",
    "a*b",
    "(x)",
    "\\",
    "one two",
)
SUFFIXES = ("o=Example", "dc=example,dc=test")
_BOXES = count()


def norm(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text.casefold()).casefold().split())


@dataclass
class Node:
    parent: Node | None
    name: str
    inner: bool
    cn: list[str] = field(default_factory=list)
    description: list[str] = field(default_factory=list)
    see: list[Node] = field(default_factory=list)

    def dn(self, suffix: str) -> str:
        if self.parent is None:
            return f"cn={dn.escape(self.name)},ou=Main,{suffix}"
        return f"cn={dn.escape(self.name)},{self.parent.dn(suffix)}"

    def under(self, other: Node) -> bool:
        at: Node | None = self
        while at is not None and at is not other:
            at = at.parent
        return at is other


class Model:
    def __init__(self, name: str) -> None:
        self.top = Node(None, name, True, [name])
        self.nodes = [self.top]

    def below(self, node: Node) -> list[Node]:
        return [each for each in self.nodes if each.parent is node]

    def taken(self, parent: Node, name: str, by: Node | None = None) -> bool:
        return any(norm(each.name) == norm(name) and each is not by for each in self.below(parent))


Wrong = set[type[errors.Refusal]]
Test = Callable[[Node], bool | None]


def texts_of(node: Node, attribute: str) -> list[str]:
    return node.cn if attribute == "cn" else node.description


def drawn_filter(model: Model) -> st.SearchStrategy[tuple[filters.Filter, Test]]:
    """A filter, and what it is of a node: True, False, or None for Undefined."""

    def equal(attribute: str, text: str) -> tuple[filters.Filter, Test]:
        return (
            filters.Equal(attribute, text.encode()),
            lambda node: norm(text) in map(norm, texts_of(node, attribute)),
        )

    def starting(attribute: str, text: str) -> tuple[filters.Filter, Test]:
        return (
            filters.Substrings(attribute, initial=text.encode()),
            lambda node: any(norm(each).startswith(norm(text)) for each in texts_of(node, attribute)),
        )

    def containing(attribute: str, text: str) -> tuple[filters.Filter, Test]:
        return (
            filters.Substrings(attribute, any=(text.encode(),)),
            lambda node: any(norm(text) in norm(each) for each in texts_of(node, attribute)),
        )

    def present(attribute: str) -> tuple[filters.Filter, Test]:
        return filters.Present(attribute), lambda node: bool(texts_of(node, attribute))

    def seeing(at: int) -> tuple[filters.Filter, Test]:
        other = model.nodes[at % len(model.nodes)]
        value = other.dn(SUFFIXES[at % 2]).encode()
        return filters.Equal("seeAlso", value), lambda node: other in node.see

    def unknown(text: str) -> tuple[filters.Filter, Test]:
        return filters.Equal("nonsense", text.encode()), lambda node: None

    def ordered(text: str) -> tuple[filters.Filter, Test]:
        return (
            filters.GreaterOrEqual("description", text.encode()),
            lambda node: any(norm(each) >= norm(text) for each in node.description),
        )

    def of_one(at: int) -> tuple[filters.Filter, Test]:
        """All that one node holds: it at least is found."""
        node = model.nodes[at % len(model.nodes)]
        facts = [
            equal(attribute, text)
            for attribute in ("cn", "description")
            for text in texts_of(node, attribute)
        ]
        return joined(facts, True)

    plain = st.sampled_from([text for text in (*TEXTS, *NAMES) if text == text.strip()])
    words = st.sampled_from(["on", "wo", "é", "fi", "a", "*", "(", "b c", "e w"])
    attribute = st.sampled_from(["cn", "description"])
    leaf = st.one_of(
        st.builds(equal, attribute, plain),
        st.builds(starting, attribute, words),
        st.builds(containing, attribute, words.filter(lambda text: " " not in text)),
        st.builds(present, attribute),
        st.builds(seeing, st.integers(0, 30)),
        st.builds(unknown, plain),
        st.builds(ordered, plain),
        st.builds(of_one, st.integers(0, 30)),
    )

    def negated(part: tuple[filters.Filter, Test]) -> tuple[filters.Filter, Test]:
        def test(node: Node) -> bool | None:
            one = part[1](node)
            return None if one is None else not one

        return filters.Not(part[0]), test

    def joined(parts: list[tuple[filters.Filter, Test]], every: bool) -> tuple[filters.Filter, Test]:
        def test(node: Node) -> bool | None:
            values = [part[1](node) for part in parts]
            decides = not every
            if decides in values:
                return decides
            return None if None in values else every

        kind = filters.And if every else filters.Or
        return kind(tuple(part[0] for part in parts)), test

    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(negated, inner), st.builds(joined, st.lists(inner, max_size=3), st.booleans())
        ),
        max_leaves=4,
    )


def machine(directory: Directory) -> type[RuleBasedStateMachine]:
    at = st.integers(0, 30)
    suffix = st.sampled_from(SUFFIXES)

    class Tree(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.model = Model(f"box{next(_BOXES)}")
            top = self.model.top
            self._add(top.dn(SUFFIXES[0]), "container", [])

        def _add(self, name: str, kind: str, description: list[str]) -> None:
            given = [("objectClass", [kind.encode()])]
            if description:
                given.append(("description", [text.encode() for text in description]))
            run(directory.add_entry(name, given, SERVER))

        def pick(self, number: int) -> Node:
            return self.model.nodes[number % len(self.model.nodes)]

        def expect(self, wrong: Wrong, work: Callable[[], Any]) -> bool:
            """Done where nothing is wrong, else refused for one of the reasons."""
            if not wrong:
                work()
                return True
            with pytest.raises(tuple(wrong)):
                work()
            return False

        @rule(
            at=at, name=st.sampled_from(NAMES), inner=st.booleans(), suffix=suffix,
            texts=st.lists(st.sampled_from(TEXTS), max_size=2),
        )  # fmt: skip
        def add(self, at: int, name: str, inner: bool, suffix: str, texts: list[str]) -> None:
            above = self.pick(at)
            made = Node(above, name, inner, [name], texts)
            wrong: Wrong = set()
            if not above.inner:
                wrong.add(errors.NamingViolation)
            if self.model.taken(above, name):
                wrong.add(errors.EntryExists)
            if len(set(map(norm, texts))) < len(texts):
                wrong.add(errors.AttributeOrValueExists)
            kind = "container" if inner else "organizationalRole"
            if self.expect(wrong, lambda: self._add(made.dn(suffix), kind, texts)):
                self.model.nodes.append(made)

        @rule(
            at=at, suffix=suffix,
            changes=st.lists(
                st.tuples(
                    st.sampled_from([Change.ADD, Change.DELETE, Change.REPLACE]),
                    st.sampled_from(["cn", "description"]),
                    st.lists(st.sampled_from(TEXTS), max_size=2),
                ),
                min_size=1, max_size=3,
            ),
        )  # fmt: skip
        def modify(self, at: int, suffix: str, changes: list[tuple[Change, str, list[str]]]) -> None:
            node = self.pick(at)
            after = {"cn": list(node.cn), "description": list(node.description)}
            wrong: Wrong = set()
            for change, attribute, texts in changes:
                wrong |= _applied(after, node, change, attribute, texts)
            modifications = [
                Modification(change, attribute, tuple(text.encode() for text in texts))
                for change, attribute, texts in changes
            ]
            if self.expect(
                wrong, lambda: run(directory.modify_entry(node.dn(suffix), modifications, SERVER))
            ):
                if norm(node.name) not in map(norm, after["cn"]):
                    after["cn"].append(node.name)
                node.cn, node.description = after["cn"], after["description"]

        @rule(at=at, to=at, suffix=suffix, adding=st.booleans())
        def see(self, at: int, to: int, suffix: str, adding: bool) -> None:
            node, other = self.pick(at), self.pick(to)
            if node.inner:
                return
            wrong: Wrong = set()
            if adding and other in node.see:
                wrong.add(errors.AttributeOrValueExists)
            if not adding and other not in node.see:
                wrong.add(errors.NoSuchAttribute)
            change = Modification(
                Change.ADD if adding else Change.DELETE, "seeAlso", (other.dn(suffix).encode(),)
            )
            if self.expect(
                wrong, lambda: run(directory.modify_entry(node.dn(SUFFIXES[0]), [change], SERVER))
            ):
                if adding:
                    node.see.append(other)
                else:
                    node.see.remove(other)

        @rule(at=at, suffix=suffix)
        def delete(self, at: int, suffix: str) -> None:
            node = self.pick(at)
            if node is self.model.top:
                return
            wrong: Wrong = {errors.NotAllowedOnNonLeaf} if self.model.below(node) else set()
            if self.expect(wrong, lambda: run(directory.delete_entry(node.dn(suffix), SERVER))):
                self.model.nodes.remove(node)
                for each in self.model.nodes:
                    if node in each.see:
                        each.see.remove(node)

        @rule(at=at, to=st.none() | at, name=st.sampled_from(NAMES), delete_old=st.booleans(), suffix=suffix)
        def rename(self, at: int, to: int | None, name: str, delete_old: bool, suffix: str) -> None:
            node = self.pick(at)
            if node.parent is None:
                return
            above = node.parent if to is None else self.pick(to)
            wrong: Wrong = set()
            if above.under(node):
                wrong.add(errors.UnwillingToPerform)
            if not above.inner:
                wrong.add(errors.NamingViolation)
            if self.model.taken(above, name, node):
                wrong.add(errors.EntryExists)
            superior = None if to is None else above.dn(suffix)
            if self.expect(
                wrong,
                lambda: run(
                    directory.rename_entry(
                        node.dn(suffix), f"cn={dn.escape(name)}", delete_old, superior, SERVER
                    )
                ),
            ):
                if delete_old and norm(node.name) != norm(name):
                    node.cn = [each for each in node.cn if norm(each) != norm(node.name)]
                if norm(name) not in map(norm, node.cn):
                    node.cn.append(name)
                node.name, node.parent = name, above

        @rule(at=at, scope=st.sampled_from(list(Scope)), suffix=suffix, planned=st.booleans(), data=st.data())
        def search(self, at: int, scope: Scope, suffix: str, planned: bool, data: st.DataObject) -> None:
            for _ in range(3):
                self.look(self.pick(at), scope, suffix, planned, *data.draw(drawn_filter(self.model)))

        def look(
            self, base: Node, scope: Scope, suffix: str, planned: bool, item: filters.Filter, test: Test
        ) -> None:
            wanted = {
                normal(node.dn(suffix))
                for node in self.model.nodes
                if test(node) is True
                and (
                    node is base if scope is Scope.BASE
                    else node.parent is base if scope is Scope.ONE
                    else node.under(base) and (scope is not Scope.CHILDREN or node is not base)
                )
            }  # fmt: skip
            answer = found(directory, item, "1.1", base=base.dn(suffix), scope=scope, planned=planned)
            assert {normal(name) for name in answer} == wanted

        @invariant()
        def entries_are_as_the_model_says(self) -> None:
            suffix = SUFFIXES[len(self.model.nodes) % 2]
            answer = found(
                directory, "(objectClass=*)", "cn", "description", "seeAlso", "numSubordinates",
                base=self.model.top.dn(suffix),
            )  # fmt: skip
            shown = {normal(name): attributes for name, attributes in answer.items()}
            assert set(shown) == {normal(node.dn(suffix)) for node in self.model.nodes}
            for node in self.model.nodes:
                one = shown[normal(node.dn(suffix))]
                assert sorted(map(norm, one["cn"])) == sorted(map(norm, node.cn))
                assert sorted(one.get("description", [])) == sorted(node.description)
                assert {normal(name) for name in one.get("seeAlso", [])} == {
                    normal(other.dn(suffix)) for other in node.see
                }
                assert one["numSubordinates"] == [str(len(self.model.below(node)))]

    return Tree


def normal(name: str) -> str:
    return dn.parse(name).normal


def _applied(
    after: dict[str, list[str]], node: Node, change: Change, attribute: str, texts: list[str]
) -> Wrong:
    """One change of texts, done to `after`; what is wrong with it."""
    present = after[attribute]
    twice = len(set(map(norm, texts))) < len(texts)
    wrong: Wrong = set()
    match change:
        case Change.ADD:
            if not texts:
                return {errors.InvalidSyntax}
            if twice or set(map(norm, texts)) & set(map(norm, present)):
                wrong.add(errors.AttributeOrValueExists)
            present += texts
        case Change.REPLACE:
            if twice:
                wrong.add(errors.AttributeOrValueExists)
            after[attribute] = list(texts)
        case Change.DELETE:
            gone = list(map(norm, texts))
            if twice or not present or not set(gone) <= set(map(norm, present)):
                wrong.add(errors.NoSuchAttribute)
            if attribute == "cn" and present and (not texts or norm(node.name) in gone):
                wrong.add(errors.NotAllowedOnRdn)
            after[attribute] = [each for each in present if texts and norm(each) not in gone]
    return wrong


@pytest.fixture
def directory(database: Database) -> Iterator[Directory]:
    yield open_directory(database)


def test_the_directory_agrees_with_the_model(directory: Directory, database_url: str) -> None:
    examples = EXAMPLES if database_url == "sqlite" else max(EXAMPLES // 4, 5)
    run_state_machine_as_test(
        machine(directory),
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate),
        ),
    )  # fmt: skip
