"""Diagnostics Logging (ims_spec 3.9) on real traffic: events by level, the protocol log, the archive."""

from __future__ import annotations

import base64
import json
import re
import smtplib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import clients
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

LETTER = "From: x@example.org\r\nSubject: {}\r\n\r\nthe text of it\r\n"


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    one = Remote()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer], remote: Remote) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("bob")
    change(one, "ims.delivery.smart_hosts", [f"127.0.0.1:{remote.port}"])
    change(one, "ims.delivery.mode", "smarthost")
    yield one
    one.stop()
    assert "Traceback" not in one.log, one.log[one.log.index("Traceback") :][:3000]


@pytest.fixture(autouse=True)
def as_it_was(server: RunningServer) -> Iterator[None]:
    before = server.ask("settings.export")
    yield
    server.ask("settings.import", text=before)


def poll(condition: Callable[[], Any]) -> Any:
    clients.poll(condition)
    return condition()


def change(server: RunningServer, key: str, value: Any) -> None:
    server.ask("settings.set", key=key, value=json.dumps(value))


def submit(server: RunningServer, to: str, subject: str) -> None:
    bob = server.address("bob")
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(bob, PASSWORD)
        smtp.sendmail(bob, [to], LETTER.replace("x@example.org", bob).format(subject))


def text(server: RunningServer, name: str) -> str:
    path = server.home / "log" / name
    return path.read_text("utf-8") if path.exists() else ""


def events(server: RunningServer, number: int) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in text(server, "events.jsonl").splitlines()]
    return [line for line in lines if line["event_id"] == number]


def test_what_merely_happens_is_told_from_its_level_on(server: RunningServer, remote: Remote) -> None:
    server.deliver(LETTER.format("untold"), [server.address("bob")])
    change(server, "diagnostics.message_transfer", "medium")
    server.deliver(LETTER.format("told"), [server.address("bob")])
    submit(server, "far@else.where.test", "away")
    (here, away), (sent,) = poll(
        lambda: (e := events(server, 2002))[1:] and (e, events(server, 2001) or [{}])
    )
    poll(lambda: events(server, 2001))
    sent = events(server, 2001)[0]
    assert (here["category"], here["level"]) == ("Message Transfer", "information")
    assert "someone@example.org came from 127.0.0.1: 1 recipients here, 0 elsewhere" in here["text"]
    assert "0 recipients here, 1 elsewhere" in away["text"]
    assert "1 delivered, 0 not" in sent["text"]
    assert not events(server, 2003)
    change(server, "diagnostics.message_transfer", "minimum")
    change(server, "diagnostics.smtp_interface", "maximum")
    server.deliver(LETTER.format("untold again"), [server.address("bob")])
    assert poll(lambda: events(server, 2003))[0]["text"] == "a connection was accepted from 127.0.0.1"
    assert len(events(server, 2002)) == 2


def test_who_is_asked_for_in_vain_is_told_where_addressing_is(server: RunningServer) -> None:
    change(server, "diagnostics.addressing", "medium")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        server.deliver(LETTER.format("x"), ["nemo@example.test"])
    told = poll(lambda: events(server, 20_003))[0]
    assert told["category"] == "Addressing"
    assert "nobody here is called nemo@example.test" in told["text"]


