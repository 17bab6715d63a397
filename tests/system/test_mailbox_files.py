"""imsctl mailbox: a Maildir goes in, is read over IMAP, and comes out as it was."""

from __future__ import annotations

import imaplib
import json
import mailbox
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

LARGE = b"From: a@example.org\r\nSubject: large\r\n\r\n" + b"0123456789\r\n" * 30_000


@pytest.fixture(scope="module")
def home(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.add_user("bob")
    yield one
    one.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Maildir++ with 150 messages in INBOX, some flagged, and a large one in a folder."""
    tree = mailbox.Maildir(tmp_path / "source")
    for number in range(150):
        letter = mailbox.MaildirMessage(f"From: a@example.org\nSubject: {number}\n\nbody {number}\n".encode())
        letter.set_subdir("cur")
        letter.set_flags("FS" if number % 3 == 0 else "")
        letter.set_date(1_700_000_000 + number)
        tree.add(letter)
    tree.add_folder("Work.2026").add(LARGE)
    return tmp_path / "source"


def report(home: RunningServer, *arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(home.imsctl("mailbox", *arguments, "--json").stdout)
    return found


def contents(path: Path) -> list[tuple[str, bytes]]:
    """(flags, octets with CRLF) of a Maildir's messages."""
    return sorted(
        (file.name.partition(":2,")[2], file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        for file in (path / "cur").iterdir()
    )


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_in_and_out(home: RunningServer, source: Path, tmp_path: Path, kind: str) -> None:
    who = home.address("alice" if kind == "maildir" else "bob")
    assert report(home, "import", who, str(source), "--dry-run")["stored"] == 151
    assert report(home, "import", who, str(source)) == {"stored": 151, "known": 0, "refused": []}
    assert report(home, "import", who, str(source)) == {"stored": 0, "known": 151, "refused": []}
    imap = imaplib.IMAP4("127.0.0.1", home.port("imap"))
    imap.login(who, PASSWORD)
    assert imap.select("INBOX")[1] == [b"150"]
    assert len(imap.search(None, "FLAGGED SEEN")[1][0].split()) == 50
    assert b"14-Nov-2023" in imap.fetch("1", "INTERNALDATE")[1][0]  # type: ignore[operator]
    assert imap.select("Work/2026")[1] == [b"1"]
    assert imap.fetch("1", "BODY[]")[1][0][1] == LARGE  # type: ignore[index]
    imap.logout()
    target = tmp_path / "target"
    exported = report(home, "export", who, str(target), "--format", kind)
    assert exported["messages"] == 151
    if kind == "maildir":
        assert contents(target / "INBOX") == contents(source)
        assert [data for _, data in contents(target / "Work/2026")] == [LARGE]
    # What came out goes into another folder whole.
    assert report(home, "import", who, str(target), "--folder", "Copy")["stored"] == 151
    names = {
        row["name"]: row["messages"]
        for row in json.loads(home.imsctl("mailbox", "folders", who, "--json").stdout)
    }
    assert (names["Copy/INBOX"], names["Copy/Work/2026"]) == (150, 1)


def test_nobody_and_nothing(home: RunningServer, tmp_path: Path) -> None:
    refused = home.imsctl("mailbox", "folders", "nobody@example.test", check=False)
    assert refused.returncode == 1 and "nobody called" in refused.stderr
    (tmp_path / "there").mkdir()
    (tmp_path / "there/file").touch()
    refused = home.imsctl("mailbox", "export", home.address("alice"), str(tmp_path / "there"), check=False)
    assert refused.returncode == 1 and "is not empty" in refused.stderr
