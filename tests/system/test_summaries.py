"""Mail is accepted and described whatever becomes of the process that describes it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from imsd.summaries import processors
from tests.support.clients import imap, poll
from tests.support.servers import RunningServer

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(processors() < 2, reason="there is no such process on one processor"),
]


def summarizers(server: RunningServer) -> list[int]:
    assert server.process is not None
    parent = server.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(each) for each in children if b"imsd.summarizer" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]


def test_it_may_hang_and_die(server: RunningServer) -> None:
    poll(lambda: summarizers(server))
    (first,) = summarizers(server)
    letters = 0

    def deliver() -> None:
        nonlocal letters
        letter = f"Subject: number {letters}\r\nMessage-ID: <{letters}@example.org>\r\n\r\nText.\r\n"
        server.deliver(letter, [server.address("alice")])
        letters += 1

    def replaced() -> bool:
        # It is asked nothing while the processors are busy, so one letter may not be enough.
        deliver()
        return bool(first not in summarizers(server) and summarizers(server))

    deliver()
    os.kill(first, signal.SIGSTOP)
    # One that hangs is killed, and another takes its place.
    poll(replaced, 60)
    deliver()
    client = imap(server)
    _, rows = client.fetch("1:*", "(ENVELOPE)")
    client.logout()
    for number, row in enumerate(rows):
        assert b'"number %d"' % number in row and b'"<%d@example.org>"' % number in row
    assert len(rows) == letters
    server.stop()
    assert "Traceback" not in server.log
