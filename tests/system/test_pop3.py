"""POP3 with poplib against the running server."""

from __future__ import annotations

import poplib
import time
from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest

from protocols.sasl.client import ScramClient
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

LETTER = "From: someone@example.org\r\nTo: carol@example.test\r\nSubject: {}\r\n\r\n.first line\r\n{}\r\n"


@pytest.fixture(scope="module")
def carol(server: RunningServer) -> RunningServer:
    """The server with carol, who has three messages."""
    address = server.add_user("carol")
    for number in range(3):
        server.deliver(LETTER.format(f"letter {number}", ("x" * 70 + "\r\n") * number * 1500), [address])
    return server


def connect(server: RunningServer) -> poplib.POP3:
    return poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)


def test_over_tls_from_the_start(carol: RunningServer) -> None:
    pop = poplib.POP3_SSL("localhost", carol.port("pop3s"), timeout=20, context=carol.tls())
    assert "SCRAM-SHA-256-PLUS" in pop.capa()["SASL"]
    pop.user("carol@example.test")
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 3
    pop.quit()


def test_a_visit(carol: RunningServer) -> None:
    pop = connect(carol)
    assert "STLS" in pop.capa()
    pop.stls(carol.tls())
    pop.user("carol")
    pop.pass_(PASSWORD)
    count, octets = pop.stat()
    sizes = [int(line.split()[1]) for line in pop.list()[1]]
    assert count == len(sizes) == 3 and sum(sizes) == octets
    for number, size in enumerate(sizes, 1):
        _, lines, _ = pop.retr(number)
        assert b".first line" in lines
        assert sum(len(line) + 2 for line in lines) == size
    assert b"Subject: letter 1" in pop.top(2, 0)[1]
    assert pop.top(2, 1)[1][-1] == b".first line"
    ids = [line.split()[1] for line in pop.uidl()[1]]
    assert len(set(ids)) == 3
    pop.quit()
    pop = connect(carol)
    pop.user("carol")
    pop.pass_(PASSWORD)
    assert [line.split()[1] for line in pop.uidl()[1]] == ids
    pop.quit()


def test_scram(carol: RunningServer) -> None:
    pop = connect(carol)
    client = ScramClient("carol", PASSWORD)
    answer = pop._shortcmd(f"AUTH SCRAM-SHA-256 {b64encode(client.initial() or b'').decode()}")
    answer = pop._shortcmd(b64encode(client.respond(b64decode(answer[2:]))).decode())
    client.respond(b64decode(answer[2:]))
    client.finish()
    assert pop._shortcmd("").startswith(b"+OK")
    assert pop.stat()[0] == 3
    pop.quit()


def test_the_maildrop_is_locked_by_one_reader(carol: RunningServer) -> None:
    first, second = connect(carol), connect(carol)
    for pop in (first, second):
        pop.user("carol")
    first.pass_(PASSWORD)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        second.pass_(PASSWORD)
    first.close()
    give_up = time.monotonic() + 10
    while True:
        second.user("carol")
        try:
            second.pass_(PASSWORD)
            break
        except poplib.error_proto:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    second.quit()


def test_wrong_passwords(carol: RunningServer) -> None:
    pop = connect(carol)
    for name in ("carol", "nobody"):
        pop.user(name)
        with pytest.raises(poplib.error_proto, match=r"\[AUTH\] Authentication failed"):
            pop.pass_("wrong")
    pop.close()


def test_deletion_is_quits(carol: RunningServer) -> None:
    pop = connect(carol)
    pop.user("carol")
    pop.pass_(PASSWORD)
    pop.dele(1)
    pop.close()
    for expected in (3, 2):
        give_up = time.monotonic() + 10
        while True:
            pop = connect(carol)
            pop.user("carol")
            try:
                pop.pass_(PASSWORD)
                break
            except poplib.error_proto:
                assert time.monotonic() < give_up
                time.sleep(0.05)
        assert pop.stat()[0] == expected
        if expected == 3:
            pop.dele(1)
        pop.quit()


def test_a_changed_password_ends_sessions(server: RunningServer) -> None:
    address = server.add_user("dora")
    pop = connect(server)
    pop.user("dora")
    pop.pass_(PASSWORD)
    started = time.monotonic()
    server.imsctl("user", "passwd", address, "--password", "another-" + PASSWORD)
    with pytest.raises((poplib.error_proto, OSError)):
        while time.monotonic() < started + 20:
            pop.noop()
            time.sleep(0.02)
    pop = connect(server)
    pop.user("dora")
    pop.pass_("another-" + PASSWORD)
    pop.quit()


def test_deletions_survive_a_kill(make_server: Callable[..., RunningServer]) -> None:
    server = make_server()
    address = server.add_user("alice")
    for number in range(4):
        server.deliver(LETTER.format(number, ""), [address])
    pop = connect(server)
    pop.user("alice")
    pop.pass_(PASSWORD)
    pop.dele(1)
    pop.dele(2)
    pop.quit()
    server.kill()
    server.start()
    pop = connect(server)
    pop.user("alice")
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 2
    pop.quit()
    server.stop()
