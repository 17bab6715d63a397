"""Many entries in and out of the running server: `imsctl directory import` and `export`.

    python -m benchmarks.directory [--entries 100000]

People of ten attributes each, with their mailboxes, and a list of a hundred of them for each
hundred. Meanwhile a client logs in to LDAP and looks one of them up, ten times a second: the
waits it has are shown. CPU is the server's.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import ldap3

from benchmarks.imap import cpu, resident
from tests.support.servers import DOMAIN, PASSWORD, RunningServer, free_offset


def write(path: Path, count: int, base: str) -> None:
    with path.open("w") as file:
        file.write("version: 1\n\n")
        for at in range(count):
            file.write(
                f"dn: cn=person{at},{base}\nobjectClass: inetOrgPerson\ncn: Given{at} Surname{at}\n"
                f"sn: Surname{at}\ngivenName: Given{at}\nuid: person{at}\nmail: person{at}@{DOMAIN}\n"
                f"telephoneNumber: +49 30 {at}\ntitle: Engineer\nl: Berlin\n\n"
            )
            if at % 100 == 99:
                members = "".join(f"member: cn=person{n},{base}\n" for n in range(at - 99, at + 1))
                file.write(f"dn: cn=team{at},{base}\nobjectClass: groupOfNames\ncn: Team {at}\n{members}\n")


def look_up(port: int, base: str, stop: threading.Event, waits: list[float]) -> None:
    server = ldap3.Server("127.0.0.1", port=port, get_info=ldap3.NONE)
    while not stop.wait(0.1):
        start = time.perf_counter()
        with ldap3.Connection(server, f"alice@{DOMAIN}", PASSWORD) as connection:
            connection.search(base, "(uid=alice)", attributes=["cn"])
        waits.append(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imsd-benchmark-") as folder:
        offset = free_offset()
        server = RunningServer(Path(folder) / "home", offset)
        server.home.mkdir()
        server.imsctl(
            *("setup", "--yes", "--domain", DOMAIN, "--listen", "127.0.0.1", "--hostname", "localhost"),
            *("--port-offset", str(offset), "--admin-password", PASSWORD),
        )
        server.start()
        try:
            measure(server, Path(folder), options.entries)
        finally:
            server.stop()


def imsctl(server: RunningServer, *arguments: str) -> str:
    """Without the tests' time limit."""
    command = (sys.executable, "-m", "imsd.ctl", "--home", str(server.home), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800).stdout


def measure(server: RunningServer, folder: Path, count: int) -> None:
    server.add_user("alice")
    described = server.imsctl("directory", "export").stdout
    found = re.search(r"^dn: (cn=Recipients,.*)$", described, re.MULTILINE)
    assert found is not None
    file = folder / "people.ldif"
    write(file, count, found[1])
    total = count + count // 100
    assert server.process is not None
    pid = server.process.pid
    waits: list[float] = []
    stop = threading.Event()
    other = threading.Thread(target=look_up, args=(server.port("ldap"), found[1], stop, waits))
    other.start()
    for words, command in (
        ("import", ("directory", "import", str(file))),
        ("import again", ("directory", "import", str(file))),
        ("export", ("directory", "export", str(folder / "out.ldif"))),
    ):
        waits.clear()
        used, start = cpu(pid), time.monotonic()
        said = imsctl(server, *command).strip().splitlines()[-1]
        seconds = time.monotonic() - start
        each = (cpu(pid) - used) / total * 1e6
        late = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else 0.0
        print(
            f"{words}: {total} entries in {seconds:.1f} s, {each:.0f} us CPU each; "
            f"a login and search meanwhile {statistics.median(waits) * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms; "
            f"{resident(pid) >> 20} MiB ({said})",
            flush=True,
        )
    stop.set()
    other.join()


if __name__ == "__main__":
    main()
