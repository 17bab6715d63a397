"""Mail to servers that misbehave, over real connections: what arrives where, how often, and what is told."""

from __future__ import annotations

import json
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from imsd import config
from imsd.errors import NoSuchEntry
from tests.support.certificates import Authority
from tests.support.clients import poll, texts
from tests.support.faulty import CLOSE, HANG, RESET, Faulty
from tests.support.nameserver import NameServer
from tests.support.servers import PASSWORD, RunningServer, free_port

pytestmark = pytest.mark.system

BOB = "bob@example.test"


@dataclass
class Lab:
    """here: our server. names: its DNS. Hosts of its domain stand on loopback addresses of one port."""

    here: RunningServer
    names: NameServer
    folder: Path
    authority: Authority
    port: int
    started: list[Faulty] = field(default_factory=list)
    tests: int = 0

    @property
    def domain(self) -> str:
        """Each test has its own: what DNS said is remembered for a while."""
        return f"far{self.tests}.test"

    def set(self, **values: Any) -> None:
        for key, value in values.items():
            self.here.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def host(self, number: int, level: int | None = None, **more: Any) -> Faulty:
        """mxN of the domain on 127.0.0.(10 + N); level: its MX preference, N by default."""
        name, address = f"mx{number}.{self.domain}", f"127.0.0.{10 + number}"
        self.names.zone[name, "A"] = [address]
        self.names.zone.setdefault((self.domain, "MX"), []).append(f"{level or number} {name}.")
        server = Faulty(address, self.port, **more)
        self.started.append(server)
        return server

    def single(self, **more: Any) -> Faulty:
        """The one host of all mail."""
        server = Faulty(**more)
        self.started.append(server)
        self.set(ims__delivery__mode="smarthost", ims__delivery__smart_hosts=[f"127.0.0.1:{server.port}"])
        return server

    def certified(self, name: str, **more: Any) -> Path:
        return self.authority.sign(name, x509.DNSName(name), **more)

    def send(self, *to: str, text: str = "hello", subject: str = "x", options: tuple[str, ...] = ()) -> str:
        """Submit by bob; the queue id."""
        with smtplib.SMTP("localhost", self.here.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=self.here.tls())
            smtp.login(BOB, PASSWORD)
            smtp.ehlo()
            head = f"From: {BOB}\r\nTo: {to[0]}\r\nSubject: {subject}\r\n\r\n"
            smtp.mail(BOB, options)
            for each in to:
                assert smtp.rcpt(each)[0] == 250
            code, said = smtp.data(f"{head}{text}\r\n")
            assert code == 250
        found = re.search(rb"queued as (\w+)", said)
        assert found is not None
        return found[1].decode()

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.here.ask("queue.list")
        return rows

    def tried(self, attempts: int = 1) -> dict[str, Any]:
        """The one row that waits, after so many tries or more."""
        poll(lambda: [row["attempts"] >= attempts for row in self.rows()] == [True])
        return self.rows()[0]

    def gone(self) -> None:
        poll(lambda: not self.rows())

    def told(self, queue_id: str, event: str) -> list[str]:
        """The reasons of the events of a kind."""
        events = self.here.ask("track", what=queue_id)
        return [one["reason"] for one in events if one["event"] == event]

    def reported(self, word: bytes) -> None:
        poll(lambda: any(word in text for text in texts(self.here, "bob")))


@pytest.fixture(scope="module")
def world(
    make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    here = make_server()
    here.add_user("bob")
    folder = tmp_path_factory.mktemp("certificates")
    port = free_port()
    one = Lab(here, NameServer(), folder, Authority(folder, "authority"), port)
    one.set(
        ims__delivery__nameservers=[one.names.address],
        ims__delivery__port=port,
        ims__delivery__loopback_check=False,
        ims__timers__greeting=2,
        ims__timers__final=2,
        ims__timers__hello=3,
        ims__retry__profile="intervals",
        ims__retry__intervals=[0.0003],
    )
    yield one
    here.stop()
    one.names.close()
    assert "Traceback" not in here.log, here.log[-3000:]


@pytest.fixture
def lab(world: Lab) -> Iterator[Lab]:
    world.tests += 1
    before = world.here.ask("settings.export")
    yield world
    for server in world.started:
        server.close()
    world.started.clear()
    world.here.ask("settings.import", text=before)
    for queue_id in {row["id"] for row in world.rows()}:
        try:
            world.here.ask("queue.delete", messages=[queue_id], ndr=False)
        except NoSuchEntry:
            pass  # It was being tried, and is done.
    world.names.zone.clear()
    world.names.asked.clear()


# One host after the other ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "replies",
    [
        {"": "421 4.3.2 busy"},
        {"": "554 5.7.1 not you"},
        {"": "hello there"},
        {"": CLOSE},
        {"": RESET},
        {"": HANG},
        {"EHLO": "421 4.3.2 later"},
        {"EHLO": RESET},
        {"EHLO": "450 4.3.2 later"},
    ],
    ids=str,
)
def test_the_next_exchanger_takes_over_within_one_attempt(lab: Lab, replies: dict[str, str]) -> None:
    first, second = lab.host(1, replies=replies), lab.host(2)
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: second.taken)
    lab.gone()
    assert first.connections == 1 and not first.taken and len(second.taken) == 1
    assert len(lab.told(queue_id, "relayed")) == 1 and not lab.told(queue_id, "deferred")


