"""Mail that leaves: submitted by bob, carried by the queue, refused, deferred, held, given up."""

from __future__ import annotations

import email
import json
import re
import smtplib
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.clients import poll, texts
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("bob")
    # A closed port: whatever a test does not route goes nowhere, never out of this machine.
    one.set("ims.delivery.smart_hosts", '["127.0.0.1:1"]')
    one.set("ims.delivery.mode", "smarthost")
    yield one
    one.stop()


@pytest.fixture
def remote(server: RunningServer) -> Iterator[Remote]:
    one = Remote()
    route(server, one.port)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def nothing_left(server: RunningServer) -> Iterator[None]:
    yield
    if server.process is None:
        server.start()
    for waiting in sorted({row["id"] for row in queued(server)}):
        # It may leave by itself in this moment.
        server.imsctl("queue", "delete", "--yes", "--no-ndr", waiting, check=False)
    poll(lambda: not queued(server))


def route(server: RunningServer, port: int) -> None:
    rows = [{"domain": "remote.test", "route": f"host:127.0.0.1:{port}"}]
    server.set("ims.domains", json.dumps(rows))


def submit(server: RunningServer, subject: str, to: str = "carol@remote.test", body: str = "hello") -> None:
    bob = server.address("bob")
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(bob, PASSWORD)
        head = f"From: Bob <{bob}>\r\nTo: {to}\r\nBcc: secret@remote.test\r\nSubject: {subject}\r\n"
        smtp.sendmail(bob, [to], f"{head}\r\n{body}\r\n")


def queued(server: RunningServer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = server.ask("queue.list")
    return rows


def deferred(server: RunningServer) -> dict[str, Any]:
    """The one row of the queue, once it has been tried."""

    def tried() -> bool:
        rows = queued(server)
        return len(rows) == 1 and rows[0]["attempts"] == 1

    poll(tried)
    return queued(server)[0]


def report(server: RunningServer, subject: str) -> Message:
    """The delivery status notification about a message, once it is in bob's INBOX."""
    found: list[Message] = []

    def there() -> bool:
        found[:] = [
            parsed
            for parsed in map(email.message_from_bytes, texts(server, "bob"))
            if parsed.get_content_type() == "multipart/report" and f"Subject: {subject}" in str(parsed)
        ]
        return bool(found)

    poll(there)
    assert len(found) == 1
    return found[0]


def test_a_message_arrives_as_it_was_written(server: RunningServer, remote: Remote) -> None:
    submit(server, "to carol", body=".begins with a dot\r\n..and another")
    poll(lambda: remote.taken)
    (taken,) = remote.taken
    assert (taken.sender, taken.recipients) == (server.address("bob"), ("carol@remote.test",))
    assert taken.data.endswith(b"\r\n\r\n.begins with a dot\r\n..and another\r\n")
    head = taken.data.partition(b"\r\n\r\n")[0]
    assert b"Message-ID: " in head
    assert b"Date: " in head
    assert head.startswith(b"Received: ")
    assert b"Bcc:" not in head
    poll(lambda: not queued(server))
    assert "relayed" in server.imsctl("track", "carol@remote.test").stdout


def test_text_that_did_not_say_it_is_eight_bit_is_converted(server: RunningServer, remote: Remote) -> None:
    remote.offered = ["PIPELINING"]
    bob = server.address("bob")
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(bob, PASSWORD)
        smtp.sendmail(bob, ["carol@remote.test"], f"From: {bob}\r\n\r\nGrüße\r\n".encode())
    poll(lambda: remote.taken)
    (taken,) = remote.taken
    assert taken.data.isascii()
    assert email.message_from_bytes(taken.data).get_payload(decode=True) == "Grüße\r\n".encode()


def test_starttls_is_used_where_it_is_offered(server: RunningServer, tmp_path: Path) -> None:
    remote = Remote(Authority(tmp_path, "elsewhere").sign("remote.example.net"))
    route(server, remote.port)
    submit(server, "shielded")
    poll(lambda: remote.taken)
    assert remote.taken[0].encrypted
    remote.close()


def test_a_temporary_refusal_is_tried_again(server: RunningServer, remote: Remote) -> None:
    remote.rcpt = "451 4.2.1 not now, please"
    submit(server, "patience")
    row = deferred(server)
    assert row["recipient"] == "carol@remote.test"
    assert row["state"] == "waiting"
    assert "not now, please" in row["last_error"]
    assert row["next_attempt"] > row["last_attempt"]
    shown = server.imsctl("queue", "show", row["id"]).stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("carol@remote.test\t"))
    assert "\twaiting\t" in line and "not now, please" in line
    assert re.search(r"^submitted +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", shown, re.MULTILINE)
    remote.rcpt = "250 2.1.5 fine"
    assert server.imsctl("queue", "retry", row["id"]).stdout == "1 recipients are due now\n"
    poll(lambda: remote.taken)
    poll(lambda: not queued(server))
    assert len(remote.taken) == 1


@pytest.mark.parametrize("where", ["rcpt", "end"])
def test_a_permanent_refusal_comes_back_as_a_report(
    server: RunningServer, remote: Remote, where: str
) -> None:
    setattr(remote, where, "550 5.1.1 nobody of that name")
    subject = f"refused at {where}"
    submit(server, subject)
    found = report(server, subject)
    assert found.get_param("report-type") == "delivery-status"
    assert found["Auto-Submitted"] == "auto-replied"
    parts = found.get_payload()
    assert [part.get_content_type() for part in parts[:2]] == ["text/plain", "message/delivery-status"]
    assert parts[2].get_content_type() in ("text/rfc822-headers", "message/rfc822")
    status = str(parts[1])
    assert "Final-Recipient: rfc822; carol@remote.test" in status
    assert "Action: failed" in status
    assert "Status: 5.1.1" in status
    assert "nobody of that name" in status
    poll(lambda: not queued(server))


