"""Two real servers that send each other mail under TLS: REQUIRETLS, reports on TLS."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import smtplib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography import x509

from tests.support.certificates import Authority
from tests.support.clients import poll, subjects, texts
from tests.support.nameserver import NameServer
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

BAD = ("bad.test", "worse.test")


class Lab:
    """here: bob@example.test, also example.test's people in here.test. there: jean, in there.test."""

    def __init__(self, here: RunningServer, there: RunningServer, folder: Path) -> None:
        self.here, self.there = here, there
        self.names, self.authority = NameServer(), Authority(folder, "authority")
        self.names.secure.add("")
        for server, name in ((here, "here.test"), (there, "there.test")):
            self.certify(server, f"mx.{name}", "localhost")
            self.names.zone[name, "MX"] = [f"10 mx.{name}."]
            self.names.zone[f"mx.{name}", "A"] = ["127.0.0.1"]

    def certify(self, server: RunningServer, *names: str) -> None:
        """Give a server another certificate; it reads it again by itself."""
        text = self.authority.sign(names[0], *map(x509.DNSName, names)).read_text()
        # With its authority, which clients of the tests trust that read it.
        (server.home / "tls/server.crt").write_text(text + self.authority.file.read_text())
        (server.home / "tls/server.key").write_text(text)

    def set(self, server: RunningServer, **values: Any) -> None:
        for key, value in values.items():
            server.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def send(self, to: str, subject: str, options: tuple[str, ...] = (), header: str = "") -> str:
        """Submit by bob; the queue id."""
        bob = self.here.address("bob")
        with smtplib.SMTP("localhost", self.here.port("submission"), timeout=20) as smtp:
            smtp.ehlo()
            assert not smtp.has_extn("REQUIRETLS")
            smtp.starttls()
            smtp.login(bob, PASSWORD)
            smtp.ehlo()
            assert smtp.has_extn("REQUIRETLS")
            assert smtp.mail(bob, options)[0] == 250 and smtp.rcpt(to)[0] == 250
            code, said = smtp.data(f"From: {bob}\r\nTo: {to}\r\nSubject: {subject}\r\n{header}\r\nhi\r\n")
        found = re.search(rb"queued as (\w+)", said)
        assert code == 250 and found is not None
        return found[1].decode()

    def told(self, server: RunningServer, what: str, event: str) -> list[str]:
        return [one["reason"] for one in server.ask("track", what=what) if one["event"] == event]


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    here, there = make_server(start=False), make_server(start=False)
    one = Lab(here, there, tmp_path_factory.mktemp("certificates"))
    for server, other, domain, alias in (
        (here, there, "here.test", "bob"),
        (there, here, "there.test", "jean"),
    ):
        server.start()
        server.add_user(alias)
        one.set(
            server,
            addressing__domains=[domain, *BAD] if domain == "there.test" else [domain],
            routing__catch_all={domain: server.address(alias)},
            ims__delivery__nameservers=[one.names.address],
            ims__delivery__port=other.port("smtp"),
            ims__delivery__loopback_check=False,
            ims__tls__ca_file=str(one.authority.file),
            ims__retry__profile="intervals",
            ims__retry__intervals=[0.0003],
        )
    yield one
    one.names.close()
    for server in (here, there):
        server.stop()
        assert "Traceback" not in server.log, server.log[-3000:]


def test_a_message_that_requires_tls_keeps_that_from_server_to_server(lab: Lab) -> None:
    queue_id = lab.send("jean@there.test", "guarded", ("REQUIRETLS",))
    poll(lambda: "guarded" in subjects(lab.there, "jean"))
    assert "TLS required" in lab.told(lab.here, queue_id, "accepted")[0]
    (came,) = lab.told(lab.there, "bob@example.test", "accepted")
    assert "TLS required" in came and came.startswith("ESMTPS")
    told = lab.here.imsctl("track", "--wanted", "requiretls", "--verified", "pkix", "--json").stdout
    (event,) = [one for one in json.loads(told) if one["queue_id"] == queue_id]
    assert event["tls"]["reached"] == "TLSv1.3" and event["tls"]["name"] == "mx.there.test"
    assert json.loads(lab.here.imsctl("track", queue_id, "--reached", "clear", "--json").stdout) == []


def test_it_comes_back_from_a_server_that_does_not_promise_it(lab: Lab) -> None:
    lab.set(lab.there, smtp__requiretls=False)
    lab.send("jean@there.test", "not promised", ("REQUIRETLS",))
    poll(lambda: any(b"Status: 5.7.30" in text for text in texts(lab.here, "bob")))
    assert "not promised" not in subjects(lab.there, "jean")
    lab.set(lab.there, smtp__requiretls=True)


def fail(lab: Lab, domain: str = "bad.test") -> str:
    """A domain of there has a TLSA record of another certificate, and mail to it is tried."""
    port = lab.there.port("smtp")
    lab.names.zone[domain, "MX"] = [f"10 mx.{domain}."]
    lab.names.zone[f"mx.{domain}", "A"] = ["127.0.0.1"]
    lab.names.zone[f"_{port}._tcp.mx.{domain}", "TLSA"] = ["3 1 1 " + "ab" * 32]
    queue_id = lab.send(f"jean@{domain}", "not to arrive")
    poll(lambda: lab.told(lab.here, queue_id, "deferred"))
    lab.here.ask("queue.delete", messages=[queue_id], ndr=False)
    return domain