def test_a_host_where_nobody_listens_is_passed_over(lab: Lab) -> None:
    lab.host(1).close()
    lab.started.clear()
    second = lab.host(2)
    lab.send(f"carol@{lab.domain}")
    poll(lambda: second.taken)
    lab.gone()


@pytest.mark.parametrize(("prefer", "first"), [("ipv6", "::1"), ("ipv4", "127.0.0.11")])
def test_a_host_with_addresses_of_both_kinds_is_tried_at_each(lab: Lab, prefer: str, first: str) -> None:
    four = lab.host(1)
    lab.names.zone[f"mx1.{lab.domain}", "AAAA"] = ["::1"]
    six = Faulty("::1", lab.port)
    lab.started.append(six)
    lab.set(ims__delivery__prefer=prefer)
    one, other = (six, four) if first == "::1" else (four, six)
    queue_id = lab.send(f"carol@{lab.domain}")
    lab.gone()
    assert (len(one.taken), other.connections) == (1, 0)
    events = lab.here.ask("track", what=queue_id)
    (peer,) = [each["peer"] for each in events if each["event"] == "relayed"]
    assert peer == f"mx1.{lab.domain}[{first}]:{lab.port}"
    # Within the same attempt: nobody listens at the first address now.
    one.close()
    lab.started.remove(one)
    queue_id = lab.send(f"dan@{lab.domain}")
    lab.gone()
    assert len(other.taken) == 1 and not lab.told(queue_id, "deferred")


def test_equal_preferences_share_the_mail(lab: Lab) -> None:
    hosts = [lab.host(1, level=10), lab.host(2, level=10)]
    lab.set(ims__limits__messages_per_connection=1)
    for _ in range(12):
        lab.send(f"carol@{lab.domain}")
    poll(lambda: sum(len(host.taken) for host in hosts) == 12)
    assert all(host.taken for host in hosts)


def test_an_exchanger_that_is_ourselves_and_worse_ones_are_left_out(lab: Lab) -> None:
    better, worse = lab.host(1), lab.host(3)
    lab.names.zone[lab.domain, "MX"].append(f"2 ourselves.{lab.domain}.")
    lab.names.zone[f"ourselves.{lab.domain}", "A"] = ["192.0.2.77"]
    lab.set(ims__delivery__own=["192.0.2.77"])
    better.replies[""] = "421 4.3.2 busy"
    lab.send(f"carol@{lab.domain}")
    lab.tried()
    assert better.connections and not worse.connections
    lab.names.zone["loop.test", "MX"] = [f"2 ourselves.{lab.domain}.", f"5 mx3.{lab.domain}."]
    lab.send("dan@loop.test", subject="in a circle")
    lab.reported(b"5.4.6")
    lab.names.zone["null.test", "MX"] = ["0 ."]
    lab.send("dan@null.test")
    lab.reported(b"5.1.10")


def test_a_host_without_ehlo_is_greeted_with_helo(lab: Lab) -> None:
    host = lab.single(offered=None)
    lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    assert host.verbs()[:3] == ["EHLO", "HELO", "MAIL"]
    assert host.taken[0].mail == f"FROM:<{BOB}>"


# Refusals at each stage ------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "."])
def test_a_temporary_refusal_is_tried_again_and_a_message_sent_once(lab: Lab, stage: str) -> None:
    """Greylisting, at any stage."""
    fine = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", ".": "250 2.0.0 taken"}[stage]
    host = lab.single(replies={stage: ["451 4.7.1 greylisted", fine]})
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()
    assert len(host.taken) == 1
    (reason,) = lab.told(queue_id, "deferred")
    assert "451 4.7.1 greylisted" in reason and "TLS may: in clear, STARTTLS is not offered" in reason
    assert len(lab.told(queue_id, "relayed")) == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "."])
