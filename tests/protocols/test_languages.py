"""Languages: which one is chosen, and that no text of the code is missing in any."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd import errors
from protocols import languages
from protocols.imap4 import responses
from protocols.languages import choose, translate
from protocols.phrases import PHRASES

ROOT = Path(__file__).parent.parent.parent
# Where texts for people stand that IMAP4 and POP3 show.
PLACES = [
    "protocols/errors.py", "protocols/imap4", "protocols/pop3", "protocols/sasl/converse.py",
    "protocols/sasl/interfaces.py", "protocols/sasl/plain.py", "protocols/sasl/prep.py",
    "protocols/sasl/scram.py", "imsd/errors.py", "imsd/auth/authenticator.py", "imsd/auth/hashing.py",
    "imsd/sessions/imap4", "imsd/sessions/pop3.py", "imsd/sessions/maildrops.py", "imsd/store/mailboxes.py",
    "imsd/store/names.py", "imsd/store/messages.py", "imsd/store/moving.py", "imsd/store/keywords.py",
    "imsd/store/marking.py", "imsd/store/jobs.py", "imsd/store/index.py", "imsd/store/blob_rows.py",
]  # fmt: skip
REFUSALS = {name for name, value in vars(errors).items() if isinstance(value, type)}
SPEAKERS = REFUSALS | {
    "BadSyntax", "BadExchange", "fail", "give_up", "refuse", "Refused", "_take", "No", "Completed", "say",
    "condition", "_bye", "Explained", "ok", "err", "listing",
}  # fmt: skip


def literal(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from literal(node.body)
        yield from literal(node.orelse)


def spoken(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            # super().__init__("..."): the text of an error's own class.
            if name in SPEAKERS or name == "__init__":
                for argument in [*node.args, *(word.value for word in node.keywords)]:
                    yield from literal(argument)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("default", "text"):
            yield from literal(node.value)


def texts() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for place in PLACES:
        path = ROOT / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for text in spoken(ast.parse(file.read_text("utf-8"))):
                if re.search("[A-Za-z]", text.replace("{}", "")):
                    found.setdefault(text, file)
    return found


@pytest.mark.parametrize("tag", ["de", "fr"])
def test_no_text_is_missing(tag: str) -> None:
    every = texts()
    assert len(every) > 150
    missing = {text: str(file.relative_to(ROOT)) for text, file in every.items() if not known(text)}
    assert not missing, f"not in protocols/phrases.py: {missing}"


def known(text: str) -> bool:
    # "user name expected" is "{} expected" of a phrase that stands there too.
    inner = text.removesuffix(" expected")
    return text in PHRASES or (inner != text and inner in PHRASES)


def test_every_refusal_is_put_into_words() -> None:
    for name in REFUSALS:
        text = getattr(errors, name).default
        assert translate(text, "de") != text or text.isupper()
        assert translate(text, "fr") != text


@pytest.mark.parametrize(("text", "phrases"), PHRASES.items())
def test_a_phrase_has_the_values_of_its_text(text: str, phrases: tuple[str, str]) -> None:
    for phrase in phrases:
        assert phrase.count("{}") == text.count("{}")
        assert phrase.isprintable() and phrase == phrase.strip()


@pytest.mark.parametrize(
    ("ranges", "tag"),
    [
        (["de"], "de"), (["DE-AT"], "de"), (["de-Latn-x-y"], "de"), (["fr-CA", "en-CA"], "fr"),
        (["MUL"], None), (["MUL", "en-GB"], "en"), (["i-default"], "i-default"), (["default"], "de"),
        (["*"], "de"), (["*-CH"], None), ([""], None), (["d\u00e9"], None), ([], None),
        (["zh-Hant", "fr"], "fr"),
    ],
)  # fmt: skip
def test_the_first_language_that_is_spoken_is_chosen(ranges: list[str], tag: str | None) -> None:
    assert choose(ranges, "de") == tag


def test_values_are_taken_over() -> None:
    assert translate("Expected a number of at most 7 at octet 12", "de") == (
        "Erwartet wird eine Zahl bis höchstens 7, bei Oktett 12"
    )
    assert translate("UID FETCH completed", "fr") == "UID FETCH terminé"
    assert translate("user name expected", "de") == "Benutzername erwartet"
    assert translate("Anything else", "fr") == "Anything else"


@given(st.text(), st.sampled_from(list(languages.NAMES)))
def test_any_text_is_one_line_of_utf_8(text: str, tag: str) -> None:
    line = responses.condition(b"a", b"NO", b"", text, tag)
    assert line.count(b"\r\n") == 1 and line.count(b"\n") == 1
    line.decode("utf-8")
