"""Durable 4 KiB appends into mailboxes: one by one, and in groups. Ends within ten seconds.

    python -m benchmarks.store [--url sqlite|postgresql://...] [--folder DIR]

Each append is what delivery does: content with its summary, a mailbox row, counters, the change;
the count is of appends whose COMMIT returned. The folder decides which disk is measured.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from imsd.store import messages, settings
from imsd.store.blobs import NewBlob, new_blob
from imsd.store.database import Database
from imsd.store.ids import AccountId
from protocols.message.summary import summarize
from tests.support.mail import make_account
from tests.support.stores import StoreReactor, open_store, run

ACCOUNTS = 10
GROUP = 200


def letters(count: int) -> list[NewBlob]:
    """Different 4 KiB messages, as the session would have built them."""
    made = []
    for number in range(count):
        head = f"From: a@example.test\r\nTo: b@example.test\r\nSubject: {number}\r\n\r\n".encode()
        data = head + (os.urandom(24).hex() + "\r\n").encode() * 80
        made.append(new_blob(data, summarize(data)))
    return made


def append(database: Database, number: int, new: NewBlob) -> object:
    account = AccountId(1 + number % ACCOUNTS)
    to = [messages.Delivery(account)]
    return database.write(messages.deliver, to, new, 1_700_000_000_000_000, account=account)


def report(name: str, count: int, started: float, cpu: float) -> None:
    seconds = time.perf_counter() - started
    used = (_cpu() - cpu) * 1e6 / count
    print(f"{name:28} {count / seconds:10,.0f}/s   {used:7.0f} us CPU each")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(database: Database, seconds: float) -> None:
    for account in range(1, ACCOUNTS + 1):
        make_account(database, AccountId(account))
    waiting = letters(500)
    started, cpu = time.perf_counter(), _cpu()
    done = 0
    while done < len(waiting) and time.perf_counter() - started < seconds:
        run(append(database, done, waiting[done]))  # type: ignore[arg-type]
        done += 1
    report("appends, one by one", done, started, cpu)
    waiting = letters(8000)
    started, cpu = time.perf_counter(), _cpu()
    done = 0
    while done < len(waiting) and time.perf_counter() - started < seconds:
        group = [append(database, n, waiting[n]) for n in range(done, done + GROUP)]
        for write in group:
            run(write)  # type: ignore[arg-type]
        done += GROUP
    report(f"appends, {GROUP} at once", done, started, cpu)
    started, cpu = time.perf_counter(), _cpu()
    done = 0
    while done < 20_000 and time.perf_counter() - started < seconds:
        units = [database.write(settings.change, {"a.b": "1"}) for _ in range(GROUP)]
        for unit in units:
            run(unit)
        done += GROUP
    report(f"small units, {GROUP} at once", done, started, cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--url", default="sqlite")
    parser.add_argument("--folder", default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        from tests.support import stores

        stores._reactor = StoreReactor()
        database = open_store(Path(folder), options.url)
        try:
            measure(database, 2.5)
        finally:
            run(database.close())


if __name__ == "__main__":
    main()
