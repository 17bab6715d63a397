"""imsd and the C servers under the same load, one after the other, again and again.

    python -m benchmarks.compare [smtp] [pipelining] [imap] [ldap] [substrings] [modify] [names]
        [--rounds 3] [--seconds 4]

Rounds alternate between the two, so that a noisy machine is noisy for both; what is printed is
the median of each, and their ratio. Delivery counts when the message is in the mailbox: for
imsd that is its 250, for Postfix and Dovecot the time until the last accepted message was saved.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from benchmarks import imap, ldap, ldap_requests, peers, smtp
from imsd.config import STANDARD_PORTS

Figure = tuple[float, float]
"""Operations a second, seconds of CPU an operation."""
Run = Callable[[float], Figure]


def smtp_load(pipelining: bool, port: int, seconds: float) -> smtp.Load:
    return smtp.Load(
        port,
        argparse.Namespace(connections=10, messages=20, size=4096, pipelining=pipelining, seconds=seconds),
    )


def smtp_of_imsd(pipelining: bool) -> Run:
    def run(seconds: float) -> Figure:
        server = smtp.Server()
        try:
            before, started = server.cpu(), time.monotonic()
            load = smtp_load(pipelining, server.port, seconds)
            load.run()
            return load.done / (time.monotonic() - started), (server.cpu() - before) / load.done
        finally:
            server.stop()

    return run


def smtp_of_peer(pipelining: bool) -> Run:
    def run(seconds: float) -> Figure:
        peer = peers.Mail()
        try:
            before, started = peer.cpu(), time.monotonic()
            load = smtp_load(pipelining, peers.SMTP, seconds)
            load.run()
            give_up = time.monotonic() + 120
            while peer.delivered() < load.done and time.monotonic() < give_up:
                time.sleep(0.05)
            if peer.delivered() < load.done:
                raise SystemExit(f"{load.done} accepted, {peer.delivered()} delivered")
            return load.done / (time.monotonic() - started), (peer.cpu() - before) / load.done
        finally:
            peer.stop()

    return run


def imap_of_imsd(seconds: float) -> Figure:
    server = smtp.Server()
    try:
        server.ask("user.add", address="alice@example.test", password=imap.PASSWORD)
        port = STANDARD_PORTS["imap"] + smtp.OFFSET
        imap.logins(port, 8, 0.5)
        before, started = server.cpu(), time.monotonic()
        done = imap.logins(port, 8, seconds)
        return done / (time.monotonic() - started), (server.cpu() - before) / done
    finally:
        server.stop()


def imap_of_peer(seconds: float) -> Figure:
    peer = peers.Mail()
    try:
        imap.logins(peers.IMAP, 8, 0.5, peers.PASSWORD)
        before, started = peer.cpu(), time.monotonic()
        done = imap.logins(peers.IMAP, 8, seconds, peers.PASSWORD)
        return done / (time.monotonic() - started), (peer.cpu() - before) / done
    finally:
        peer.stop()


BASE = "dc=example,dc=test"
ADMINISTRATOR = "administrator@example.test"


def ldap_of_imsd(operation: str) -> Run:
    """A modification is of the administrator, anything else of a user."""

    def run(seconds: float) -> Figure:
        server = smtp.Server()
        try:
            requests = ldap_requests.REQUESTS[operation](BASE, f"cn=Recipients,ou=Main,{BASE}")
            who = ADMINISTRATOR if operation == "modify" else "user7@example.test"
            port = STANDARD_PORTS["ldap"] + smtp.OFFSET
            before = server.cpu()
            done, took = ldap.load(port, who, peers.PASSWORD, requests, seconds)
            return done / took, (server.cpu() - before) / done
        finally:
            server.stop()

    return run


def ldap_of_peer(operation: str) -> Run:
    def run(seconds: float) -> Figure:
        peer = peers.Directory()
        try:
            requests = ldap_requests.REQUESTS[operation](BASE, BASE)
            before = peer.cpu()
            done, took = ldap.load(peers.LDAP, f"cn=admin,{BASE}", peers.PASSWORD, requests, seconds)
            return done / took, (peer.cpu() - before) / done
        finally:
            peer.stop()

    return run


WORKLOADS: dict[str, tuple[str, Run, Run, tuple[str, ...]]] = {
    "smtp": (
        "4 KiB messages delivered",
        smtp_of_imsd(pipelining=False),
        smtp_of_peer(pipelining=False),
        ("postfix", "dovecot"),
    ),
    "pipelining": (
        "4 KiB messages delivered, in two round trips each",
        smtp_of_imsd(pipelining=True),
        smtp_of_peer(pipelining=True),
        ("postfix", "dovecot"),
    ),
    "imap": ("login, SELECT, LOGOUT", imap_of_imsd, imap_of_peer, ("postfix", "dovecot")),
    "ldap": ("searches by uid", ldap_of_imsd("equality"), ldap_of_peer("equality"), ("slapd",)),
    "substrings": (
        "searches by substring, 11 found",
        ldap_of_imsd("substrings"),
        ldap_of_peer("substrings"),
        ("slapd",),
    ),
    "modify": ("modifications", ldap_of_imsd("modify"), ldap_of_peer("modify"), ("slapd",)),
    "names": ("ambiguous names, 11 found", ldap_of_imsd("names"), ldap_of_peer("names"), ("slapd",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    for name in options.workloads:
        title, ours, theirs, programs = WORKLOADS[name]
        peer = peers.available(*programs)
        figures: dict[str, list[Figure]] = {"imsd": [], "peer": []}
        for _ in range(options.rounds):
            figures["imsd"].append(ours(options.seconds))
            if peer:
                figures["peer"].append(theirs(options.seconds))
        print(f"{title}, median of {options.rounds} rounds")
        rates, costs = {}, {}
        for who, values in figures.items():
            if not values:
                print(f"  {who}: {', '.join(programs)} cannot be run here")
                continue
            rate, cpu = (statistics.median(column) for column in zip(*values, strict=True))
            rates[who], costs[who] = rate, cpu
            label = "imsd" if who == "imsd" else " + ".join(programs)
            print(f"  {label}: {rate:,.0f}/s, {cpu * 1e6:,.0f} us CPU each")
        if len(rates) == 2:
            ratio = rates["imsd"] / rates["peer"]
            print(f"  ratio: {ratio:.2f}, of CPU each {costs['imsd'] / costs['peer']:.2f}")


if __name__ == "__main__":
    main()