def test_a_refusal_for_good_is_told_to_the_sender_at_once(lab: Lab, stage: str) -> None:
    host = lab.single(replies={stage: f"550 5.7.9 no at {stage}"})
    queue_id = lab.send(f"carol@{lab.domain}")
    lab.reported(f"no at {stage}".encode())
    lab.gone()
    assert not host.taken and len(lab.told(queue_id, "failed")) == 1


def test_a_server_that_wants_content_for_nobody_gets_a_dot(lab: Lab) -> None:
    """RFC 2920 3.1"""
    host = lab.single(replies={"RCPT": "550 5.7.9 nobody"}, gullible=True)
    queue_id = lab.send(f"carol@{lab.domain}")
    lab.reported(b"5.7.9 nobody")
    lab.gone()
    assert [(one.rcpt, one.data) for one in host.taken] == [((), b"")]
    assert len(lab.told(queue_id, "failed")) == 1 and not lab.told(queue_id, "relayed")


@pytest.mark.parametrize("ending", [{".": RESET}, {".": CLOSE}, {".": HANG}, {"content": RESET}], ids=str)
def test_a_connection_lost_around_the_dot_means_another_try(lab: Lab, ending: dict[str, str]) -> None:
    host = lab.single(replies=dict(ending))
    queue_id = lab.send(f"carol@{lab.domain}")
    lab.tried()
    assert not host.taken
    host.replies.clear()
    poll(lambda: host.taken)
    lab.gone()
    assert len(host.taken) == 1 and "while sending" in lab.told(queue_id, "deferred")[0]


def test_a_server_that_hangs_up_after_the_dot_has_the_message_once(lab: Lab) -> None:
    host = lab.single(after=CLOSE)
    lab.set(ims__limits__per_host=1)
    first, second = lab.send(f"carol@{lab.domain}"), lab.send(f"dan@{lab.domain}")
    poll(lambda: len(host.taken) >= 2)
    lab.gone()
    assert [one.rcpt for one in host.taken] == [(f"<carol@{lab.domain}>",), (f"<dan@{lab.domain}>",)]
    for queue_id in (first, second):
        assert len(lab.told(queue_id, "relayed")) == 1 and not lab.told(queue_id, "deferred")


@pytest.mark.parametrize("offered", [["PIPELINING", "8BITMIME"], ["8BITMIME"]], ids=str)
def test_a_server_that_takes_no_second_mail_gets_a_connection_for_each(lab: Lab, offered: list[str]) -> None:
    host = lab.single(once=True, offered=offered)
    lab.set(ims__limits__per_host=1, queue__paused=True)
    for number in range(3):
        lab.send(f"u{number}@{lab.domain}")
    lab.set(queue__paused=False)
    poll(lambda: len(host.taken) == 3)
    lab.gone()
    assert host.connections == 3 and "RSET" in host.verbs()


def test_recipients_that_are_too_many_go_in_the_next_transaction(lab: Lab) -> None:
    host = lab.single(most=2)
    queue_id = lab.send(*(f"u{number}@{lab.domain}" for number in range(5)))
    poll(lambda: len(host.taken) == 3)
    lab.gone()
    assert [len(one.rcpt) for one in host.taken] == [2, 2, 1]
    assert len(lab.told(queue_id, "relayed")) == 5 and not lab.told(queue_id, "deferred")


def test_each_recipient_has_its_own_result(lab: Lab) -> None:
    host = lab.single(
        replies={f"RCPT b@{lab.domain}": "550 5.1.1 nobody", f"RCPT c@{lab.domain}": "450 4.2.1 busy"}
    )
    queue_id = lab.send(f"a@{lab.domain}", f"b@{lab.domain}", f"c@{lab.domain}")
    assert lab.tried()["recipient"] == f"c@{lab.domain}"
    assert len(lab.told(queue_id, "relayed")) == len(lab.told(queue_id, "failed")) == 1
    del host.replies[f"RCPT c@{lab.domain}"]
    lab.gone()
    assert [one.rcpt for one in host.taken] == [(f"<a@{lab.domain}>",), (f"<c@{lab.domain}>",)]


# What the host offers --------------------------------------------------------------------------


