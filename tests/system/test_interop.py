"""Programs that people fetch and synchronise mail with: content arrives octet for octet, flags and
deletions go both ways. isync, OfflineIMAP, getmail, fetchmail, mutt, curl, aioimaplib."""

from __future__ import annotations

import asyncio
import imaplib
import itertools
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import imap, poll
from tests.support.maildirs import (
    Box,
    append,
    change_far,
    change_near,
    far_messages,
    letters,
    mbsync,
    near_messages,
)
from tests.support.servers import PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system

COUNT = int(os.environ.get("IMSD_LETTERS", "5000"))
"""Messages of the large synchronisation, half of them here at first and half there.
They are more than a segment of the index holds."""


@pytest.fixture
def person(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A person of the test's own, with seven awkward letters in the INBOX."""
    alias = re.sub("[^a-z0-9]", "", request.node.name)[-30:]
    server.add_user(alias)
    client = imap(server, alias)
    append(client, "INBOX", letters())
    client.logout()
    yield alias


def test_mbsync_moves_flags_and_expunges_both_ways(
    server: RunningServer, person: str, tmp_path: Path
) -> None:
    far = imap(server, person)
    far.create("Work")
    sync = mbsync(server, person, tmp_path)
    sync()
    near = Box(tmp_path / "mail/INBOX"), Box(tmp_path / "mail/Work")
    assert near_messages(near[0]) == far_messages(far, "INBOX") and len(near_messages(near[0])) == 7
    # There: a flag, an expunge, a move.
    far.select("INBOX")
    far.store("1", "+FLAGS", "(\\Answered \\Flagged)")
    far.uid("MOVE", "2", "Work")
    far.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
    far.uid("EXPUNGE", "3")
    # Here: the same with others.
    near[0].flag("<4@example.org>", "RS")
    near[0].move("<5@example.org>", near[1])
    near[0].flag("<6@example.org>", "T")
    sync()
    sync()
    for box, name in zip(near, ("INBOX", "Work"), strict=True):
        assert near_messages(box) == far_messages(far, name)
    assert {key: flags for key, (flags, _) in near_messages(near[0]).items()} == {
        "<1@example.org>": "FR",
        "<4@example.org>": "RS",
        "<7@example.org>": "",
    }
    assert near_messages(near[1]).keys() == {"<2@example.org>", "<5@example.org>"}
    far.logout()


def test_mbsync_of_thousands_ends_the_same(server: RunningServer, tmp_path: Path) -> None:
    server.add_user("thousands")
    far = imap(server, "thousands")
    sync = mbsync(server, "thousands", tmp_path)
    near = Box.make(tmp_path / "mail/INBOX")
    every = letters(COUNT)
    append(far, "INBOX", itertools.islice(every, COUNT // 2))
    near.fill(every)
    sync()
    assert int(far.select("INBOX")[1][0]) == len(list(near.files())) == COUNT
    change_far(far, COUNT)
    change_near(near, COUNT)
    sync()
    sync()
    mine, yours = near_messages(near), far_messages(far, "INBOX")
    assert mine == yours
    assert len(mine) == COUNT - COUNT // 10 - COUNT // 10 + COUNT // 20
    far.logout()


def test_offlineimap_goes_both_ways(server: RunningServer, person: str, tmp_path: Path) -> None:
    program = need("offlineimap")
    rc = tmp_path / "rc"
    rc.write_text(
        f"""[general]
accounts = a
metadata = {tmp_path}/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {server.port("imap")}
remoteuser = {server.address(person)}
remotepass = {PASSWORD}
ssl = no
starttls = no
folderfilter = lambda name: name in ("INBOX", "Work")
"""
    )

    def sync() -> None:
        run(program, "-o", "-c", str(rc), timeout=50)

    far = imap(server, person)
    far.create("Work")
    sync()
    near, work = Box(tmp_path / "mail/INBOX"), Box(tmp_path / "mail/Work")
    assert near_messages(near) == far_messages(far, "INBOX") and len(near_messages(near)) == 7
    far.select("INBOX")
    far.store("1", "+FLAGS", "(\\Answered \\Flagged)")
    far.uid("STORE", "3", "+FLAGS", "(\\Deleted)")
    far.uid("EXPUNGE", "3")
    near.flag("<4@example.org>", "RS")
    near.move("<5@example.org>", work)
    sync()
    sync()
    assert near_messages(near) == far_messages(far, "INBOX")
    assert near_messages(work) == far_messages(far, "Work")
    assert near_messages(work).keys() == {"<5@example.org>"}
    assert near_messages(near)["<4@example.org>"][0] == "RS"
    assert near_messages(near)["<1@example.org>"][0] == "FR"
    far.logout()


def deliverer(folder: Path, box: Box) -> Path:
    """A program that puts what it reads into the Maildir, also where root runs the tests."""
    save = folder / "save"
    save.write_text(f"#!/bin/sh\nexec cat > {box.path}/new/$$.x\n")
    save.chmod(0o755)
    return save


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_getmail_takes_everything_and_deletes_it(
    server: RunningServer, person: str, tmp_path: Path, protocol: str
) -> None:
    program = need("getmail")
    box = Box.make(tmp_path / "mail")
    (tmp_path / "getmailrc").write_text(
        f"""[retriever]
type = Simple{protocol}Retriever
server = 127.0.0.1
port = {server.port(protocol.lower())}
username = {server.address(person)}
password = {PASSWORD}
[destination]
type = MDA_external
path = {deliverer(tmp_path, box)}
allow_root_commands = true
unixfrom = false
[options]
delivered_to = false
received = false
delete = true
verbose = 0
"""
    )
    far = imap(server, person)
    before = far_messages(far, "INBOX")
    run(program, "--getmaildir", str(tmp_path))
    assert near_messages(box) == before and len(before) == 7
    far.noop()
    assert not far_messages(far, "INBOX")
    run(program, "--getmaildir", str(tmp_path))
    assert near_messages(box) == before
    far.logout()


@pytest.mark.parametrize("protocol", ["POP3", "IMAP"])
def test_fetchmail_hands_everything_on_and_deletes_it(
    server: RunningServer, person: str, tmp_path: Path, protocol: str
) -> None:
    program = need("fetchmail")
    box = Box.make(tmp_path / "mail")
    rc = tmp_path / "rc"
    rc.write_text(
        f"set invisible\npoll 127.0.0.1 port {server.port(protocol.lower())} protocol {protocol}\n"
        f'  user "{server.address(person)}" password "{PASSWORD}" sslproto "" no rewrite'
        f' fetchall mda "{deliverer(tmp_path, box)}"\n'
    )
    rc.chmod(0o600)
    far = imap(server, person)
    before = far_messages(far, "INBOX")
    home = {**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
    done = subprocess.run(
        [program, "-f", str(rc), "--silent"],
        env=home,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert near_messages(box) == before and len(before) == 7
    far.noop()
    assert not far_messages(far, "INBOX")
    far.logout()


def test_mutt_files_flags_and_deletes(server: RunningServer, person: str, tmp_path: Path) -> None:
    """In a terminal, with its keys."""
    program = need("mutt")
    far = imap(server, person)
    far.create("Work")
    before = far_messages(far, "INBOX")
    where = f"imap://127.0.0.1:{server.port('imap')}"
    rc = tmp_path / "rc"
    keys = (
        "<jump>1<enter><save-message>=Work<enter>"
        "<jump>2<enter><delete-message><jump>3<enter><flag-message><jump>4<enter><display-message><exit>"
        "<sync-mailbox><quit>"
    )
    rc.write_text(
        f'set imap_user="{server.address(person)}" imap_pass="{PASSWORD}" ssl_starttls=no ssl_force_tls=no\n'
        f'set folder="{where}/" spoolfile="{where}/INBOX" sort=mailbox-order wait_key=no confirmappend=no\n'
        f'set delete=yes move=no mark_old=no header_cache="" quit=yes record="" resolve=no\npush "{keys}"\n'
    )
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", HOME=str(tmp_path))
        os.execv(program, [program, "-n", "-F", str(rc), "-f", f"{where}/INBOX"])
    shown = b""
    give_up = time.monotonic() + 30
    try:
        while time.monotonic() < give_up and (data := os.read(terminal, 65536)):
            shown += data
    except OSError:
        pass  # It has ended.
    assert os.waitpid(child, 0)[1] == 0, shown[-2000:]
    far.noop()
    after = far_messages(far, "INBOX")
    assert after.keys() == before.keys() - {"<1@example.org>", "<2@example.org>"}, shown[-2000:]
    assert after["<3@example.org>"][0] == "F" and after["<4@example.org>"][0] == "S"
    assert far_messages(far, "Work")["<1@example.org>"][1] == before["<1@example.org>"][1]
    far.logout()


def test_curl_over_pop3_and_imap_gives_the_octets(server: RunningServer, person: str) -> None:
    curl = need("curl")
    login = f"{server.address(person)}:{PASSWORD}"
    sent = list(letters())
    for number, letter in enumerate(sent, 1):
        for url in (
            f"pop3://127.0.0.1:{server.port('pop3')}/{number}",
            f"imap://127.0.0.1:{server.port('imap')}/INBOX;UID={number}",
        ):
            got = subprocess.run([curl, "-sS", "-u", login, url], capture_output=True, timeout=30, check=True)
            # curl leaves off what POP3 has to add: the end of the last line.
            assert got.stdout.removesuffix(b"\r\n") == letter.removesuffix(b"\r\n"), url
    listed = run(curl, "-sS", "-u", login, f"pop3://127.0.0.1:{server.port('pop3')}/")
    assert len(listed.stdout.splitlines()) == len(sent)
    run(curl, "-sS", "-u", login, "-I", "-X", "DELE", f"pop3://127.0.0.1:{server.port('pop3')}/1")
    assert len(far_messages(imap(server, person), "INBOX")) == len(sent) - 1


def test_aioimaplib_hears_by_idle(server: RunningServer, person: str) -> None:
    aioimaplib = pytest.importorskip("aioimaplib")

    async def talk() -> None:
        client = aioimaplib.IMAP4(host="127.0.0.1", port=server.port("imap"), timeout=20)
        await client.wait_hello_from_server()
        assert (await client.login(server.address(person), PASSWORD)).result == "OK"
        assert (await client.select("INBOX")).result == "OK"
        idle = await client.idle_start(timeout=20)
        await asyncio.to_thread(server.deliver, next(letters()), [server.address(person)])
        heard: list[bytes] = []
        while b"8 EXISTS" not in heard:
            heard += await client.wait_server_push(timeout=20)
        client.idle_done()
        await asyncio.wait_for(idle, 20)
        fetched = await client.uid("fetch", "2", "(BODY.PEEK[])")
        assert bytes(fetched.lines[1]) == list(letters())[1]
        assert (await client.uid("store", "2", "+FLAGS (\\Deleted)")).result == "OK"
        assert b"2 EXPUNGE" in (await client.expunge()).lines
        await client.logout()

    asyncio.run(talk())


def test_mail_with_raw_8_bit_headers_moves_here_while_that_is_set(server: RunningServer, person: str) -> None:
    """As imapsync and mbsync bring it from servers that keep what they were given."""
    raw = (
        b"Subject: Gr\xfc\xdfe\r\nFrom: J\xf6rg <j@example.org>\r\nMessage-ID: <raw@example.org>\r\n\r\nx\r\n"
    )
    client = imap(server, person)
    assert client.append("INBOX", None, None, raw)[0] == "NO"  # type: ignore[arg-type]
    server.set("imap.raw_headers", "true")
    try:
        client = imap(server, person)
        assert client.append("INBOX", None, None, raw)[0] == "OK"  # type: ignore[arg-type]
        client.select("INBOX")
        assert client.fetch("8", "(BODY.PEEK[])")[1][0][1] == raw  # type: ignore[index]
        envelope = client.fetch("8", "(ENVELOPE)")[1][0]
        assert isinstance(envelope, bytes) and envelope.isascii()
    finally:
        server.set("imap.raw_headers", "false")
    client.logout()


def test_another_session_is_told_while_mail_is_fetched(server: RunningServer, person: str) -> None:
    """What POP3 deletes, IMAP sees."""
    watching = imap(server, person)
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as other:
        other.login(server.address(person), PASSWORD)
        other.select()
        other.store("1", "+FLAGS", "(\\Deleted)")
        other.expunge()
    poll(lambda: watching.noop() and len(far_messages(watching, "INBOX")) == 6)
    watching.logout()
