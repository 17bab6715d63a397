"""Protocol-Settings in the form of 5.5: read, written, checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.directory import protocols
from imsd.directory.protocols import SIGN, Format, ProtocolSettings
from imsd.errors import ConstraintViolation, InvalidSyntax
from imsd.store.database import Database
from tests.directory.support import open_directory
from tests.support.stores import run

# The examples of KB 168347 and KB 236983, with the section sign as |.
EXAMPLES = {
    "IMAP4|1|1|1|ISO-8859-1|0|1|1|0": ProtocolSettings(
        "IMAP4", True, True, Format.PLAIN, "ISO-8859-1", False, True, True, False
    ),
    "POP3|1|1|1|ISO-8859-1|0|||": ProtocolSettings("POP3", True, True, Format.PLAIN, "ISO-8859-1", False),
    "NNTP|1|1|3|||||": ProtocolSettings("NNTP", form=Format.UUENCODE),
    "LDAP|1|1||||||": ProtocolSettings("LDAP"),
    "HTTP|0|1||||||": ProtocolSettings("HTTP", enabled=False),
    "POP3|1|0|4|UTF-8|1|||": ProtocolSettings("POP3", True, False, Format.HTML, "UTF-8", True),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples(text: str) -> None:
    value = text.replace("|", SIGN)
    assert ProtocolSettings.parse(value) == EXAMPLES[text]
    assert str(EXAMPLES[text]) == value


@pytest.mark.parametrize(
    ("text", "enabled"), [("IMAP4|0", False), ("imap4|1|1|1", True), ("POP3|", True), ("POP3||0|1|x|0", True)]
)
def test_short_values_say_less(text: str, enabled: bool) -> None:
    assert ProtocolSettings.parse(text.replace("|", SIGN)).enabled is enabled


@pytest.mark.parametrize(
    "text", ["", "IMAP4", "SMTP|1", "IMAP4|2", "IMAP4|1|1|5", "IMAP4|1|1|1|x y", "IMAP4|1|1|1||yes"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSyntax):
        ProtocolSettings.parse(text.replace("|", SIGN))


def test_fields_behind_the_known_are_kept() -> None:
    value = SIGN.join(["IMAP4", "1", "1", "1", "", "", "", "", "", "new", "7"])
    assert str(ProtocolSettings.parse(value)) == value


@given(
    st.builds(
        ProtocolSettings,
        st.sampled_from(protocols.NAMES),
        st.booleans(),
        st.booleans(),
        st.sampled_from(Format),
        st.sampled_from(["", "UTF-8", "ISO-8859-1"]),
        *[st.none() | st.booleans()] * 4,
    )
)
def test_parse_of_write_is_identity(value: ProtocolSettings) -> None:
    assert ProtocolSettings.parse(str(value)) == value


@given(st.text(max_size=40))
def test_garbage_raises_a_refusal_alone(text: str) -> None:
    try:
        ProtocolSettings.parse(text)
    except InvalidSyntax:
        pass


def test_the_directory_takes_one_good_value_for_each_protocol(database: Database) -> None:
    directory = open_directory(database)
    alice = run(directory.add_user("alice@example.test", name="Alice"))
    run(directory.change(alice.dn, {"Protocol-Settings": [f"POP3{SIGN}0", f"IMAP4{SIGN}1{SIGN}1"]}))
    now = run(directory.person(alice.account))
    assert now is not None
    assert not protocols.of(now.protocols, "POP3").enabled
    assert protocols.of(now.protocols, "LDAP").enabled
    for wrong, error in (
        ([f"POP3{SIGN}0", f"POP3{SIGN}1"], ConstraintViolation),
        (["POP3 off"], InvalidSyntax),
    ):
        with pytest.raises(error):
            run(directory.change(alice.dn, {"Protocol-Settings": wrong}))
