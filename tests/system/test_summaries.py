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
    for number, how in enumerate((None, signal.SIGSTOP, None)):
        if how is not None:
            os.kill(first, how)
        letter = f"Subject: number {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\nText.\r\n"
        server.deliver(letter, [server.address("alice")])
    # One that hangs is killed, and another takes its place.
    poll(lambda: first not in summarizers(server) and summarizers(server))
    client = imap(server)
    _, rows = client.fetch("1:*", "(ENVELOPE)")
    client.logout()
    for number, row in enumerate(rows):
        assert b'"number %d"' % number in row and b'"<%d@example.org>"' % number in row
    assert len(rows) == 3
    server.stop()
    assert "Traceback" not in server.log