def test_a_size_that_is_too_small_is_found_before_the_content(lab: Lab) -> None:
    host = lab.single(offered=["SIZE 100"])
    lab.send(f"carol@{lab.domain}", text="x" * 500)
    lab.reported(b"5.3.4")
    assert "MAIL" not in host.verbs()


def test_a_server_that_lies_about_its_size_refuses_the_content(lab: Lab) -> None:
    host = lab.single(offered=["SIZE 100000000"], replies={".": "552 5.3.4 too big after all"})
    lab.send(f"carol@{lab.domain}", text="x" * 500)
    lab.reported(b"too big after all")
    assert not host.taken


def test_chunks_are_used_where_they_are_offered(lab: Lab) -> None:
    host = lab.single(offered=["CHUNKING", "PIPELINING"])
    lab.send(f"carol@{lab.domain}", text=".dot\r\n" + "y" * 70 + "\r\n")
    poll(lambda: host.taken)
    assert "BDAT" in host.verbs() and "DATA" not in host.verbs()
    assert b"\r\n.dot\r\n" in host.taken[0].data


def test_eight_bit_text_is_encoded_for_who_does_not_take_it(lab: Lab) -> None:
    host = lab.single(offered=["PIPELINING"])
    text = "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße".encode()
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login(BOB, PASSWORD)
        smtp.sendmail(BOB, [f"carol@{lab.domain}"], f"From: {BOB}\r\n".encode() + text, ["BODY=8BITMIME"])
    poll(lambda: host.taken)
    assert host.taken[0].data.isascii() and "BODY" not in host.taken[0].mail


def test_an_address_that_needs_smtputf8_comes_back_from_who_has_none(lab: Lab) -> None:
    host = lab.single(offered=["PIPELINING", "8BITMIME"])
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login(BOB, PASSWORD)
        smtp.ehlo()
        smtp.mail(BOB, ["SMTPUTF8"])
        smtp.command_encoding = "utf-8"
        assert smtp.rcpt(f"jörg@{lab.domain}")[0] == 250
        assert smtp.data(f"From: {BOB}\r\n\r\nx\r\n")[0] == 250
    lab.reported(b"5.6.7")
    assert "MAIL" not in host.verbs()


def test_a_host_that_reports_is_left_to_and_another_is_told_of(lab: Lab) -> None:
    host = lab.single()
    lab.set(ims__limits__messages_per_connection=1)
    lab.send(f"carol@{lab.domain}", options=("RET=HDRS", "ENVID=e1"))
    poll(lambda: host.taken)
    assert "RET=HDRS ENVID=e1" in host.taken[0].mail
    host.offered = []
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login(BOB, PASSWORD)
        head = f"From: {BOB}\r\nSubject: relayed on\r\n\r\nx\r\n"
        smtp.sendmail(BOB, [f"carol@{lab.domain}"], head, rcpt_options=["NOTIFY=SUCCESS"])
    lab.reported(b"Action: relayed")
    assert "NOTIFY" not in host.taken[1].rcpt[0]


# Limits ----------------------------------------------------------------------------------------


def test_so_many_messages_in_a_connection_and_other_limits_for_a_domain(lab: Lab) -> None:
    host = lab.single()
    domains = [{"domain": "odd.test", "messages_per_connection": 1, "recipients_out": 1}]
    lab.set(ims__limits__per_host=1, ims__limits__domains=domains, queue__paused=True)
    for number in range(10):
        lab.send(f"u{number}@{lab.domain}")
    lab.set(queue__paused=False)
    poll(lambda: len(host.taken) == 10)
    lab.gone()
    assert host.connections == 2  # eight, and two
    lab.send("a@odd.test", "b@odd.test")
    poll(lambda: len(host.taken) == 12)
    assert host.connections == 4


def test_a_slow_host_is_waited_for(lab: Lab) -> None:
    host = lab.single(delay=0.2, offered=[])
    lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()
    assert len(host.taken) == 1


# Protection ------------------------------------------------------------------------------------


def test_tls_is_used_where_it_is_offered_and_told(lab: Lab) -> None:
    host = lab.host(1, pair=lab.certified("somebody.else.test"))
    queue_id = lab.send(f"carol@{lab.domain}")
    poll(lambda: host.taken)
    lab.gone()
    assert host.taken[0].encrypted and host.sni == [f"mx1.{lab.domain}"]
    assert "(TLS may: TLSv1.3, not verified)" in lab.told(queue_id, "relayed")[0]
    assert "TLSv1.3, not verified" in lab.here.imsctl("track", queue_id).stdout


