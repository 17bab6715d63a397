"""What other domains publish of their exchangers: DANE and MTA-STS, over real DNS, HTTPS and SMTP."""

from __future__ import annotations

import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import dnssec
from tests.support.certificates import Authority
from tests.support.clients import poll
from tests.support.faulty import Faulty
from tests.support.servers import RunningServer
from tests.system.test_transport import Lab, lab, world  # noqa: F401

pytestmark = pytest.mark.system


def record(pem: Path, usage: int, selector: int = 1, matching: int = 1) -> str:
    """The text of a TLSA record for a certificate."""
    certificate = x509.load_pem_x509_certificate(
        b"-----BEGIN CERT" + pem.read_bytes().partition(b"-----BEGIN CERT")[2]
    )
    data = certificate.public_bytes(Encoding.DER)
    if selector == 1:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if matching:
        data = hashlib.new("sha256" if matching == 1 else "sha512", data).digest()
    return f"{usage} {selector} {matching} {data.hex()}"


def with_chain(lab: Lab, pair: Path) -> Path:  # noqa: F811
    """The pair with its authority behind it, as a server with DANE-TA sends it."""
    file = lab.folder / f"chain-{pair.name}"
    file.write_bytes(pair.read_bytes() + lab.authority.file.read_bytes())
    return file


def publish(lab: Lab, *records: str, number: int = 1) -> str:  # noqa: F811
    name = f"_{lab.port}._tcp.mx{number}.{lab.domain}"
    lab.names.zone[name, "TLSA"] = list(records)
    return name


@pytest.fixture(autouse=True)
def signed(lab: Lab) -> Iterator[None]:  # noqa: F811
    lab.names.secure.add("")
    yield
    lab.names.secure.clear()
    lab.names.broken.clear()


@pytest.mark.parametrize(("selector", "matching"), [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)])
def test_a_certificate_that_dnssec_names_needs_no_authority(
    lab: Lab,  # noqa: F811
    selector: int,
    matching: int,
) -> None:
    pair = Authority(lab.folder, "unknown").sign("expired and for nobody", days=-1)
    host = lab.host(1, pair=pair)
    publish(lab, record(pair, 3, selector, matching))
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()
    assert "(TLS dane: TLSv1.3, verified by DANE)" in lab.told(queue_id, "relayed")[0]
    assert host.sni == [f"mx1.{lab.domain}"]


@pytest.mark.parametrize(
    ("name", "more", "fine"),
    [
        ("mx1.DOMAIN", {}, True),
        ("DOMAIN", {}, True),
        ("other.DOMAIN", {}, False),
        ("mx1.DOMAIN", {"days": -1}, False),
    ],
    ids=str,
)
def test_a_trust_anchor_needs_dates_and_a_name(
    lab: Lab,  # noqa: F811
    name: str,
    more: dict[str, int],
    fine: bool,
) -> None:
    host = lab.host(1, pair=with_chain(lab, lab.certified(name.replace("DOMAIN", lab.domain), **more)))
    publish(lab, record(lab.authority.file, 2, 0, 1))
    queue_id = lab.send(f"carol@{lab.domain}")
    if fine:
        poll(lambda: host.taken)
        lab.gone()
        assert "verified by DANE" in lab.told(queue_id, "relayed")[0]
    else:
        assert "TLS, wanted by DANE" in lab.tried()["last_error"]
        assert "MAIL" not in host.verbs()


def test_dane_cannot_be_stripped(lab: Lab) -> None:  # noqa: F811
    """STARTTLS that is gone, another certificate, a TLSA look-up that fails: the next host, or nobody."""
    pair = lab.certified(f"mx1.{lab.domain}")
    bare, other = lab.host(1), lab.host(2, pair=lab.certified("intruder.test"))
    hidden, right = lab.host(3, pair=pair), lab.host(4, pair=pair)
    for number in (1, 2, 4):
        publish(lab, record(pair, 3), number=number)
    lab.names.broken.add((f"_{lab.port}._tcp.mx3.{lab.domain}", "TLSA"))
    lab.send(f"carol@{lab.domain}")
    poll(lambda: right.taken)
    lab.gone()
    assert not bare.taken and not other.taken and not hidden.connections
    assert bare.connections == other.connections == 1
    told = lab.here.imsctl("route", "explain", f"x@{lab.domain}", "--from", "bob@example.test").stdout
    assert "DANE asks for TLS" in told and "is not used: TLSA look-up failed" in told


