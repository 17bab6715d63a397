"""Maildir trees, mbox files and .eml files: what is written is read again, and others' trees too."""

from __future__ import annotations

import mailbox
from pathlib import Path

import pytest

from imsd.ctl.mailfiles import Letter, MaildirTree, MboxFiles, read, with_crlf

WHEN = 1_700_000_000_000_000
PLAIN = b"From: a@example.org\r\nSubject: one\r\n\r\nHello\r\n"
QUOTED = b"From: a@example.org\r\nSubject: two\r\n\r\nFrom here on\r\n>From there\r\n\r\nFrom me\r\n"
LETTERS = [
    Letter("INBOX", PLAIN, ("\\Seen",), WHEN),
    Letter("INBOX", QUOTED, ("\\Answered", "\\Flagged"), WHEN),
    Letter("Sent/2026", PLAIN, (), WHEN),
    Letter("Grüße", QUOTED, ("\\Draft",), WHEN),
]


def known(letters: list[Letter]) -> list[tuple[str, bytes, frozenset[str], int | None]]:
    return sorted((one.folder, one.data, frozenset(one.flags), one.date) for one in letters)  # type: ignore[type-var]


@pytest.mark.parametrize("kind", [MaildirTree, MboxFiles])
def test_what_is_written_is_read_again(kind: type[MaildirTree | MboxFiles], tmp_path: Path) -> None:
    writer = kind(tmp_path)
    writer.folder("Empty")
    for letter in LETTERS:
        writer.add(letter)
    assert known(list(read(tmp_path))) == known(LETTERS)


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    tree, files = MaildirTree(tmp_path / "tree"), MboxFiles(tmp_path / "files")
    for letter in LETTERS[:2]:
        tree.add(letter)
        files.add(letter)
    there = mailbox.Maildir(tmp_path / "tree/INBOX", create=False)
    assert sorted(one.get_flags() for one in there) == ["FR", "S"]
    subjects = [one["subject"] for one in mailbox.mbox(tmp_path / "files/INBOX.mbox", create=False)]
    assert subjects == ["one", "two"]


def test_maildir_plus_plus(tmp_path: Path) -> None:
    for name in ("", ".Sent", ".Sent.2026", ".Gr&APwA3w-e"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / name / part).mkdir(parents=True, exist_ok=True)
    (tmp_path / "new/1.host").write_bytes(b"Subject: new\n\nbody\n")
    (tmp_path / ".Sent.2026/cur/2.host:2,FS").write_bytes(PLAIN)
    (tmp_path / ".Gr&APwA3w-e/cur/3.host,S=5:2,").write_bytes(PLAIN)
    (tmp_path / "tmp/4.host").write_bytes(b"half a message")
    found = {letter.folder: letter for letter in read(tmp_path)}
    assert set(found) == {"INBOX", "Sent/2026", "Grüße"}
    assert found["INBOX"].data == b"Subject: new\r\n\r\nbody\r\n"
    assert set(found["Sent/2026"].flags) == {"\\Seen", "\\Flagged"}
    assert {letter.folder for letter in read(tmp_path, "Old")} == {"Old", "Old/Sent/2026", "Old/Grüße"}


def test_mbox_fields_of_other_programs_become_flags(tmp_path: Path) -> None:
    file = tmp_path / "archive"
    file.write_bytes(
        b"From a@example.org Sat Nov 18 10:00:00 2023\n"
        b"Subject: one\nStatus: RO\nX-Status: AF\nX-Keywords: work $Label1\nX-UID: 7\n\n>From text\n\n"
        b"From b@example.org Sat Nov 18 11:00:00 2023\nSubject: two\n\nbody\n"
    )
    first, second = read(file, "Archive")
    assert first.data == b"Subject: one\r\n\r\nFrom text\r\n"
    assert set(first.flags) == {"\\Seen", "\\Answered", "\\Flagged", "work", "$Label1"}
    assert (second.folder, second.flags) == ("Archive", ())
    assert first.date is not None and second.date is not None
    assert second.date - first.date == 3600 * 1_000_000


def test_single_messages(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "a.eml").write_bytes(b"Date: Tue, 14 Nov 2023 22:13:20 +0000\nSubject: a\n\nbody")
    (tmp_path / "old/b.eml").write_bytes(PLAIN)
    found = {letter.folder: letter for letter in read(tmp_path)}
    assert set(found) == {"INBOX", "old"}
    assert found["INBOX"].date == WHEN


@pytest.mark.parametrize("name", ["../../etc", "..", ".hidden", "a/../b", "", "a//b"])
@pytest.mark.parametrize("kind", [MaildirTree, MboxFiles])
def test_no_folder_leads_out_of_the_target(
    kind: type[MaildirTree | MboxFiles], name: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    kind(target).add(Letter(name, PLAIN))
    assert {path.name for path in tmp_path.iterdir()} == {"target"}
    assert [letter.data for letter in read(target)] == [PLAIN]


@pytest.mark.parametrize(
    ("given", "sent"),
    [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb", b"a\r\nb"), (b"a\rb\r\r\n", b"a\r\nb\r\n\r\n"), (b"", b"")],
)
def test_line_ends(given: bytes, sent: bytes) -> None:
    assert with_crlf(given) == sent


@pytest.mark.parametrize(
    "text", [b"just some words\n", b"\nSubject: late\n\nx", b"\x89PNG\r\n\x1a\n:", b"a b: c\n"]
)
def test_what_has_no_header_is_no_message(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(text)
    with pytest.raises(ValueError, match=r"notes\.txt is no message: it does not begin with a header"):
        list(read(file))


def test_a_header_may_be_all_there_is(tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(b"Subject : old\n")
    assert [one.data for one in read(file)] == [b"Subject : old\r\n"]