@pytest.mark.parametrize("level", ["none", "may", "encrypt", "verify", "dane"])
def test_the_level_of_a_domain_decides_what_a_host_without_tls_gets(lab: Lab, level: str) -> None:
    host = lab.host(1)
    lab.set(ims__security=[{"domain": lab.domain, "tls": level}])
    queue_id = lab.send(f"carol@{lab.domain}")
    if level in ("none", "may"):
        poll(lambda: host.taken)
        lab.gone()
        assert lab.told(queue_id, "relayed")[0].endswith(
            "(TLS none: in clear)" if level == "none" else "(TLS may: in clear, STARTTLS is not offered)"
        )
        return
    row = lab.tried()
    assert not host.taken and "MAIL" not in host.verbs()
    assert f"(TLS {level}" in row["last_error"] and f"(TLS {level}" in lab.told(queue_id, "deferred")[0]
    shown = lab.here.imsctl("queue", "show", queue_id).stdout
    assert f"TLS {level}" in shown


def test_a_downgrade_is_noticed(lab: Lab) -> None:
    """STARTTLS that is offered and then refused, or whose handshake fails."""
    host = lab.host(1, pair=lab.certified(f"mx1.{lab.domain}"), replies={"STARTTLS": "454 4.7.0 not today"})
    lab.set(ims__security=[{"domain": lab.domain, "tls": "encrypt"}])
    lab.send(f"carol@{lab.domain}")
    assert "not today" in lab.tried()["last_error"]
    assert not host.taken and "MAIL" not in host.verbs()
    lab.set(ims__security=[])
    poll(lambda: host.taken)
    assert not host.taken[0].encrypted


@pytest.mark.parametrize(
    ("name", "more", "fault"),
    [
        ("mx1.DOMAIN", {}, ""),
        ("*.DOMAIN", {}, ""),
        ("other.DOMAIN", {}, "certificate is for other."),
        ("*.test", {}, "certificate is for *.test"),
        ("mx1.DOMAIN", {"days": -1}, "has expired"),
        ("stranger", {}, "is not trusted"),
    ],
    ids=str,
)
def test_a_certificate_must_be_the_hosts_where_that_is_wanted(
    lab: Lab, name: str, more: dict[str, int], fault: str
) -> None:
    name = name.replace("DOMAIN", lab.domain)
    if name == "stranger":
        pair = Authority(lab.folder, "strange").sign(f"mx1.{lab.domain}", x509.DNSName(f"mx1.{lab.domain}"))
    else:
        pair = lab.authority.sign(name.replace("*", "any"), x509.DNSName(name), **more)
    host = lab.host(1, pair=pair)
    lab.set(ims__security=[{"domain": lab.domain, "tls": "verify", "ca_file": str(lab.authority.file)}])
    queue_id = lab.send(f"carol@{lab.domain}")
    if not fault:
        poll(lambda: host.taken)
        lab.gone()
        assert "(TLS verify: TLSv1.3, verified)" in lab.told(queue_id, "relayed")[0]
        return
    assert fault in lab.tried()["last_error"]
    assert "MAIL" not in host.verbs()


def test_names_may_be_given_and_the_next_host_may_be_better(lab: Lab) -> None:
    wrong, right = (
        lab.host(1, pair=lab.certified("elsewhere.test")),
        lab.host(2, pair=lab.certified("mail.provider.test")),
    )
    row = {"domain": f"#{lab.domain}", "tls": "verify", "ca_file": str(lab.authority.file)}
    lab.set(ims__security=[{**row, "names": [".provider.test"]}, {"domain": "*", "tls": "none"}])
    lab.send(f"carol@{lab.domain}")
    poll(lambda: right.taken)
    assert wrong.connections == 1 and not wrong.taken
    told = lab.here.imsctl("route", "explain", f"x@{lab.domain}", "--from", BOB).stdout
    assert f"mx1.{lab.domain}[127.0.0.11]:{lab.port}" in told
    assert f"(TLS verify .provider.test (ims.security #{lab.domain}))" in told


# Login -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def there(make_server: Callable[..., RunningServer], world: Lab) -> Iterator[RunningServer]:
    """A server that wants to know who we are."""
    one = make_server(start=False)
    (one.home / "tls/clients.pem").write_bytes(world.authority.file.read_bytes())
    file = one.home / config.FILE
    file.write_text(file.read_text().replace("# client_ca", "client_ca"))
    one.start()
    one.add_user("bob")
    yield one
    one.stop()


