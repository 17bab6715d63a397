"""LMTP of the running server, over TCP and over a local socket, with a real client."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import RunningServer, need

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def target(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.add_user("bob")
    one.stop()
    file = one.home / "imsd.toml"
    text = (
        file.read_text("utf-8").replace("# lmtp = 24 ", "lmtp = 43 ").replace("# lmtp_socket", "lmtp_socket")
    )
    file.write_text(text, "utf-8")
    one.start()
    yield one
    one.stop()


def swaks(*options: str) -> str:
    done = subprocess.run(
        [need("swaks"), "--protocol", "LMTP", "--from", "x@elsewhere.test", "--to",
         "alice@example.test,bob@example.test", *options],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_over_tcp_on_this_machine(target: RunningServer) -> None:
    heard = swaks("--server", "127.0.0.1", "--port", str(43 + target.offset))
    assert "-> LHLO" in heard
    assert heard.count("<-  250 2.0.0 Ok: queued as ") == 2


def test_over_the_local_socket(target: RunningServer) -> None:
    path = target.home / "run/lmtp.sock"
    assert path.stat().st_mode & 0o777 == 0o660
    heard = swaks("--socket", str(path))
    assert heard.count("<-  250 2.0.0 Ok: queued as ") == 2


def test_peer_on_the_local_socket_is_no_trusted_relay(target: RunningServer) -> None:
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(10)
        wire.connect(str(target.home / "run/lmtp.sock"))
        wire.sendall(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<y@elsewhere.test>\r\nQUIT\r\n")
        heard = b""
        while piece := wire.recv(4096):
            heard += piece
    assert b"\r\n550 5.7.1 " in heard
