"""A root zone of a test's own, signed, and the resolver that validates it: Debian's unbound.

Without the package its tests are skipped, or fail on CI. All is on 127.0.0.1; it is stopped by its pid.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.servers import free_port

UNBOUND = shutil.which("unbound", path="/usr/sbin:/usr/bin")
START = """. 60 IN SOA ns. root. 1 60 60 60 60
. 60 IN NS ns.
ns. 60 IN A 127.0.0.1
"""


def available() -> None:
    if UNBOUND is None:
        if os.environ.get("IMSD_REQUIRE_CLIENTS") == "1":
            pytest.fail("unbound is not installed and IMSD_REQUIRE_CLIENTS=1")
        pytest.skip("unbound is not installed")


class Root:
    """Answers for the root zone over UDP: with `text` of more records, all signed but what `unsigned`
    delegates. forge: (name, type) to a text that was never signed."""

    def __init__(self, text: str, unsigned: str, forge: dict[tuple[str, str], str]) -> None:
        self._zone = dns.zone.from_text(
            f"{START}{text}{unsigned} 60 IN NS ns.\n", origin=dns.name.root, relativize=False
        )
        key = ec.generate_private_key(ec.SECP256R1())
        self.key = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
        dns.dnssec.sign_zone(self._zone, keys=[(key, self.key)], lifetime=86_400)
        for (name, kind), forged in forge.items():
            found = self._zone.find_rdataset(name, kind)
            found.clear()
            found.add(dns.rdata.from_text("IN", kind, forged))
        self._cut = dns.name.from_text(unsigned)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(4_096)
            if not data:
                self._socket.close()
                return
            self._socket.sendto(self._answer(data), peer)

    def _answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        answer = dns.message.make_response(query)
        name, kind = question.name, question.rdtype
        if name.is_subdomain(self._cut) and not (name == self._cut and kind == dns.rdatatype.DS):
            self._add(answer.authority, self._cut, dns.rdatatype.NS, signed=False)
            self._add(answer.authority, self._cut, dns.rdatatype.NSEC)
            return answer.to_wire(max_size=65_535)
        answer.flags |= dns.flags.AA
        if not self._add(answer.answer, name, kind):
            self._add(answer.authority, dns.name.root, dns.rdatatype.SOA)
            if self._zone.get_node(name) is not None:
                self._add(answer.authority, name, dns.rdatatype.NSEC)
            elif self._leads_to_something(name):
                self._add(answer.authority, self._before(name), dns.rdatatype.NSEC)
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
                closest = name.parent()
                while self._zone.get_node(closest) is None and not self._leads_to_something(closest):
                    closest = closest.parent()
                for missing in (name, dns.name.from_text("*", closest)):
                    self._add(answer.authority, self._before(missing), dns.rdatatype.NSEC)
        return answer.to_wire(max_size=65_535)

    def _leads_to_something(self, name: dns.name.Name) -> bool:
        """Whether it is there because of what is below it."""
        return any(each.is_subdomain(name) for each in self._zone)

    def _before(self, name: dns.name.Name) -> dns.name.Name:
        """Whose NSEC spans a name that is not there."""
        return max(each for each in self._zone if each < name and self._zone.get_rdataset(each, "NSEC"))

    def _add(
        self,
        section: list[dns.rrset.RRset],
        name: dns.name.Name,
        kind: dns.rdatatype.RdataType,
        signed: bool = True,
    ) -> bool:
        found = self._zone.get_rrset(name, kind)
        if found is None:
            return False
        if found not in section:
            section.append(found)
            signature = self._zone.get_rrset(name, dns.rdatatype.RRSIG, kind)
            if signed and signature is not None:
                section.append(signature)
        return True


class Unbound:
    """Validates from `root` down; what is below `stub` it asks another name server for."""

    def __init__(self, folder: Path, root: Root, stub: tuple[str, str]) -> None:
        available()
        self.port = free_port()
        name, server = stub
        self.log = folder / "unbound.log"
        (folder / "unbound.conf").write_text(
            f"""server:
    interface: 127.0.0.1@{self.port}
    port: {self.port}
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{self.log}"
    val-log-level: 2
    module-config: "validator iterator"
    trust-anchor: ". 60 IN DNSKEY {root.key.to_text()}"
    do-not-query-localhost: no
    local-zone: "test." nodefault
    num-threads: 1
    cache-max-ttl: 1
stub-zone:
    name: "."
    stub-addr: 127.0.0.1@{root.port}
    stub-prime: no
stub-zone:
    name: "{name}"
    stub-addr: {server.replace(":", "@")}
remote-control:
    control-enable: no
"""
        )
        assert UNBOUND is not None
        # A copy: where AppArmor knows the package's own, it may read no folder of a test's.
        program = shutil.copy(UNBOUND, folder / "unbound")
        self._process = subprocess.Popen([program, "-d", "-c", folder / "unbound.conf"])
        limit = time.monotonic() + 20
        while "start of service" not in (self.log.read_text() if self.log.exists() else ""):
            assert self._process.poll() is None, f"unbound ended with {self._process.returncode}"
            assert time.monotonic() < limit, "unbound does not start"
            time.sleep(0.05)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