def test_without_dnssec_there_is_no_dane(lab: Lab) -> None:  # noqa: F811
    lab.names.secure.clear()
    host = lab.host(1)
    name = publish(lab, "3 1 1 " + "00" * 32)
    lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    assert (name, "TLSA") not in lab.names.asked
    assert any("do not validate by DNSSEC" in one["text"] for one in lab.here.ask("check"))
    lab.set(ims__security=[{"domain": lab.domain, "tls": "dane"}])
    assert any(one["level"] == "error" and "dane is wanted" in one["text"] for one in lab.here.ask("check"))
    lab.send(f"dan@{lab.domain}")
    assert "DNSSEC names no certificate" in lab.tried()["last_error"]


@pytest.fixture
def validated(lab: Lab, tmp_path: Path) -> Iterator[dict[str, Faulty]]:  # noqa: F811
    """Hosts of good.test and wrong.test (signed), forged.test (signed, its TLSA record replaced since) and
    open.test (not signed), and a resolver of Debian's that validates what our server asks it."""
    dnssec.available()
    pair = Authority(lab.folder, "signed").sign("whoever")
    right, wrong = record(pair, 3), "3 1 1 " + "00" * 32
    hosts, zone = {}, ""
    for number, name in enumerate(("good", "wrong", "forged", "open"), 11):
        hosts[name] = Faulty(f"127.0.0.{number}", lab.port, pair=pair)
        mx, record_of = f"mx.{name}.test", wrong if name in ("wrong", "open") else right
        if name == "open":
            lab.names.secure.clear()
            lab.names.zone |= {
                ("open.test", "MX"): [f"1 {mx}."],
                (mx, "A"): [f"127.0.0.{number}"],
                (f"_{lab.port}._tcp.{mx}", "TLSA"): [record_of],
            }
        else:
            zone += f"{name}.test. 60 IN MX 1 {mx}.\n{mx}. 60 IN A 127.0.0.{number}\n"
            zone += f"_{lab.port}._tcp.{mx}. 60 IN TLSA {record_of}\n"
    forged = {(f"_{lab.port}._tcp.mx.forged.test.", "TLSA"): wrong}
    root = dnssec.Root(zone, "open.test.", forged)
    unbound = dnssec.Unbound(tmp_path, root, ("open.test.", lab.names.address))
    lab.started += hosts.values()
    lab.set(ims__delivery__nameservers=[unbound.address])
    yield hosts
    unbound.stop()
    root.close()


def test_with_signatures_and_a_resolver_that_proves_them(
    lab: Lab,  # noqa: F811
    validated: dict[str, Faulty],
) -> None:
    assert not any("DNSSEC" in one["text"] for one in lab.here.ask("check"))
    for name, said in (("good", "(TLS dane: TLSv1.3, verified by DANE)"), ("open", "(TLS may: TLSv1.3")):
        queue_id = lab.send(f"carol@{name}.test")
        poll(lambda name=name: validated[name].taken)  # type: ignore[misc]
        lab.gone()
        assert said in lab.told(queue_id, "relayed")[0]
    lab.send("carol@wrong.test")
    assert "TLS, wanted by DANE: " in lab.tried()["last_error"]
    lab.here.ask("queue.delete", messages=[lab.rows()[0]["id"]], ndr=False)
    lab.gone()
    lab.send("carol@forged.test")
    assert "TLSA" in lab.tried()["last_error"]
    assert "MAIL" not in validated["wrong"].verbs() and not validated["forged"].connections


def test_records_that_nobody_can_use_still_mean_tls(lab: Lab) -> None:  # noqa: F811
    clear = lab.host(1)
    encrypted = lab.host(2, pair=lab.certified("whoever.test"))
    for number in (1, 2):
        publish(lab, "1 1 1 " + "00" * 32, "3 1 9 00", number=number)
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: encrypted.taken)
    lab.gone()
    assert not clear.taken
    assert "not verified (DANE without usable records)" in lab.told(queue_id, "relayed")[0]


# MTA-STS ---------------------------------------------------------------------------------------


