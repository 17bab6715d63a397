"""IMAP4 with real clients: imaplib, IMAPClient, mbsync, curl."""

from __future__ import annotations

import contextlib
import imaplib
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from tests.support.servers import PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system


def message(subject: str, body: str = "Hello.\r\n") -> bytes:
    return (
        "From: Someone <someone@example.org>\r\nTo: alice@example.test\r\n"
        f"Subject: {subject}\r\nDate: Mon, 7 Feb 2022 21:52:25 -0800\r\n"
        f"Message-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\n{body}"
    ).encode()


@contextlib.contextmanager
def client(server: RunningServer, who: str = "alice", tls: bool = False) -> Iterator[IMAPClient]:
    made = IMAPClient(
        "localhost" if tls else "127.0.0.1",
        server.port("imaps" if tls else "imap"),
        ssl=tls,
        ssl_context=server.tls() if tls else None,
        timeout=30,
    )
    try:
        made.login(server.address(who), PASSWORD)
        yield made
    finally:
        with contextlib.suppress(Exception):
            made.logout()


@pytest.fixture
def box(server: RunningServer, request: pytest.FixtureRequest) -> str:
    """A mailbox of the test's own."""
    name = request.node.name.replace("[", "-").replace("]", "")
    with client(server) as alice:
        alice.create_folder(name)
    return name


