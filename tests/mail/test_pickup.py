"""The pickup folder: what a file says of its envelope, and that each file is one message."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from imsd.errors import MalformedMessage, StoreFull
from imsd.mail.delivery import Delivery
from imsd.mail.pickup import PIECE, Dropped, Pickup, parse
from imsd.mail.policy import Policy
from imsd.settings import PAGES, LiveSettings
from imsd.settings.routing import Rerouting
from imsd.store import messages, spool
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX
from imsd.store.pickup import Claimed, PickupFolder
from imsd.summaries import Summaries
from tests.mail.fakes import FakeDirectory
from tests.support.mail import make_account
from tests.support.stores import run

LETTER = b"From: a@example.org\nTo: Alice <alice@example.test>\nSubject: x\n\nbody\n"

FILES: dict[str, tuple[bytes, str, list[str]]] = {
    "envelope before the header": (
        b"X-Sender: <s@example.org>\nX-Receiver: one@example.test\nx-receiver: <two@example.test>\n" + LETTER,
        "s@example.org",
        ["one@example.test", "two@example.test"],
    ),
    "null path": (b"X-Sender: <>\nX-Receiver: one@example.test\n" + LETTER, "", ["one@example.test"]),
    "from the header": (LETTER, "a@example.org", ["alice@example.test"]),
    "Sender wins": (
        b"From: a@example.org, b@example.org\nSender: b@example.org\nCc: c@example.test\n"
        b"Bcc: d@example.test, c@example.test\n\nbody\n",
        "b@example.org",
        ["c@example.test", "d@example.test"],
    ),
    "names without a domain": (
        b"X-Sender: cron\nX-Receiver: root\n" + LETTER,
        "cron@example.test",
        ["root@example.test"],
    ),
    "header names without a domain": (
        b"From: daemon\nTo: root, Nobody at all <>, bob@example.org\n\nbody\n",
        "daemon@example.test",
        ["root@example.test", "bob@example.org"],
    ),
    "CRLF": (LETTER.replace(b"\n", b"\r\n"), "a@example.org", ["alice@example.test"]),
}


@pytest.mark.parametrize(("data", "sender", "recipients"), FILES.values(), ids=list(FILES))
def test_envelope(data: bytes, sender: str, recipients: list[str]) -> None:
    found: Dropped = parse(data, "example.test")
    assert found.reverse_path == sender
    assert [str(path) for path in found.recipients] == recipients
    assert not found.content.lower().startswith(b"x-")
    assert b"\n" not in found.content.replace(b"\r\n", b"")


def test_blanks_in_a_line_cost_no_time() -> None:
    """A pattern looked for the end at each of them, and nobody else's thread ran meanwhile."""
    blanks = b" " * 100_000
    began = time.process_time()
    with pytest.raises(MalformedMessage):
        parse(b"X-Sender: a" + blanks + b"b\nX-Receiver: one@example.test\n" + LETTER)
    found = parse(
        b"X-Sender \t:" + blanks + b"<a@b.test>" + blanks + b"\nX-Receiver:one@example.test \n" + LETTER
    )
    assert (found.reverse_path, str(found.recipients[0])) == ("a@b.test", "one@example.test")
    assert time.process_time() - began < 1


