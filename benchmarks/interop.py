"""A two-way synchronisation by isync: thousands of messages, changed on both sides, end the same.

    python -m benchmarks.interop [--messages 10000]

Printed: seconds of the first synchronisation, and of the one after flags on a quarter and deletions of a
tenth on each side and a twentieth new here; then whether both sides hold the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.hostile import running
from tests.support.clients import imap
from tests.support.maildirs import (
    Box,
    append,
    change_far,
    change_near,
    far_messages,
    letters,
    mbsync,
    near_messages,
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=10_000)
    count = parser.parse_args().messages
    with running(100) as server, tempfile.TemporaryDirectory() as folder:
        server.add_user("carol")
        far = imap(server, "carol")
        append(far, "INBOX", letters(count))
        sync = mbsync(server, "carol", Path(folder))
        started = time.perf_counter()
        sync()
        print(f"{count} messages here: {time.perf_counter() - started:.1f} s")
        near = Box(Path(folder) / "mail/INBOX")
        change_far(far, count)
        change_near(near, count)
        started = time.perf_counter()
        sync()
        print(f"changes of both sides: {time.perf_counter() - started:.1f} s")
        sync()
        mine, yours = near_messages(near), far_messages(far, "INBOX")
        if mine != yours:
            raise SystemExit(f"{len(mine)} messages here and {len(yours)} there are not the same")
        print(f"{len(mine)} messages on both sides, the same")


if __name__ == "__main__":
    main()
