"""Mail on both sides of a synchronising client: a Maildir here, IMAP there, and how to compare them."""

from __future__ import annotations

import imaplib
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.support.servers import PASSWORD, RunningServer, need, run

Messages = dict[str, tuple[str, bytes]]
"""By Message-ID: flags as Maildir writes them, and the content with LF."""

_ADDED = re.compile(rb"(?m)^(X-TUID|X-getmail-[a-z-]+|Return-Path): .*\n")
"""What isync adds to whatever it copies, in order to find it again, and getmail."""

_ID = re.compile(rb"(?m)^Message-ID: (\S+)")

_LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T"}

_BODIES = (
    b"Hello.\r\n",
    b".\r\n..\r\n.leading dots\r\nFrom the start of a line\r\n",
    "Grüße, 日本語, \u00a0\r\n".encode(),
    b"x" * 900 + b"\r\n" + b"y" * 998 + b"\r\n",
    b"trailing space \r\n\ttab\r\n\r\n\r\n",
    b"--b\r\nContent-Type: text/plain\r\n\r\npart\r\n"
    b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC/w==\r\n--b--\r\n",
    b"".join(b"line %d of a long letter\r\n" % number for number in range(20_000)),
)


def letters(count: int = 0) -> Iterator[bytes]:
    """Messages with ids 1, 2, ...: seven that are awkward each in its way, or many small ones."""
    bodies = (b"Small letter %d.\r\n" % number for number in range(count)) if count else iter(_BODIES)
    for number, body in enumerate(bodies, 1):
        kind = b'multipart/mixed; boundary="b"' if body.startswith(b"--b") else b"text/plain; charset=utf-8"
        yield (
            b"From: Someone <someone@example.org>\r\nTo: alice@example.test\r\nSubject: Letter %d\r\n"
            b"Date: Mon, 7 Feb 2022 21:52:25 -0800\r\nMessage-ID: <%d@example.org>\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: %b\r\n\r\n" % (number, number, kind)
        ) + body


def append(client: imaplib.IMAP4, mailbox: str, messages: Iterable[bytes]) -> None:
    """By MULTIAPPEND, a hundred at a time."""
    waiting = iter(messages)
    while some := list(islice(waiting, 100)):
        literals = b"".join(b" {%d+}\r\n%b" % (len(one), one) for one in some)
        client.send(b"M APPEND %b%b\r\n" % (mailbox.encode(), literals))
        while not (line := client.readline()).startswith(b"M "):
            assert line
        assert line.startswith(b"M OK"), line
    client.noop()


@dataclass(frozen=True)
class Box:
    """A Maildir."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> Box:
        for part in ("cur", "new", "tmp"):
            (path / part).mkdir(parents=True)
        return cls(path)

    def files(self) -> Iterator[tuple[Path, str]]:
        for part in ("new", "cur"):
            for path in (self.path / part).iterdir():
                yield path, path.name.partition(":2,")[2]

    def fill(self, messages: Iterable[bytes]) -> None:
        """As new mail."""
        for number, message in enumerate(messages):
            path = self.path / "new" / f"1600000000.{number}.x"
            path.write_bytes(message.replace(b"\r\n", b"\n"))

    def find(self, message_id: str) -> Path:
        wanted = f"Message-ID: {message_id}".encode()
        return next(
            path for path, _ in self.files() if wanted in path.read_bytes()[:2000].replace(b"\r", b"")
        )

    def flag(self, message_id: str, flags: str) -> None:
        _rename(self.find(message_id), self, flags)

    def move(self, message_id: str, other: Box) -> None:
        """As a mail reader does it: under a name of no synchronisation."""
        path = self.find(message_id)
        path.rename(other.path / "new" / f"1700000000.{path.name.partition('.')[2].partition(',')[0]}")


def _rename(path: Path, box: Box, flags: str) -> None:
    path.rename(box.path / "cur" / (path.name.partition(":2,")[0] + ":2," + flags))


def _id(content: bytes) -> str:
    found = _ID.search(content)
    assert found is not None
    return found[1].decode()


def near_messages(box: Box) -> Messages:
    found: Messages = {}
    for path, flags in box.files():
        content = _ADDED.sub(b"", path.read_bytes().replace(b"\r\n", b"\n"))
        found[_id(content)] = (flags, content)
    return found


def far_messages(client: imaplib.IMAP4, mailbox: str) -> Messages:
    found: Messages = {}
    count = int((client.select(mailbox)[1][0] or b"0").decode())
    if not count:
        return found
    for row in client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]:
        if isinstance(row, tuple):
            content = _ADDED.sub(b"", row[1].replace(b"\r\n", b"\n"))
            words = re.search(rb"FLAGS \(([^)]*)\)", row[0])
            assert words is not None
            flags = "".join(sorted(_LETTERS.get(word, "") for word in words[1].decode().split()))
            found[_id(content)] = (flags, content)
    assert len(found) == count
    return found


def change_far(client: imaplib.IMAP4, count: int) -> None:
    """Flags on a quarter, a tenth expunged, of what is there first."""
    client.select("INBOX")
    client.uid("STORE", f"1:{count // 4}", "+FLAGS.SILENT", "(\\Flagged)")
    client.uid("STORE", f"1:{count // 10}", "+FLAGS.SILENT", "(\\Deleted)")
    client.expunge()


def change_near(box: Box, count: int) -> None:
    """Flags on a quarter, a tenth deleted, of what is there last; a twentieth new."""
    for path, _ in list(box.files()):
        number = int(_id(path.read_bytes()).strip("<").partition("@")[0])
        if number > count - count // 10:
            _rename(path, box, "T")
        elif number > count - count // 4:
            _rename(path, box, "RS")
    for number in range(count // 20):
        (box.path / "new" / f"1700000000.{number}.x").write_bytes(
            b"Subject: from here\nMessage-ID: <new%d@example.org>\n\nNew letter %d.\n" % (number, number)
        )


def mbsync(server: RunningServer, alias: str, folder: Path) -> Callable[[], None]:
    """A run of isync between the person's mailboxes and Maildirs under folder/mail."""
    program = need("mbsync")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    newer = found is not None and (int(found[1]), int(found[2])) >= (1, 5)
    rc = folder / "mbsyncrc"
    (folder / "mail").mkdir()
    rc.write_text(
        f"""FSync no

IMAPAccount a
Host 127.0.0.1
Port {server.port("imap")}
User {server.address(alias)}
Pass {PASSWORD}
{"TLSType" if newer else "SSLType"} None

IMAPStore far
Account a

MaildirStore near
Path {folder}/mail/
Inbox {folder}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns INBOX Work
Create Both
Expunge Both
Sync All
SyncState *
"""
    )
    return lambda: run(program, "-c", str(rc), "c", timeout=110) and None
