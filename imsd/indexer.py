"""The process that fills the search index: `python -m imsd.indexer`, started by `imsd.indexing`.

It is apart from the server so that decoding text takes nothing from it but processor time that
nobody else wants. What it is to do is said on standard input, first a line of JSON:
the home, the database's URL, the store's incarnation. Each further line wakes it; at the end of
the input it ends. It says "upto N" when it has got so far, and ends when there is nothing to do
for `PATIENCE` seconds. It may be killed at any moment.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Final

from imsd.store.search.indexer import Filler, Unusable, make_filler

PATIENCE: Final = 60.0
LOOK: Final = 2.0
"""Seconds between looks for new content while there was none."""
UNUSABLE: Final = 3
"""Exit status: the index must be removed first."""


def main() -> int:
    _give_way()
    # Ctrl-C in a terminal is for the server, which then ends our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        filler = make_filler(asked["url"], Path(asked["home"]), asked["incarnation"])
        if filler is not None:
            _fill(filler)
    except Unusable as error:
        print(f"unusable {error}", flush=True)
        return UNUSABLE
    return 0


def _give_way() -> None:
    """Take only the time that nobody else wants.

    Where there is a policy for that, its point is that whoever wakes runs at once: one with nice 19 keeps
    the processor to the end of its slice, a millisecond or more, and a message wakes somebody ten times.
    """
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        except OSError:
            pass  # A sandbox may forbid it; being nice is most of it.


def _fill(filler: Filler) -> None:
    idle = 0.0
    told = -1
    worked = False
    while True:
        more = filler.step()
        if worked and not more:
            filler.rest()
        worked = more
        if filler.upto != told:
            told = filler.upto
            print(f"upto {told}", flush=True)
        # An input at its end can always be read.
        ready, _, _ = select.select([sys.stdin], [], [], 0.0 if more else LOOK)
        if ready and not os.read(sys.stdin.fileno(), 4096):
            return
        idle = 0.0 if more or ready else idle + LOOK
        if idle >= PATIENCE:
            filler.tidy()
            return


if __name__ == "__main__":
    sys.exit(main())
