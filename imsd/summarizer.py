"""The process that describes content: `imsd.summarizer`, started by `imsd.summaries`.

Standard input is a socket that keeps packets apart. It says HELLO once, then answers each packet,
content in memory, by the time, its SHA-256 and the fields of its `Summary`, in the order in which they
came; by nothing but REFUSED where the answer would be too large or there is none. It ends with its input
and may be killed at any moment: who waits for an answer then makes it himself.
"""

from __future__ import annotations

import gc
import hashlib
import marshal
import signal
import socket
import sys
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Final

from protocols.message.summary import Summary, summarize

PACKET: Final = 256 * 1024
"""Octets that a question may have."""
ANSWER: Final = 64 * 1024
"""Octets that an answer may have."""
HELLO: Final = b"\x01"
REFUSED: Final = b"\x00"

_fields = attrgetter(*Summary.__slots__)


def main() -> int:
    # Ctrl-C in a terminal is for the server, which then ends our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    with socket.socket(fileno=0) as questions:
        questions.send(HELLO)
        while data := questions.recv(PACKET):
            questions.send(answer(data))
    return 0


def answer(data: bytes, clock: Callable[[], float] = time.time) -> bytes:
    try:
        summary = _fields(summarize(data))
        packed = marshal.dumps((clock(), hashlib.sha256(data).digest(), summary))
    except Exception:
        # The server does it itself, and tells whom it concerns.
        return REFUSED
    return packed if len(packed) <= ANSWER else REFUSED


def read(packed: memoryview) -> tuple[float, bytes, Summary] | None:
    """What an answer says, for the server; both processes are of one program."""
    if len(packed) <= 1:
        return None
    moment, digest, values = marshal.loads(packed)
    return moment, digest, Summary(*values)


if __name__ == "__main__":
    sys.exit(main())