def test_a_certificate_that_fails_is_reported_to_who_asks_for_it(lab: Lab) -> None:
    failing = fail(lab)
    told = lab.here.imsctl("tls", "results", "--domain", failing).stdout
    assert "\tbad.test\ttlsa\tvalidation-failure\t" in told
    lab.set(lab.there, tls_reports__address=lab.there.address("jean"))
    lab.names.zone[f"_smtp._tls.{failing}", "TXT"] = ['"v=TLSRPTv1; rua=mailto:tls@there.test"']
    assert "mailto:tls@there.test: mailed: " in lab.here.imsctl("tls", "send", failing).stdout
    poll(lambda: lab.there.ask("tls.reports.list"))
    (listed,) = json.loads(lab.there.imsctl("tls", "reports", "list", "--json").stdout)
    assert listed["domains"] == ["mx.bad.test"] and listed["failures"] >= 1
    assert (listed["organization"], listed["submitter"]) == ("Example", "example.test")
    shown = lab.there.imsctl("tls", "reports", "show", listed["name"]).stdout
    assert "mx.bad.test: tlsa" in shown and f"3 1 1 {'ab' * 32}" in shown
    assert re.search(r"validation-failure\t\d+\tmx.bad.test\t127.0.0.1\t", shown)
    poll(lambda: any(b"TLS-Report-Domain: bad.test" in text for text in texts(lab.there, "jean")))


def test_explaining_a_route_tells_how_each_host_is_protected(lab: Lab) -> None:
    def told(address: str) -> str:
        explained: str = lab.here.imsctl("route", "explain", address, "--from", "bob@example.test").stdout
        return explained

    port = lab.there.port("smtp")
    text = told("x@bad.test")
    assert (
        f"mx.bad.test[127.0.0.1]:{port}: TLS, with a certificate that DNSSEC names (1 TLSA records)" in text
    )
    why = "by mail they need a DKIM key for our domain"
    assert f"reports on TLS: wanted at mailto:tls@there.test; sent to nobody ({why})" in text
    text = told("x@there.test")
    assert f"mx.there.test[127.0.0.1]:{port}: TLS where it is offered, whoever is there" in text
    assert f"{port}, REQUIRETLS: TLS, with a certificate for mx.there.test of an authority" in text
    assert "reports on TLS: there.test asks for none" in text
    lab.names.secure.clear()
    lab.names.zone["plain.test", "MX"] = ["10 mx.plain.test."]
    lab.names.zone["mx.plain.test", "A"] = ["127.0.0.1"]
    text = told("x@plain.test")
    lab.names.secure.add("")
    assert "REQUIRETLS is not used: neither DNSSEC nor MTA-STS vouches for mx.plain.test" in text


def test_a_report_goes_by_https(lab: Lab) -> None:
    failing = fail(lab, "worse.test")
    posted: list[tuple[str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, self.headers["Content-Type"], body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lab.authority.sign("reports.test", x509.DNSName("reports.test")))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lab.names.zone["reports.test", "A"] = ["127.0.0.1"]
        uri = f"https://reports.test:{server.server_address[1]}/v1/tls"
        lab.names.zone[f"_smtp._tls.{failing}", "TXT"] = [f'"v=TLSRPTv1; rua={uri}"']
        assert lab.here.imsctl("tls", "send", failing).stdout == f"{uri}: posted: 201\n"
        server.shutdown()
    ((path, kind, body),) = posted
    made = json.loads(gzip.decompress(body))
    assert (path, kind) == ("/v1/tls", "application/tlsrpt+gzip")
    assert made["policies"][0]["summary"]["total-failure-session-count"] >= 1


def test_what_people_here_write_is_signed_when_it_leaves(lab: Lab) -> None:
    made = lab.here.imsctl("dkim", "create", "example.test", "--selector", "first", "--json").stdout
    keys = json.loads(made)
    assert [key["algorithm"] for key in keys] == ["rsa", "ed25519"]
    refused = lab.here.imsctl("dkim", "check", check=False)
    assert refused.returncode == 1 and "firste._domainkey.example.test\ted25519\t" in refused.stdout
    for line in lab.here.imsctl("dkim", "show", "example.test").stdout.splitlines():
        name, _, record = line.partition(". IN TXT ")
        lab.names.zone[name, "TXT"] = [record]
    assert lab.here.imsctl("dkim", "check").stdout.count("\tpublished\n") == 2
    queue_id = lab.send("jean@there.test", "signed")
    poll(lambda: "signed" in subjects(lab.there, "jean"))
    (raw,) = [text for text in texts(lab.there, "jean") if b"Subject: signed" in text]
    records = {f"{key['name']}.".encode(): key["record"].encode() for key in keys}
    for number in range(2):
        assert dkim.DKIM(raw).verify(number, dnsfunc=lambda name, timeout=5: records[name])
    assert not dkim.verify(raw.replace(b"hi\r\n", b"ho\r\n"), dnsfunc=lambda name, timeout=5: records[name])
    assert lab.told(lab.here, queue_id, "signed") == [
        "by DKIM, d=example.test s=firstr; d=example.test s=firste"
    ]
    # Stored sealed, and shown to nobody.
    assert "sealed:" in lab.here.imsctl("settings", "get", "dkim.keys", "--json").stdout
    lab.here.imsctl("dkim", "retire", "example.test", "firstr")
    lab.here.imsctl("dkim", "delete", "--yes", "example.test", "firste")
    lab.send("jean@there.test", "bare")
    poll(lambda: "bare" in subjects(lab.there, "jean"))
    (raw,) = [text for text in texts(lab.there, "jean") if b"Subject: bare" in text]
    assert b"DKIM-Signature" not in raw
    lab.here.imsctl("settings", "reset", "dkim.keys")
