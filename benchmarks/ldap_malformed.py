"""Malformed LDAP by the million: python -m benchmarks.ldap_malformed [COUNT] [SEED].

One process, a door with a few entries, connections one after the other and a neighbour that must be
answered. Prints what became of the messages, how many a second, and the memory before and after.
"""

from __future__ import annotations

import resource
import sys
import time

from tests.support.malformed import besieged

STEP = 50_000


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    siege = besieged(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    siege.run(STEP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    for done in range(STEP, count + STEP, STEP):
        siege.run(STEP)
        print(f"{done} messages, {done / (time.monotonic() - start):.0f}/s", flush=True)
    took = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{count} messages, {count / took:.0f}/s: {dict(siege.outcomes)}")
    print(f"largest resident set {before // 1024} MiB after {STEP}, {after // 1024} MiB after {count}")


if __name__ == "__main__":
    main()
