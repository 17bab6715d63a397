"""How the queue behaves when it is long: start-up, memory, and the cost of a claim.

    python -m benchmarks.queue [--sizes 1000,100000,1000000] [--domains 1000]

For each size: a store of its own is filled directly, then a child process opens it, starts the
service's queue runner (with all connections refused before any is made: nothing is sent) and measures

- start_s: seconds from opening the store to a runner that claims,
- rss_mib: the child's resident memory then,
- claim_us: microseconds for each recipient claimed in units of 100 and given back again, and
- promote_us: microseconds for each recipient made ready,
- storm_s and storm_rss_mib: the same start when everything is due at once and no host answers: seconds
  until all of it is ready, and the memory then; storm_start_s and storm_first_s: until the runner has
  started, and until the first message asks for its way; storm_late_ms: the longest turn of the reactor.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from imsd.mail.delivery import Delivery
from imsd.mail.names import Answer, Names
from imsd.mail.queue import QueueRunner
from imsd.settings import PAGES, LiveSettings
from imsd.store import claims, spool, tables
from imsd.store.blobs import Blobs, keep, new_blob
from imsd.store.database import Database
from imsd.store.transaction import Unit

PER_MESSAGE = 100
HOUR = 3_600_000_000


def fill(unit: Unit, first: int, count: int, domains: int, due: int) -> None:
    """Some messages of 100 recipients each; the recipients' domains are spread."""
    blob = keep(unit, new_blob(b"Subject: benchmark\r\n\r\nhello\r\n"))
    for at in range(first, first + count, PER_MESSAGE):
        time_ = tables.now()
        message = spool.NewMessage(
            f"Q{at}", blob, 30, f"sender{at % 977}@example.test", time_, time_ + 72 * HOUR
        )
        rows = [
            spool.NewRecipient(f"r{n}@d{n % domains}.test", f"d{n % domains}.test", due + n)
            for n in range(at, at + min(PER_MESSAGE, first + count - at))
        ]
        spool.enqueue(unit, message, rows)


class Nobody:
    """A directory without anybody."""

    class domains:
        served = ("example.test",)

    def serves(self, domain: str) -> bool:
        return domain == "example.test"


async def prepare(home: Path, size: int, domains: int) -> None:
    database = await Database.open("sqlite", home, reactor)
    due = tables.now() + 24 * HOUR
    for at in range(0, size, 5_000):
        await database.write(fill, at, min(5_000, size - at), domains, due)
    await database.close()


async def measure(home: Path, size: int) -> dict[str, Any]:
    started = time.perf_counter()
    database = await Database.open("sqlite", home, reactor)
    settings = LiveSettings(PAGES)
    settings.replace({"ims.limits.outbound": "1"})
    directory: Any = Nobody()
    delivery = Delivery(database, directory, settings)
    runner = QueueRunner(database, delivery, directory, settings, Blobs(database), reactor, "bench.test")
    await runner.start()
    await runner.idle()
    start = time.perf_counter() - started
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await runner.stop()
    # Now everything is due: one piece is made ready, then claimed and given back, over and over.
    later = tables.now() + 25 * HOUR
    took = time.perf_counter()
    promoted = 0
    for _ in range(20):
        promoted += await database.write(claims.promote, later)
    promote = time.perf_counter() - took
    took, claimed = time.perf_counter(), 0
    for _ in range(30):
        lanes = await database.read(claims.lanes)
        found = await database.write(claims.claim_ready, [each.domain for each in lanes], later, 100)
        claimed += sum(len(each.recipients) for each in found)
    claim = time.perf_counter() - took
    await database.close()
    return {
        "recipients": size,
        "start_s": round(start, 2),
        "rss_mib": round(rss),
        "promote_us": round(promote / max(1, promoted) * 1e6),
        "claim_us": round(claim / max(1, claimed) * 1e6),
    }


async def storm(home: Path, size: int) -> dict[str, Any]:
    """Everything is due, and nobody answers."""
    database = await Database.open("sqlite", home, reactor)
    await database.write(hurry)
    settings = LiveSettings(PAGES)
    directory: Any = Nobody()
    delivery = Delivery(database, directory, settings)
    first = 0.0

    def ask(fn: Any, *given: Any) -> Deferred[Any]:
        nonlocal first
        first = first or time.perf_counter() - started
        return Deferred()

    never = Names(reactor, ask, lambda name, kind: Answer((), 0))
    started = last = time.perf_counter()
    longest = 0.0

    def tick() -> None:
        nonlocal last, longest
        longest, last = max(longest, time.perf_counter() - last - 0.01), time.perf_counter()

    ticking = task.LoopingCall(tick)
    ticking.start(0.01)
    runner = QueueRunner(
        database, delivery, directory, settings, Blobs(database), reactor, "bench.test", names=never
    )
    await runner.start()
    start = time.perf_counter() - started
    while True:
        due = await database.read(spool.next_due)
        if due is None or due > tables.now():
            break
        await task.deferLater(reactor, 0.1, lambda: None)
    took = time.perf_counter() - started
    ticking.stop()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stopping = runner.stop()
    runner._give_up()
    await stopping
    await database.close()
    return {
        "recipients": size,
        "storm_start_s": round(start, 2),
        "storm_first_s": round(first, 2),
        "storm_s": round(took, 1),
        "storm_rss_mib": round(rss),
        "storm_late_ms": round(longest * 1000, 1),
    }


def hurry(unit: Unit) -> None:
    unit._execute("UPDATE queue_recipient SET due = 1, lease = 0, ready = 0, token = x''", ())
    unit._execute("DELETE FROM queue_lane", ())


def run(what: Any) -> Any:
    """Run a coroutine in the reactor; its result."""
    found: list[Any] = []

    def main(_: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(what).addCallback(found.append)

    try:
        task.react(main)
    except SystemExit as end:
        if end.code:
            raise
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--domains", type=int, default=1_000)
    parser.add_argument("--prepare", nargs=2, metavar=("HOME", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--storm", nargs=2, metavar=("HOME", "SIZE"), help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, metavar=("HOME", "SIZE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        run(prepare(Path(given.prepare[0]), int(given.prepare[1]), given.domains))
        return
    if given.storm:
        print(json.dumps(run(storm(Path(given.storm[0]), int(given.storm[1])))))
        return
    if given.measure:
        print(json.dumps(run(measure(Path(given.measure[0]), int(given.measure[1])))))
        return
    for size in given.sizes.split(","):
        with tempfile.TemporaryDirectory() as home:
            (Path(home) / "data").mkdir()
            common = [sys.executable, "-m", "benchmarks.queue", "--domains", str(given.domains)]
            subprocess.run([*common, "--prepare", home, size], check=True)
            subprocess.run([*common, "--measure", home, size], check=True)
            subprocess.run([*common, "--storm", home, size], check=True)


if __name__ == "__main__":
    main()