def test_imaplib_walks_through(server: RunningServer) -> None:
    with imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=30) as imap:
        assert imap.login(server.address("alice"), PASSWORD)[0] == "OK"
        assert imap.create("walk")[0] == "OK"
        status, data = imap.append("walk", "(\\Seen)", '"17-Jul-1996 02:44:25 -0700"', message("One"))
        assert status == "OK" and re.search(rb"APPENDUID \d+ 1", data[0])
        imap.append("walk", None, None, message("Two"))  # type: ignore[arg-type]
        assert imap.select("walk") == ("OK", [b"2"])
        assert imap.search(None, "UNSEEN") == ("OK", [b"2"])
        assert imap.search(None, "SUBJECT", '"one"') == ("OK", [b"1"])
        _, fetched = imap.fetch("1:2", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")
        assert b'INTERNALDATE "17-Jul-1996 09:44:25 +0000"' in fetched[0][0]
        assert fetched[0][1].endswith(message("One"))
        assert imap.store("1", "+FLAGS", "(\\Deleted $Label)")[0] == "OK"
        assert imap.copy("2", "INBOX")[0] == "OK"
        assert imap.expunge() == ("OK", [b"1"])
        assert imap.status("walk", "(MESSAGES UIDNEXT)")[1] == [b"walk (MESSAGES 1 UIDNEXT 3)"]
        assert imap.close()[0] == "OK"
        assert imap.rename("walk", "walked")[0] == "OK"
        assert imap.delete("walked")[0] == "OK"
        assert imap.delete("walked")[0] == "NO"
        assert imap.namespace()[0] == "OK"


def test_starttls_and_implicit_tls(server: RunningServer) -> None:
    with client(server, tls=True) as alice:
        assert b"STARTTLS" not in alice.capabilities()
    imap = imaplib.IMAP4("localhost", server.port("imap"), timeout=30)
    imap.starttls(server.tls())
    assert (
        imap.authenticate("PLAIN", lambda _: f"\0{server.address('alice')}\0{PASSWORD}".encode())[0] == "OK"
    )
    imap.logout()


def test_a_wrong_password_is_refused(server: RunningServer) -> None:
    with pytest.raises(LoginError, match="Authentication failed"):
        IMAPClient("127.0.0.1", server.port("imap"), ssl=False).login(server.address("bob"), "nonsense")


def test_names_in_any_language(server: RunningServer) -> None:
    with client(server) as alice:
        for name in ("Entwürfe", "日本語/メール", "Q&A", 'with "quotes" and \\'):
            alice.create_folder(name)
            assert name in {found for _, _, found in alice.list_folders()}
            alice.append(name, message("x"))
            assert alice.folder_status(name, ["MESSAGES"]) == {b"MESSAGES": 1}
            alice.delete_folder(name)


def test_imapclient_conversation(server: RunningServer, box: str) -> None:
    with client(server) as alice:
        for number in range(5):
            alice.append(box, message(f"Number {number}"), flags=[b"\\Flagged"] if number % 2 else [])
        alice.select_folder(box)
        assert alice.search(["FLAGGED"]) == [2, 4]
        data = alice.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "BODY[HEADER.FIELDS (SUBJECT)]", "FLAGS"])
        assert data[1][b"ENVELOPE"].subject == b"Number 0"
        assert data[2][b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Number 1\r\n\r\n"
        assert b"\\Seen" in data[1][b"FLAGS"]
        alice.add_flags([1], [b"$Work"])
        assert b"$Work" in alice.get_flags([1])[1]
        alice.create_folder(box + "/sub")
        alice.move([2, 3], box + "/sub")
        assert alice.search() == [1, 4, 5]
        assert alice.folder_status(box + "/sub", ["MESSAGES", "UNSEEN"]) == {b"MESSAGES": 2, b"UNSEEN": 1}
        alice.delete_messages([4])
        alice.uid_expunge([4])
        assert alice.search() == [1, 5]
        alice.rename_folder(box, box + "-renamed")
        assert alice.folder_exists(box + "-renamed/sub")


def test_delivered_mail_is_told_by_idle(server: RunningServer) -> None:
    with client(server) as alice:
        alice.select_folder("INBOX")
        before = alice.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"]
        alice.idle()
        server.deliver(message("by idle"), [server.address("alice")])
        told: list[Any] = []
        give_up = time.monotonic() + 10
        while not any(word == b"EXISTS" for _, word, *_ in told) and time.monotonic() < give_up:
            told += [entry for entry in alice.idle_check(timeout=5) if len(entry) == 2]
        assert (before + 1, b"EXISTS") in told
        alice.idle_done()
        uid = alice.search(["SUBJECT", "by idle"])[-1]
        content = alice.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"]
        assert content.startswith(b"Return-Path: <someone@example.org>\r\n")
        assert b"\r\nReceived: " in content and content.endswith(b"\r\n\r\nHello.\r\n")


def test_a_large_message_comes_back_as_it_was(server: RunningServer, box: str) -> None:
    body = "".join(f"{number:076d}\r\n" for number in range(60_000))
    with client(server) as alice:
        alice.append(box, message("large", body))
        alice.select_folder(box)
        found = alice.fetch([1], ["RFC822.SIZE", "BODY.PEEK[]", "BODY.PEEK[TEXT]<1000000.100000>"])[1]
        assert found[b"BODY[]"].endswith(message("large", body))
        assert found[b"RFC822.SIZE"] == len(found[b"BODY[]"])
        assert found[b"BODY[TEXT]<1000000>"] == body.encode()[1_000_000:1_100_000]


def test_a_mailbox_of_another_is_not_there(server: RunningServer, box: str) -> None:
    with client(server, "bob") as bob:
        assert box not in {name for _, _, name in bob.list_folders()}
        with pytest.raises(IMAPClientError):
            bob.select_folder(f"Other Users/alice/{box}")


class Model:
    """What a client that believes everything it is told knows of a mailbox."""

    def __init__(self, server: RunningServer, box: str) -> None:
        self.imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=30)
        self.imap.login(server.address("alice"), PASSWORD)
        self.uids: list[int | None] = []
        self.tag = 0
        self.command(f"SELECT {box}")

    def command(self, text: str) -> list[bytes]:
        """Sends a command, takes in what is told, gives the lines."""
        self.tag += 1
        tag = f"m{self.tag}".encode()
        self.imap.send(tag + b" " + text.encode() + b"\r\n")
        lines = []
        while True:
            line = self.imap.readline().rstrip(b"\r\n")
            lines.append(line)
            if line.startswith(tag + b" "):
                assert b" BAD " not in line and b"SERVERBUG" not in line, (text, line)
                return lines
            self.told(line, text)

    def told(self, line: bytes, text: str) -> None:
        words = line.split(b" ")
        if words[2:3] == [b"EXPUNGE"]:
            assert not text.startswith(("FETCH", "STORE", "SEARCH")), (text, line)
            del self.uids[int(words[1]) - 1]
        elif words[2:3] == [b"EXISTS"]:
            assert int(words[1]) >= len(self.uids), (text, line)
            self.uids += [None] * (int(words[1]) - len(self.uids))
        elif words[2:3] == [b"FETCH"]:
            number = int(words[1])
            assert number <= len(self.uids), (text, line)
            uid = re.search(rb"UID (\d+)", line)
            if uid is not None:
                known = self.uids[number - 1]
                assert known in (None, int(uid[1])), (text, line, known)
                self.uids[number - 1] = int(uid[1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_message_numbers_are_never_wrong(server: RunningServer, box: str, seed: int) -> None:
    """Three sessions change one mailbox at random; what each was told always agrees."""
    dice = random.Random(seed)
    with client(server) as alice:
        for number in range(20):
            alice.append(box, message(str(number)))
    models = [Model(server, box) for _ in range(3)]
    for _ in range(250):
        model = dice.choice(models)
        size = len(model.uids)
        one = dice.randint(1, size) if size else 0
        choice = dice.random()
        if choice < 0.15:
            model.command(f"APPEND {box} {{1+}}\r\nx")
        elif not size:
            model.command("NOOP")
        elif choice < 0.30:
            flag = dice.choice(["\\Deleted", "\\Seen", "k1"])
            model.command(f"STORE {one} +FLAGS ({flag})")
        elif choice < 0.40:
            model.command("EXPUNGE")
        elif choice < 0.50:
            model.command(f"COPY {one} {box}")
        elif choice < 0.60:
            flag = dice.choice(["\\Seen", "k2"])
            model.command(f"UID STORE 1:* -FLAGS.SILENT ({flag})")
        elif choice < 0.70:
            model.command(f"MOVE {one} {box}")
        elif choice < 0.80:
            model.command("SEARCH UNSEEN")
        elif choice < 0.90:
            model.command(f"FETCH {one}:* (UID FLAGS)")
        else:
            model.command("NOOP")
    for model in models:
        model.command("NOOP")
        if model.uids:
            model.command("FETCH 1:* (UID FLAGS)")
    assert models[0].uids == models[1].uids == models[2].uids
    for model in models:
        model.imap.logout()


def test_mbsync_goes_both_ways(server: RunningServer, box: str, tmp_path: Path) -> None:
    mbsync = need("mbsync")
    with client(server) as alice:
        for number in range(3):
            alice.append(box, message(f"Mail {number}"))
    local = tmp_path / "mail"
    (local / "x").mkdir(parents=True)
    configuration = tmp_path / "mbsyncrc"
    configuration.write_text(
        f"""IMAPAccount a
Host 127.0.0.1
Port {server.port("imap")}
User {server.address("alice")}
Pass {PASSWORD}
{_no_tls(mbsync)}

IMAPStore far
Account a

MaildirStore near
Path {local}/
Inbox {local}/inbox
SubFolders Verbatim

Channel c
Far :far:"{box}"
Near :near:copy
Create Near
Expunge Both
Sync All
SyncState *
"""
    )
    (local / "x").rmdir()
    run(mbsync, "-c", str(configuration), "c")
    files = [path for part in ("new", "cur") for path in (local / "copy" / part).iterdir()]
    assert len(files) == 3
    # A flag and a new message here, an expunge there.
    with client(server) as alice:
        alice.select_folder(box)
        alice.delete_messages([1])
        alice.expunge()
    (local / "copy/new/1700000000.x").write_bytes(message("From here").replace(b"\r\n", b"\n"))
    run(mbsync, "-c", str(configuration), "c")
    with client(server) as alice:
        alice.select_folder(box)
        subjects = {data[b"ENVELOPE"].subject for data in alice.fetch(alice.search(), ["ENVELOPE"]).values()}
    assert subjects == {b"Mail 1", b"Mail 2", b"From here"}
    files = [path for part in ("new", "cur") for path in (local / "copy" / part).iterdir()]
    assert len(files) == 3


def _no_tls(mbsync: str) -> str:
    version = subprocess.run([mbsync, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    newer = found is not None and (int(found[1]), int(found[2])) >= (1, 5)
    return "TLSType None" if newer else "SSLType None"


def test_curl_reads_and_appends(server: RunningServer, box: str, tmp_path: Path) -> None:
    curl = need("curl")
    base = f"imap://127.0.0.1:{server.port('imap')}/{box}"
    login = f"{server.address('alice')}:{PASSWORD}"
    content = tmp_path / "message"
    content.write_bytes(message("By curl"))
    run(curl, "-sS", "-u", login, "-T", str(content), base)
    assert "Subject: By curl" in run(curl, "-sS", "-u", login, f"{base};UID=1").stdout
    assert "* SEARCH 1" in run(curl, "-sS", "-u", login, f"{base}?SUBJECT%20curl").stdout
