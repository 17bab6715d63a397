"""What a server announces stands in docs/protocols.md, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from protocols.imap4.verbs import AFTER_LOGIN, before_login
from protocols.ldap.special import FEATURES
from protocols.ldap.verbs import CONTROLS, EXTENDED
from protocols.pop3.verbs import VERBS as POP3
from protocols.sasl.mechanisms import MECHANISMS
from protocols.smtp.verbs import VERBS as SMTP

TEXT = (Path(__file__).parent.parent / "docs/protocols.md").read_text("utf-8")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def announced(title: str) -> set[str]:
    """The names in code in the third column of a section's table."""
    rows = [row.split("|") for row in section(title).splitlines() if row.startswith("|")]
    return {name for row in rows if len(row) == 6 for name in re.findall(r"`([^`]+)`", row[3])}


def verbs(title: str) -> set[str]:
    line = section(title).partition("Verbs: ")[2].partition(".")[0]
    return set(re.findall(r"`([^`]+)`", line))


@pytest.mark.parametrize(("title", "table"), [("SMTP", SMTP), ("POP3", POP3)])
def test_every_verb_is_documented(title: str, table: dict[bytes, object]) -> None:
    assert verbs(title) == {name.decode() for name in table}


def test_every_imap_capability_is_documented() -> None:
    names = {*before_login(True, False, ()), *AFTER_LOGIN}
    assert {name.decode() for name in names} == announced("IMAP4")


def test_every_sasl_mechanism_is_documented() -> None:
    assert set(MECHANISMS) == set(re.findall(r"\| `([A-Z0-9-]+)` \|", section("SASL")))


def test_every_ldap_control_and_extension_is_documented() -> None:
    assert {*CONTROLS, *EXTENDED, *FEATURES} == announced("LDAP")


def test_the_rest_of_the_document_is_in_form() -> None:
    statuses = re.findall(r"^\| [^|]+\| (yes|partial|no)\b", TEXT, re.MULTILINE)
    rows = [row for row in TEXT.splitlines() if row.startswith("| ") and not row.startswith(("| RFC", "|-"))]
    assert len(rows) > 50
    assert len(statuses) > 50
