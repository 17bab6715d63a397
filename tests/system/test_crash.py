"""The process is killed at every step between the states of a message; nothing is lost.

An acknowledged message is in the mailbox after the restart. A message whose acknowledgement
did not arrive may be there or not, but never twice by our doing and never in part.
"""

from __future__ import annotations

import imaplib
import smtplib
import socket
import time
from collections.abc import Callable

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

SMALL = b"x" * 100 + b"\r\n"
LARGE = (b"0123456789" * 7 + b"\r\n") * 4000


@pytest.fixture(scope="module")
def crashing(make_server: Callable[..., RunningServer]) -> RunningServer:
    one = make_server()
    one.add_user("alice")
    one.stop()
    return one


def start(server: RunningServer) -> None:
    """With every place armed: it dies at the one that `die` names."""
    server.start(IMSD_FAILPOINT=f"*@{server.home / 'die'}")
    tidied(server)


@pytest.fixture
def running(crashing: RunningServer) -> RunningServer:
    """As the test before left it: each start is that after a kill."""
    (crashing.home / "die").unlink(missing_ok=True)
    if crashing.process is None or crashing.process.poll() is not None:
        crashing.process = None
        start(crashing)
    return crashing


def found(server: RunningServer) -> dict[str, bytes]:
    """Subject to body of everything in alice's INBOX, every octet fetched."""
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    client.login(server.address("alice"), PASSWORD)
    _, (count,) = client.select("INBOX")
    messages = {}
    if int(count or b"0"):
        _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT])")
        pairs = [row[1] for row in rows if isinstance(row, tuple)]
        for subject, body in zip(pairs[::2], pairs[1::2], strict=True):
            name = subject.decode().strip().removeprefix("Subject: ")
            assert name not in messages, "delivered twice"
            messages[name] = body
    client.logout()
    return messages


def tidied(server: RunningServer) -> None:
    """Wait until the server has looked after its store, as it does after a start."""
    give_up = time.monotonic() + 20
    while not server.ask("status")["store"]["rounds_of_upkeep"]:
        assert time.monotonic() < give_up
        time.sleep(0.02)


def nothing() -> None:
    """What is done just before the message is handed over, by default."""


def send(server: RunningServer, subject: str, body: bytes, arm: Callable[[], None] = nothing) -> bool:
    """Whether the message was acknowledged."""
    try:
        with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=20) as smtp:
            smtp.ehlo("client.example.org")
            smtp.mail("a@example.org")
            smtp.rcpt(server.address("alice"))
            arm()
            code, _ = smtp.data(f"Subject: {subject}\r\n\r\n".encode() + body)
        return code == 250
    except (smtplib.SMTPException, OSError):
        return False


def append(server: RunningServer, subject: str, body: bytes, arm: Callable[[], None] = nothing) -> bool:
    try:
        client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
        client.login(server.address("alice"), PASSWORD)
        arm()
        answer, _ = client.append("INBOX", "", "", f"Subject: {subject}\r\n\r\n".encode() + body)
        return answer == "OK"
    except (imaplib.IMAP4.error, OSError):
        return False


@pytest.mark.parametrize("enter", [send, append], ids=["smtp", "append"])
@pytest.mark.parametrize(
    ("failpoint", "body", "kept"),
    [
        ("writer.before-commit", SMALL, False),
        ("writer.after-commit", SMALL, True),
        ("blob.file-synced", LARGE, False),
        ("blob.file-named", LARGE, False),
        ("writer.before-commit", LARGE, False),
        ("writer.after-commit", LARGE, True),
    ],
)
def test_killed_between_two_states(
    running: RunningServer,
    enter: Callable[..., bool],
    failpoint: str,
    body: bytes,
    kept: bool,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.name
    trigger = running.home / "die"

    def arm() -> None:
        trigger.with_name("new").write_text(failpoint)
        trigger.with_name("new").rename(trigger)

    assert enter(running, f"{name} first", SMALL)
    assert not enter(running, f"{name} second", body, arm), "the server should have died"
    assert running.process is not None
    assert running.process.wait(20) == -9
    running.process = None
    trigger.unlink()
    start(running)
    after = found(running)
    assert f"{name} first" in after
    assert (f"{name} second" in after) is kept
    if kept:
        assert after[f"{name} second"] == body
    assert enter(running, f"{name} third", body), "service goes on"
    assert found(running)[f"{name} third"] == body
    assert running.ask("verify") == []


def test_a_flag_change_that_was_acknowledged_survives(running: RunningServer) -> None:
    assert send(running, "flagged", SMALL)
    client = imaplib.IMAP4("127.0.0.1", running.port("imap"), timeout=20)
    client.login(running.address("alice"), PASSWORD)
    client.select("INBOX")
    (number,) = client.search(None, "SUBJECT", "flagged")[1][0].split()
    assert client.store(number, "+FLAGS", r"(\Flagged $Work)")[0] == "OK"
    running.kill()
    start(running)
    client = imaplib.IMAP4("127.0.0.1", running.port("imap"), timeout=20)
    client.login(running.address("alice"), PASSWORD)
    client.select("INBOX")
    assert client.search(None, "SUBJECT flagged FLAGGED KEYWORD $Work")[1][0].split() == [number]
    client.logout()


def test_pop3_deletions_are_all_or_nothing(running: RunningServer) -> None:
    assert send(running, "to be kept", SMALL)
    before = found(running)
    peer = socket.create_connection(("127.0.0.1", running.port("pop3")), timeout=20)
    wire = peer.makefile("rwb", buffering=0)
    wire.readline()
    for line in (f"USER {running.address('alice')}", f"PASS {PASSWORD}", "DELE 1", "DELE 2"):
        wire.write(line.encode() + b"\r\n")
        assert wire.readline().startswith(b"+OK")
    running.kill()
    start(running)
    assert found(running) == before
