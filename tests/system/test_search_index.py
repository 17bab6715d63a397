"""The server starts the indexer by itself; its death and its file's loss change no answer."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import imap
from tests.support.servers import RunningServer

pytestmark = pytest.mark.system

COUNT = 300


def children(server: RunningServer) -> list[int]:
    assert server.process is not None
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


def waited(server: RunningServer, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    give_up = time.monotonic() + 60
    while not wanted(state := server.ask("search.status")):
        assert time.monotonic() < give_up, state
        time.sleep(0.05)
    return state


def test_searches_are_complete_whatever_happens_to_the_index(
    make_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    server = make_server()
    server.add_user("alice")
    client = imap(server, "alice")
    for number in range(COUNT):
        text = f"Subject: s{number}\r\n\r\nthe needle{number % 50}x lies here\r\n".encode()
        client.append("INBOX", None, None, text)
        if number == 100:
            for child in children(server):
                subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(child)], check=False)
    client.select("INBOX")

    def found() -> list[str]:
        return client.search(None, "BODY", "Needle7x")[1][0].decode().split()

    right = [str(number + 1) for number in range(COUNT) if number % 50 == 7]
    assert found() == right
    waited(server, lambda state: state["waiting"] == 0)
    assert found() == right
    assert server.ask("search.rebuild")["indexed"] < COUNT
    assert found() == right
    waited(server, lambda state: state["indexed"] == COUNT)
    assert server.ask("status")["search"]["waiting"] == 0
    assert server.ask("verify") == []
    server.ask("backup", folder=str(tmp_path / "copy"))
    assert not (tmp_path / "copy/data/search.db").exists()
    server.kill()
    (server.home / "data/search.db").write_bytes(b"no database any more " * 500)
    server.start()
    client = imap(server, "alice")
    client.select("INBOX")
    assert found() == right
    waited(server, lambda state: state["indexed"] == COUNT)
    assert found() == right
    assert not server.ask("verify")