def test_a_header_is_as_long_as_any_other(folder: Folder) -> None:
    body = b"X-Sender: a@b.test\nX-Receiver: alice@example.test\n\nTo: x@far.test\n" + b"line\n" * 100_000
    assert [str(path) for path in parse(body).recipients] == ["alice@example.test"]
    (folder.root / "body").write_bytes(body)
    (folder.root / "header").write_bytes(body.replace(b"\n\n", b"\n").replace(b"line\n", b"X: y\n"))
    folder.look()
    assert folder.names() == [] and len(folder.archived()) == len(folder.inbox()) == 1


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_line_ends_at_the_seam_of_two_pieces(end: bytes) -> None:
    for length in range(PIECE - 3, PIECE + 3):
        data = b"X" * (length - 3) + b": y" + end * 2 + b"z" * PIECE + end
        found = parse(b"X-Sender: <>\r\nX-Receiver: <a@b.test>\r\n" + data)
        assert found.content == data.replace(end, b"\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: nobody\n\nbody\n",
        b"From: a@example.org\n\nbody\n",
        b"X-Sender: a@example.org\nX-Receiver: not an address\n\nbody\n",
        b"X-Receiver: one@example.test\nSubject: from nobody\n\nbody\n",
        b"\x00\xff" * 500,
    ],
)
def test_no_envelope(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(data)


class Folder:
    """A pickup on a store with alice."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self.directory = FakeDirectory()
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.settings = LiveSettings(PAGES)
        self.delivery = Delivery(database, self.directory, self.settings)  # type: ignore[arg-type]
        self.alice = make_account(database, self.directory.add("alice"))
        self.root = database.home / "pickup"
        self.pickup = self.another()
        self.root.mkdir()

    def another(self) -> Pickup:
        """As made at a start."""
        return Pickup(
            self.db, self.delivery, Policy(self.directory, self.settings), Blobs(self.db),  # type: ignore[arg-type]
            Summaries(self.clock), self.settings, "mail.example.test", self.clock,
        )  # fmt: skip

    def look(self) -> None:
        run(self.pickup.look())

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir() if path.name != "archive")

    def archived(self) -> list[Path]:
        return list((self.root / "archive").iterdir())

    def inbox(self) -> list[bytes]:
        rows = run(self.db.read(messages.rows, self.alice, INBOX, list(range(1, 100))))
        return [run(Blobs(self.db).read(row.blob)) for row in rows]

    def queue(self) -> list[tuple[str, str]]:
        return [
            (message.reverse_path, each.address)
            for message in run(self.db.read(spool.listed))
            for each in run(self.db.read(spool.recipients_of, message.id))
        ]


@pytest.fixture
def folder(database: Database) -> Folder:
    return Folder(database)


def test_a_file_becomes_a_message(folder: Folder) -> None:
    (folder.root / "one").write_bytes(LETTER.replace(b"Subject", b"Bcc: bob@far.test\nSubject"))
    folder.look()
    assert folder.names() == []
    (content,) = folder.inbox()
    assert content.endswith(b"\r\n\r\nbody\r\n")
    assert b"Message-ID: <" in content and b"Date: " in content and b"Bcc" not in content
    assert folder.queue() == [("a@example.org", "bob@far.test")]


def test_the_routing_table_holds_for_files_too(folder: Folder) -> None:
    table = '[{"domain": "old.test", "action": "reroute:new.test"}]'
    folder.settings.replace({"routing.table": table})
    folder.directory.domains.table = folder.settings[Rerouting].rows
    (folder.root / "one").write_bytes(b"X-Sender: a@example.org\nX-Receiver: b@old.test\n" + LETTER)
    folder.look()
    assert folder.queue() == [("a@example.org", "b@new.test")]


def test_unknown_recipients_are_told_by_a_report(folder: Folder) -> None:
    (folder.root / "one").write_bytes(b"X-Sender: a@example.org\nX-Receiver: gone@example.test\n" + LETTER)
    folder.look()
    assert folder.queue() == [("a@example.org", "gone@example.test")]


def test_accounts_of_the_system_are_the_postmasters(folder: Folder) -> None:
    """What cron writes to root is read by somebody, not reported to the same nobody."""
    folder.directory.known["postmaster@example.test"] = folder.directory.known["alice@example.test"]
    cron = b"X-Sender: <root>\nX-Receiver: <root>\nFrom: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nran\n"
    (folder.root / "one").write_bytes(cron)
    folder.look()
    (content,) = folder.inbox()
    assert b"From: root@example.test (Cron Daemon)\r\nTo: root@example.test\r\n" in content
    assert folder.queue() == []


@pytest.mark.parametrize("name", [".hidden", "half.tmp"])
def test_what_is_being_written_stays(folder: Folder, name: str) -> None:
    (folder.root / name).write_bytes(LETTER)
    (folder.root / "empty").touch()
    (folder.root / "folder").mkdir()
    (folder.root / "link").symlink_to(folder.root / name)
    folder.look()
    assert folder.names() == sorted([name, "empty", "folder", "link"])
    assert folder.inbox() == []


def test_what_cannot_be_understood_is_archived(folder: Folder) -> None:
    (folder.root / "garbage").write_bytes(b"\x00" * 10_000)
    folder.look()
    assert folder.names() == []
    (archived,) = folder.archived()
    assert archived.read_bytes() == b"\x00" * 10_000


def test_what_is_too_large_stays_until_it_may_come(folder: Folder) -> None:
    (folder.root / "large").write_bytes(LETTER + b"x" * 5_000 + b"\n")
    folder.settings.replace({"ims.size_limit_kb": "1"})
    folder.look()
    assert folder.names() == ["large"]
    folder.settings.replace({})
    folder.look()
    assert folder.names() == ["large"], "it is not tried again at once"
    folder.clock.advance(61)
    folder.look()
    assert folder.names() == []
    assert len(folder.inbox()) == 1


def test_a_file_that_cannot_be_read_keeps_no_other_waiting(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = PickupFolder.read

    def guarded(self: PickupFolder, claimed: Claimed, most: int) -> bytes:
        if claimed.name == "a":
            raise PermissionError(13, "Permission denied")
        return read(self, claimed, most)

    monkeypatch.setattr(PickupFolder, "read", guarded)
    for name in ("a", "b"):
        (folder.root / name).write_bytes(LETTER)
    folder.look()
    folder.look()
    assert folder.names() == ["a"]
    assert len(folder.inbox()) == 1


def test_what_is_no_file_of_the_folder_is_not_followed_and_keeps_none_waiting(
    folder: Folder, tmp_path: Path
) -> None:
    """Others may write there: a link led anywhere, and a pipe or a link to nothing stopped all files."""
    secret = tmp_path / "secret"
    secret.write_bytes(LETTER)
    (folder.root / ".claimed-1-a").symlink_to(secret)
    (folder.root / ".claimed-2-b").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder.root / ".claimed-3-c")
    (folder.root / ".claimed-4\udcff-d").write_bytes(LETTER)
    (folder.root / ".claimed-5'\n-e").write_bytes(LETTER)
    odd = folder.names()
    (folder.root / "good").write_bytes(LETTER)
    folder.look()
    assert folder.names() == odd
    assert len(folder.inbox()) == 1
    with pytest.raises(OSError):
        PickupFolder(folder.db.home).read(Claimed("3", "c", 1), 1)
    with pytest.raises(OSError):
        PickupFolder(folder.db.home).claim(".claimed-1-a", "Q")


def test_a_file_over_which_we_stumble_keeps_no_other_waiting(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbling(data: bytes, domain: str = "") -> Dropped:
        if b"stone" in data:
            raise ZeroDivisionError
        return parse(data, domain)

    (folder.root / ".claimed-1-a").write_bytes(LETTER + b"stone")
    (folder.root / "b").write_bytes(LETTER)
    with monkeypatch.context() as patch:
        patch.setattr("imsd.mail.pickup.parse", stumbling)
        folder.look()
        (folder.root / "c").write_bytes(LETTER)
        folder.look()
    assert folder.names() == [".claimed-1-a"] and len(folder.inbox()) == 2
    folder.clock.advance(3600)
    folder.look()
    assert folder.names() == [] and len(folder.inbox()) == 3


def test_the_owner_of_the_folder_can_read_what_others_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    synced: list[bool] = []
    monkeypatch.setattr("imsd.store.pickup.os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    monkeypatch.setattr("imsd.store.pickup.os.fchown", refused)
    monkeypatch.setattr("imsd.store.pickup.os.sync", lambda: synced.append(True))
    monkeypatch.setattr("imsd.store.pickup.sync_folder", refused)
    pickup = PickupFolder(tmp_path)
    pickup.prepare()
    pickup.drop(LETTER)
    (name,) = pickup.waiting(10)
    assert (pickup.root / name).stat().st_mode & 0o777 == 0o644
    assert synced == [True]


def test_a_full_store_leaves_the_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise StoreFull

    (folder.root / "one").write_bytes(LETTER)
    with monkeypatch.context() as patch:
        patch.setattr(folder.delivery, "accept", full)
        folder.look()
    assert folder.names() == ["one"]


def test_a_process_that_died_before_the_commit(folder: Folder) -> None:
    (folder.root / ".claimed-Q1-one").write_bytes(LETTER)
    folder.look()
    assert folder.names() == []
    assert len(folder.inbox()) == 1


def test_a_process_that_died_after_the_commit(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.root / "one").write_bytes(LETTER)
    with monkeypatch.context() as patch:
        patch.setattr(folder.pickup._folder, "finish", lambda claimed: None)
        folder.look()
    assert len(folder.names()) == 1 and len(folder.inbox()) == 1
    folder.pickup = folder.another()
    folder.look()
    assert folder.names() == []
    assert len(folder.inbox()) == 1, "not twice"


def test_switched_off(folder: Folder) -> None:
    (folder.root / "one").write_bytes(LETTER)
    folder.settings.replace({"pickup.enabled": "false"})
    folder.look()
    assert folder.names() == ["one"]


def test_what_is_said_of_reports() -> None:
    """RFC 3461, after an address in brackets."""
    data = (
        b"X-Sender: <s@example.org> RET=HDRS ENVID=a+2Bb\nX-Receiver: <one@example.test> NOTIFY=SUCCESS,DELAY"
        b" ORCPT=rfc822;was@old.test\nX-Receiver: two@example.test\n" + LETTER
    )
    found = parse(data)
    assert (found.reverse_path, found.ret, found.envid) == ("s@example.org", "HDRS", "a+b")
    assert [str(path) for path in found.recipients] == ["one@example.test", "two@example.test"]
    one, two = found.said
    assert (one.notify, one.orcpt) == (("SUCCESS", "DELAY"), "was@old.test") and not two.notify


@pytest.mark.parametrize(
    "said", [b"NOTIFY=MAYBE", b"RET=FULL", b"SIZE=1", b"x", b"NOTIFY=NEVER NOTIFY=NEVER"]
)
def test_what_cannot_be_said_of_a_recipient(said: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse(b"X-Sender: <>\nX-Receiver: <one@example.test> " + said + b"\n" + LETTER)
