"""What a server announces stands in docs/protocols.md, and its controls in docs/ims-controls.md."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from imsd.ctl import whole
from imsd.events import EVENTS
from imsd.settings import PAGES
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


# The controls of the Internet Mail Service -------------------------------------------------

TABLE = (Path(__file__).parent.parent / "docs/ims-controls.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in row.strip("|").split(" | ")]
    for row in TABLE.splitlines()
    if row.startswith("| ") and not row.startswith("| Control |")
]
SETTINGS = {f"{page.section}.{field}" for page in PAGES for field in page.model_fields}
OF_THE_SERVICE = (
    "ims", "routing", "smtp", "queue", "spool", "pickup", "hooks", "diagnostics", "protocol_log", "archive",
)  # fmt: skip


def named(column: int) -> list[str]:
    return [name for row in ROWS for name in re.findall(r"`([^`]+)`", row[column])]


def commands(of: click.Command, path: str = "imsctl") -> set[str]:
    found = {path}
    if isinstance(of, click.Group):
        for name, command in of.commands.items():
            found |= commands(command, f"{path} {name}")
    return found


def test_every_control_has_three_cells_and_what_shows_it() -> None:
    assert len(ROWS) > 80
    assert not [row for row in ROWS if len(row) != 3]
    # What is not there needs no test but a reason.
    assert not [row[0] for row in ROWS if not row[2] and not re.match(r"no( setting)?: .{20}", row[1])]


def test_every_name_of_a_control_is_a_setting_or_a_command() -> None:
    known = commands(whole())
    names = [name for name in named(1) if name[0] != "*"]
    assert not [
        name for name in names if name not in known and not any(fnmatch(each, name) for each in SETTINGS)
    ]


def test_every_setting_of_the_service_is_a_control() -> None:
    """A setting that was added needs a row of docs/ims-controls.md."""
    of_the_service = {name for name in SETTINGS if name.partition(".")[0] in OF_THE_SERVICE}
    assert not sorted(n for n in of_the_service if not any(fnmatch(n, each) for each in named(1)))


def test_what_shows_a_control_is_there() -> None:
    texts: dict[str, str] = {}
    missing = []
    for name in named(2):
        file, _, function = name.partition("::")
        path = Path(__file__).parent / file
        if file not in texts:
            texts[file] = path.read_text("utf-8") if path.exists() else ""
        if not re.search(rf"^def {re.escape(function)}\(", texts[file], re.MULTILINE):
            missing.append(name)
    assert not missing


# Events ------------------------------------------------------------------------------------


def test_every_event_of_the_log_is_documented_and_there() -> None:
    root = Path(__file__).parent.parent
    text = (root / "docs/events.md").read_text("utf-8")
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    # By the table of refusals in imsd.sessions.smtp.session, and by the kind of error in mail.relay.noticing.
    known = {3010, 3011, 4098, 4151, 10_000}
    for path in (*(root / "imsd").rglob("*.py"), *(root / "protocols").rglob("*.py")):
        source = path.read_text("utf-8")
        known |= {int(name) for name in re.findall(r"\.tell\(\s*(\d[\d_]*),", source)}
        for name in re.findall(r"event_id=(\w+)", source):
            if name.upper() == name and not name.isdigit() and name[0].isalpha():
                name = re.findall(rf"^{name}: Final = (\w+)", source, re.MULTILINE)[0]
            if name[0].isdigit():
                known.add(int(name))
    assert documented == known == EVENTS.keys()
