"""The process is killed at every step between the states of a message; nothing is lost.

An acknowledged message is in the mailbox after the restart. A message whose acknowledgement
did not arrive may be there or not, but never twice by our doing and never in part.
"""

from __future__ import annotations

import imaplib
import smtplib
import socket
import time
from collections.abc import Callable, Iterator

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


@pytest.fixture(autouse=True)
def stopped(crashing: RunningServer) -> Iterator[None]:
    """A failed test leaves no server behind for the next."""
    yield
    if crashing.process is not None:
        crashing.kill()


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
    crashing: RunningServer,
    enter: Callable[..., bool],
    failpoint: str,
    body: bytes,
    kept: bool,
    request: pytest.FixtureRequest,
) -> None:
    name = request.node.name
    trigger = crashing.home / "die"
    trigger.unlink(missing_ok=True)
    crashing.start(IMSD_FAILPOINT=f"{failpoint}@{trigger}")
    assert enter(crashing, f"{name} first", SMALL)
    tidied(crashing)
    assert not enter(crashing, f"{name} second", body, trigger.touch), "the server should have died"
    assert crashing.process is not None
    assert crashing.process.wait(20) == -9
    crashing.process = None
    crashing.start()
    after = found(crashing)
    assert f"{name} first" in after
    assert (f"{name} second" in after) is kept
    if kept:
        assert after[f"{name} second"] == body
    assert enter(crashing, f"{name} third", body), "service goes on"
    assert found(crashing)[f"{name} third"] == body
    crashing.stop()
    assert crashing.imsctl("verify").stdout == "Nothing found.\n"


def test_a_flag_change_that_was_acknowledged_survives(crashing: RunningServer) -> None:
    crashing.start()
    assert send(crashing, "flagged", SMALL)
    client = imaplib.IMAP4("127.0.0.1", crashing.port("imap"), timeout=20)
    client.login(crashing.address("alice"), PASSWORD)
    client.select("INBOX")
    (number,) = client.search(None, "SUBJECT", "flagged")[1][0].split()
    assert client.store(number, "+FLAGS", r"(\Flagged $Work)")[0] == "OK"
    crashing.kill()
    crashing.start()
    client = imaplib.IMAP4("127.0.0.1", crashing.port("imap"), timeout=20)
    client.login(crashing.address("alice"), PASSWORD)
    client.select("INBOX")
    assert client.search(None, "SUBJECT flagged FLAGGED KEYWORD $Work")[1][0].split() == [number]
    client.logout()
    crashing.stop()


def test_pop3_deletions_are_all_or_nothing(crashing: RunningServer) -> None:
    crashing.start()
    assert send(crashing, "to be kept", SMALL)
    before = found(crashing)
    peer = socket.create_connection(("127.0.0.1", crashing.port("pop3")), timeout=20)
    wire = peer.makefile("rwb", buffering=0)
    wire.readline()
    for line in (f"USER {crashing.address('alice')}", f"PASS {PASSWORD}", "DELE 1", "DELE 2"):
        wire.write(line.encode() + b"\r\n")
        assert wire.readline().startswith(b"+OK")
    crashing.kill()
    crashing.start()
    assert found(crashing) == before
    crashing.stop()