class PolicyHost:
    """HTTPS on 127.0.0.1; answer: status, headers, text."""

    def __init__(self, pair: Path) -> None:
        self.answer: tuple[int, dict[str, str], str] = (404, {}, "")
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(f"{self.headers['Host']}{self.path}")
                status, headers, text = outer.answer
                self.send_response(status)
                for item in {"Content-Type": "text/plain", **headers}.items():
                    self.send_header(*item)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def policies(lab: Lab) -> Iterator[Callable[..., PolicyHost]]:  # noqa: F811
    made: list[PolicyHost] = []

    def make(mode: str = "enforce", mx: str = "", name: str = "", **more: Any) -> PolicyHost:
        lab.names.secure.clear()
        host = PolicyHost(lab.certified(name or f"mta-sts.{lab.domain}"))
        made.append(host)
        text = f"version: STSv1\r\nmode: {mode}\r\nmx: {mx or '*.' + lab.domain}\r\nmax_age: 86400\r\n"
        host.answer = (more.get("status", 200), more.get("headers", {}), more.get("text", text))
        lab.names.zone[f"_mta-sts.{lab.domain}", "TXT"] = ['"v=STSv1; id=1;"']
        lab.names.zone[f"mta-sts.{lab.domain}", "A"] = ["127.0.0.1"]
        lab.set(ims__tls__mta_sts_port=host.port, ims__tls__ca_file=str(lab.authority.file))
        return host

    yield make
    for one in made:
        one.close()


def test_a_policy_is_enforced_and_kept(
    lab: Lab,  # noqa: F811
    policies: Callable[..., PolicyHost],
) -> None:
    policy = policies(mx=f"mx2.{lab.domain}")
    foreign, right = (
        lab.host(1, pair=lab.certified(f"mx1.{lab.domain}")),
        lab.host(2, pair=lab.certified(f"mx2.{lab.domain}")),
    )
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: right.taken)
    lab.gone()
    assert not foreign.connections
    assert "(TLS sts: TLSv1.3, verified by MTA-STS)" in lab.told(queue_id, "relayed")[0]
    assert policy.asked == [f"mta-sts.{lab.domain}:{policy.port}/.well-known/mta-sts.txt"]
    # DNS and the policy host are silent now, and we have been away: the policy holds all the same.
    policy.answer = (404, {}, "")
    del lab.names.zone[f"_mta-sts.{lab.domain}", "TXT"]
    lab.here.stop()
    lab.here.start()
    right.close()
    lab.started.remove(right)
    impostor = lab.host(2, pair=lab.certified("impostor.test"))
    lab.send(f"carol@{lab.domain}")
    assert "TLS, wanted by MTA-STS: certificate is for impostor.test" in lab.tried()["last_error"]
    assert "MAIL" not in impostor.verbs() and len(policy.asked) == 1
    told = lab.here.imsctl("route", "explain", f"x@{lab.domain}", "--from", "bob@example.test").stdout
    assert f"MTA-STS: enforce, exchangers mx2.{lab.domain}" in told


@pytest.mark.parametrize("mode", ["testing", "none"])
def test_a_policy_in_testing_tells_and_lets_pass(
    lab: Lab,  # noqa: F811
    policies: Callable[..., PolicyHost],
    mode: str,
) -> None:
    policies(mode=mode)
    host = lab.host(1, pair=lab.certified("else.test"))
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()
    (reason,) = lab.told(queue_id, "relayed")
    assert ("not verified by MTA-STS in testing: certificate is for else.test" in reason) is (
        mode == "testing"
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 404},
        {"status": 301, "headers": {"Location": "https://localhost/"}},
        {"headers": {"Content-Type": "text/html"}},
        {"text": "version: STSv1\nmode: enforce\n"},
        {"text": "x" * 70_000},
        {"name": "wrong.test"},
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_had_is_none(
    lab: Lab,  # noqa: F811
    policies: Callable[..., PolicyHost],
    fault: dict[str, Any],
) -> None:
    policies(**fault)
    host = lab.host(1)
    lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()


def test_no_surprise_in_the_log(lab: Lab) -> None:  # noqa: F811
    assert "Traceback" not in lab.here.log and isinstance(lab.here, RunningServer)
    assert json.dumps(lab.rows()) == "[]"