def security(lab: Lab, there: RunningServer, **row: Any) -> None:
    (lab.here.home / "there.pem").write_bytes((there.home / "tls/server.crt").read_bytes())
    rows = [{"domain": "localhost", "tls": "verify", "ca_file": "there.pem", "user": BOB, **row}]
    lab.set(
        ims__security=rows,
        ims__delivery__mode="smarthost",
        ims__delivery__smart_hosts=[f"[localhost]:{there.port('submission')}"],
    )
    lab.names.zone["localhost", "A"] = ["127.0.0.1"]


@pytest.mark.parametrize("auth", ["plain", "login", "scram-sha-256", "scram-sha-256-plus", "any"])
def test_we_log_in_where_a_host_wants_it(lab: Lab, there: RunningServer, auth: str) -> None:
    security(lab, there, auth=auth, password=PASSWORD)
    stored = lab.here.imsctl("settings", "get", "ims.security").stdout
    assert "sealed:" in stored and PASSWORD not in stored and PASSWORD not in lab.here.ask("settings.export")
    there.ask("settings.set", key="addressing.domains", value=json.dumps([lab.domain]))
    there.ask("settings.set", key="routing.catch_all", value=json.dumps({lab.domain: BOB}))
    queue_id = lab.send(f"carol@{lab.domain}", subject=f"logged in by {auth}")
    poll(lambda: any(f"logged in by {auth}".encode() in text for text in texts(there, "bob")))
    lab.gone()
    used = "SCRAM-SHA-256-PLUS" if auth == "any" else auth.upper()
    assert f"TLSv1.3, verified, logged in by {used})" in lab.told(queue_id, "relayed")[0]


def test_a_certificate_is_a_login(lab: Lab, there: RunningServer) -> None:
    pair = lab.authority.sign("bob of here", x509.RFC822Name(BOB))
    security(lab, there, auth="external", certificate=str(pair), user="")
    there.ask("settings.set", key="addressing.domains", value=json.dumps([lab.domain]))
    there.ask("settings.set", key="routing.catch_all", value=json.dumps({lab.domain: BOB}))
    queue_id = lab.send(f"carol@{lab.domain}", subject="by certificate")
    poll(lambda: any(b"by certificate" in text for text in texts(there, "bob")))
    lab.gone()
    assert "logged in by EXTERNAL" in lab.told(queue_id, "relayed")[0]


def test_a_wrong_password_is_not_tried_for_ever(lab: Lab) -> None:
    host = lab.single(pair=lab.certified("x.test"), offered=["AUTH PLAIN"], login=lambda _: False)
    (lab.here.home / "secret").write_text("wrong\n")
    row = {"domain": "[127.0.0.1]", "auth": "plain", "user": "u", "password": "file:secret"}
    lab.set(ims__security=[row], ims__tls__auth_retry=2)
    queue_id = lab.send(f"carol@{lab.domain}")
    lab.reported(b"535 5.7.8 who?")
    lab.gone()
    assert host.verbs().count("AUTH") == 2 and "MAIL" not in host.verbs()
    assert len(lab.told(queue_id, "deferred")) == len(lab.told(queue_id, "failed")) == 1


def test_a_password_goes_in_clear_only_where_that_is_allowed(lab: Lab) -> None:
    host = lab.single(offered=["AUTH PLAIN LOGIN"])
    row = {"domain": "[127.0.0.1]", "auth": "any", "user": "u", "password": "p"}
    lab.set(ims__security=[row])
    assert any("our password is given to whoever is there" in one["text"] for one in lab.here.ask("check"))
    lab.send(f"carol@{lab.domain}")
    assert "no way to log in by any without TLS" in lab.tried()["last_error"]
    assert "AUTH" not in host.verbs()
    lab.set(ims__security=[{**row, "allow_cleartext": True}])
    poll(lambda: host.taken)
    assert host.taken[0].user == "PLAIN AHUAcA=="


def test_time_is_not_wasted(lab: Lab) -> None:
    """A host that says nothing costs the time of its timer and no more."""
    silent, second = lab.host(1, replies={"": HANG}), lab.host(2)
    began = time.monotonic()
    lab.send(f"carol@{lab.domain}")
    poll(lambda: second.taken)
    assert silent.connections == 1 and time.monotonic() - began < 8
