"""What attacks on IMAP4 and POP3 cost the others: latency of a quiet client beside each.

    python -m benchmarks.hostile [--seconds 4] [--messages 10000] [NAME ...]

`twistd imsd` serves a temporary home. Each attack (tests/support/hostile.py) runs in a process
of its own for some seconds, while this process does NOOP, FETCH and STATUS as somebody else
every few milliseconds; the same without an attack right before says what the machine gives.
Printed: p50, p99 and the longest wait in milliseconds, without and with; how much resident
memory grew; turns of the reactor over 50 ms that the server logged, with the verb.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import re
import tempfile
import time
from pathlib import Path

from tests.support import hostile
from tests.support.hostile import Quiet
from tests.support.servers import DOMAIN, PASSWORD, RunningServer, free_offset

MAILBOXES = 10_000
_BUSY = re.compile(r"busy for (\d+) ms, last with (.*)")


def shown(waits: list[float]) -> str:
    p50, p99 = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    return f"{p50 * 1e3:7.1f} {p99 * 1e3:7.1f} {waits[-1] * 1e3:7.1f}"


@contextlib.contextmanager
def running(messages: int):  # type: ignore[no-untyped-def]
    """A server with alice, who will be attacked as, and bob, who is quiet."""
    with tempfile.TemporaryDirectory() as folder:
        offset = free_offset()
        server = RunningServer(Path(folder) / "home", offset)
        server.home.mkdir()
        server.imsctl(
            *("setup", "--yes", "--domain", DOMAIN, "--listen", "127.0.0.1", "--hostname", "localhost"),
            *("--port-offset", str(offset), "--admin-password", PASSWORD),
        )
        server.start()
        try:
            for name, count in (("alice", messages), ("bob", 100)):
                server.add_user(name)
                hostile.fill(hostile.imap(aim(server, name, 60)), count)
            yield server
        finally:
            server.stop()


def aim(server: RunningServer, name: str, seconds: float) -> hostile.Aim:
    until = time.monotonic() + seconds
    return hostile.Aim(server.port("imap"), server.port("pop3"), server.address(name), PASSWORD, until)


def measure(server: RunningServer, quiet: Quiet, name: str, seconds: float) -> bool:
    """One attack; whether the server and the quiet session outlived it."""
    assert server.process is not None
    if name == "notifying":
        hostile.mailboxes(hostile.imap(aim(server, "alice", 120)), MAILBOXES)
    before, _ = quiet.watch(min(seconds, 1.5))
    start, log = hostile.resident(server.process.pid), len(server.log)
    attack = multiprocessing.get_context("fork").Process(
        target=hostile.ATTACKS[name], args=(aim(server, "alice", seconds),)
    )
    attack.start()
    waits, most = quiet.watch(seconds)
    attack.join(seconds + 10)
    if attack.is_alive():
        attack.kill()
    said = server.log[log:]
    turns = sorted(((int(ms), verb) for ms, verb in _BUSY.findall(said)), reverse=True)
    longest = f"{len(turns)} x >50 ms, {turns[0][0]} ms {turns[0][1]}" if turns else ""
    bugs = f" {said.count('Traceback')} TRACEBACKS" if "Traceback" in said else ""
    failed = f" attack ended with {attack.exitcode}" if attack.exitcode else ""
    print(
        f"{name:15} {shown(before)}  {shown(waits)} {(most - start) / hostile.MIB:8.1f}  "
        f"{longest}{bugs}{failed}",
        flush=True,
    )
    if bugs:
        print(said[said.index("Traceback") : said.index("Traceback") + 3000])
    return server.process.poll() is None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(hostile.ATTACKS))
    options = parser.parse_args()
    print(f"{'':15} {'without':^23}  {'with the attack':^23}")
    print(
        f"{'attack':15} {'p50':>7} {'p99':>7} {'max':>7}  {'p50':>7} {'p99':>7} {'max':>7} {'MiB':>8}  turns"
    )
    with running(options.messages) as server:
        quiet = Quiet(server)
        quiet.ask(b"SELECT INBOX")
        for name in options.names:
            if not measure(server, quiet, name, options.seconds):
                raise SystemExit("the server is gone")


if __name__ == "__main__":
    main()