def test_the_protocol_log_has_what_was_said_and_no_password(server: RunningServer, remote: Remote) -> None:
    change(server, "protocol_log.level", "medium")
    assert "level medium" in poll(lambda: events(server, 2004))[0]["text"]
    server.deliver(LETTER.format("written down"), [server.address("bob")])
    submit(server, "far@else.where.test", "gone")
    bob = server.address("bob")
    secret = base64.b64encode(f"\0{bob}\0{PASSWORD}".encode()).decode()
    with socket.create_connection(("127.0.0.1", server.port("submission")), 10) as client:
        # Who does not wait for the answer sends his password as a command.
        client.sendall(f"EHLO x\r\nAUTH NONE\r\n{secret}\r\nQUIT\r\n".encode())
        while client.recv(4096):
            pass
    poll(lambda: "354" in text(server, "smtp.log") and "no command" in text(server, "smtp.log"))
    log = poll(lambda: (t := text(server, "smtp.log")).count("The connection is over") >= 4 and t)
    for line in (
        "A connection was accepted from 127.0.0.1.",
        ">>> 220 ",
        ">>> 354 ",
        "<<< Subject: written down",
        "A connection to 127.0.0.1",
        ">>> MAIL FROM:<bob@example.test>",
        ">>> RCPT TO:<far@else.where.test>",
        "<<< 250 ",
    ):
        assert line in log, line
    # Not every smtplib says it in capitals.
    assert re.search("<<< rcpt to:<bob@example.test>", log, re.IGNORECASE)
    assert "the text of it" not in log
    assert PASSWORD not in log
    assert secret not in log
    assert base64.b64encode(PASSWORD.encode()).decode() not in log
    assert any("<<< AUTH " in line and line.endswith("(hidden)") for line in log.splitlines())


def test_more_and_less_of_a_conversation(server: RunningServer) -> None:
    change(server, "protocol_log.level", "minimum")
    server.deliver(LETTER.format("the least"), [server.address("bob")])
    change(server, "protocol_log.level", "maximum")
    change(server, "protocol_log.classic", True)
    server.deliver(LETTER.format("the most"), [server.address("bob")])
    log = poll(lambda: "the text of it" in (t := text(server, "smtp.log")) and t)
    assert "Subject: the least" not in log
    assert "M : <<< Subject: the most" in log
    change(server, "protocol_log.peers", ["192.0.2.0/24"])
    server.deliver(LETTER.format("of another"), [server.address("bob")])
    server.deliver(LETTER.format("of another"), [server.address("bob")])
    assert "of another" not in text(server, "smtp.log")


def test_copies_of_what_comes_and_of_what_leaves(server: RunningServer, remote: Remote) -> None:
    server.deliver(LETTER.format("no copy"), [server.address("bob")])
    change(server, "archive.messages", "full")
    server.deliver(LETTER.format("whole"), [server.address("bob")])
    (copy,) = (server.home / "archive" / "in").glob("*/*.eml")
    assert copy.stat().st_mode & 0o077 == 0
    head, _, rest = copy.read_text().partition("Received:")
    assert head == "X-Sender: someone@example.org\nX-Receiver: bob@example.test\n"
    assert rest.endswith("Subject: whole\n\nthe text of it\n")
    large = LETTER.format("large") + "x" * 76 + "\r\n"
    large += ("y" * 76 + "\r\n") * 4_000
    server.deliver(large, [server.address("bob")])
    assert max(each.stat().st_size for each in copy.parent.iterdir()) > len(large)
    change(server, "archive.messages", "headers")
    submit(server, "far@else.where.test", "its header")
    (gone,) = poll(lambda: list((server.home / "archive" / "out").glob("*/*.eml")))
    header = gone.read_text()
    assert header.startswith("X-Sender: bob@example.test\nX-Receiver: far@else.where.test\n")
    assert "Subject: its header\n" in header
    assert "the text of it" not in header


def test_a_copy_that_cannot_be_kept_is_no_reason_to_refuse(server: RunningServer) -> None:
    change(server, "archive.messages", "full")
    (server.home / "archive").rename(server.home / "before")
    (server.home / "archive").write_text("in the way")
    try:
        server.deliver(LETTER.format("all the same"), [server.address("bob")])
        told = poll(lambda: events(server, 20_050))[0]
        assert (told["category"], told["level"]) == ("Message Archival", "error")
    finally:
        (server.home / "archive").unlink()


def test_an_address_that_is_taken_is_an_event(make_server: Callable[..., RunningServer]) -> None:
    one = make_server()
    one.stop()
    with socket.create_server(("127.0.0.1", one.port("smtp"))):
        status, said = one.fail_to_start()
    assert status
    assert "cannot listen" in said + one.log