def test_a_host_that_is_down_defers(server: RunningServer) -> None:
    route(server, 1)
    submit(server, "nobody home")
    row = deferred(server)
    assert "127.0.0.1" in row["last_error"]
    listed = server.imsctl("queue", "list").stdout
    assert "carol@remote.test" in listed
    assert "waiting" in listed


def test_held_mail_stays_until_it_is_released(server: RunningServer, remote: Remote) -> None:
    remote.rcpt = "451 4.2.1 not now"
    submit(server, "held")
    row = deferred(server)
    server.imsctl("queue", "hold", row["id"])
    remote.rcpt = "250 2.1.5 fine"
    (held,) = queued(server)
    assert (held["state"], held["next_attempt"]) == ("held", None)
    server.kill()
    server.start()
    assert [one["state"] for one in queued(server)] == ["held"]
    assert not remote.taken
    server.imsctl("queue", "release", row["id"])
    poll(lambda: remote.taken)
    poll(lambda: not queued(server))


@pytest.mark.parametrize("told", [True, False])
def test_deleted_mail_is_given_up(server: RunningServer, remote: Remote, told: bool) -> None:
    remote.rcpt = "451 4.2.1 not now"
    subject = f"given up, {'told' if told else 'silently'}"
    submit(server, subject)
    row = deferred(server)
    before = len(texts(server, "bob"))
    asked = server.imsctl("queue", "delete", row["id"], input="n\n", check=False)
    assert "Delete all selected messages?" in asked.stdout
    assert len(queued(server)) == 1
    assert "Name messages" in server.imsctl("queue", "delete", "--yes", check=False).stderr
    server.imsctl("queue", "delete", "--yes", *(["--all"] if told else ["--no-ndr", row["id"]]))
    poll(lambda: not queued(server))
    if told:
        said = str(report(server, subject))
        assert "stopped by the administrator" in said and "Ask your administrator before" in said
    else:
        assert len(texts(server, "bob")) == before
    assert "deleted" in server.imsctl("track", row["id"]).stdout


def test_the_queue_stands_still_while_paused(server: RunningServer, remote: Remote) -> None:
    server.set("queue.paused", "true")
    submit(server, "paused")
    assert [row["attempts"] for row in queued(server)] == [0]
    assert not remote.connections
    server.set("queue.paused", "false")
    poll(lambda: remote.taken)


def test_killed_with_mail_in_the_queue_each_leaves_once(server: RunningServer, remote: Remote) -> None:
    remote.end = "451 4.3.0 later"
    for number in range(5):
        submit(server, f"survivor {number}")
    poll(lambda: [row["attempts"] for row in queued(server)] == [1] * 5)
    server.kill()
    # A store at rest answers, too.
    assert len(json.loads(server.imsctl("queue", "list", "--json").stdout)) == 5
    remote.end = "250 2.0.0 taken"
    server.start()
    server.imsctl("queue", "retry")
    poll(lambda: not queued(server))
    subjects = sorted(email.message_from_bytes(taken.data)["Subject"] for taken in remote.taken)
    assert subjects == [f"survivor {number}" for number in range(5)]


def test_killed_before_the_first_try_it_leaves_after_the_start(server: RunningServer, remote: Remote) -> None:
    server.set("queue.paused", "true")
    submit(server, "not tried yet")
    server.kill()
    server.set("queue.paused", "false")
    server.start()
    poll(lambda: remote.taken)
    poll(lambda: not queued(server))
    assert len(remote.taken) == 1


def test_the_smart_host_takes_the_rest(server: RunningServer, remote: Remote) -> None:
    server.set("ims.delivery.smart_hosts", json.dumps([f"127.0.0.1:{remote.port}"]))
    submit(server, "by the smart host", to="dave@anywhere.test")
    poll(lambda: remote.taken)
    assert remote.taken[0].recipients == ("dave@anywhere.test",)
    server.set("ims.delivery.smart_hosts", '["127.0.0.1:1"]')


def test_no_surprise_in_the_log(server: RunningServer) -> None:
    assert "Traceback" not in server.log, server.log[-3000:]


def test_a_loop_between_two_servers_ends_with_one_report(
    server: RunningServer, make_server: Callable[..., RunningServer]
) -> None:
    other = make_server()
    try:
        for here, there in ((server, other), (other, server)):
            here.set("routing.restrictions.allow", '["127.0.0.0/8"]')
            # Enough to see it end; the lowest limit there is.
            here.set("smtp.hops", "10")
            rows = [{"domain": "circle.test", "route": f"host:127.0.0.1:{there.port('smtp')}"}]
            here.set("ims.domains", json.dumps(rows))
        # Both serve example.test: whichever gives up tells the bob it knows.
        other.add_user("bob")
        submit(server, "round and round", to="carol@circle.test")

        def told() -> list[bytes]:
            both = [text for one in (server, other) for text in texts(one, "bob")]
            return [text for text in both if b"Subject: round and round" in text]

        # The queues say nothing: the message may be in the other one by the time that is looked at.
        poll(told)
        poll(lambda: not queued(server) and not queued(other))
        reports = told()
        assert len(reports) == 1
        assert b"Status: 5.4.6" in reports[0]
        assert b"554 5.4.6" in reports[0]
    finally:
        other.stop()
        server.set("routing.restrictions.allow", "[]")
