"""Reports on TLS (RFC 8460): what is counted, reported and read, with servers in memory."""

from __future__ import annotations

import email
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dkim as oracle
import pytest

from imsd.mail.envelope import Addressee
from imsd.mail.relay.certificates import Problem
from imsd.mail.relay.counting import result_of
from imsd.mail.requiring import OPTIONAL, REQUIRED
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted
from imsd.mail.signing import Signer
from imsd.mail.tlsreports import TlsInbox
from imsd.mail.tlsreports.posting import Poster, Undelivered
from imsd.store import tls_received, tls_results, tracking
from imsd.store.database import Database
from imsd.store.keyring import Keyring
from imsd.store.tls_results import DAY
from imsd.trust import dkim, tlsrpt
from imsd.trust.policies import Unavailable
from imsd.trust.sts import Policy
from imsd.trust.tlsrpt import BadReport
from protocols.message import compose
from tests.mail.peers import MailReactor
from tests.mail.test_queue import store_reactor
from tests.mail.test_requiring import Guarded
from tests.support.stores import run

__all__ = ["store_reactor"]

KEY = dkim.make_key("ed25519")


class Lab(Guarded):
    """posted: by HTTPS; what it says is `answer`."""

    def __init__(self, database: Database, reactor: MailReactor, folder: Path) -> None:
        super().__init__(database, reactor, folder)
        self.zone.secure = False
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.answer: Exception | None = None
        self.runner.reports._post = self.post
        self.delivery.signer = Signer(self.settings, Keyring(Path()), self.blobs, time.time)
        self.page(send="all")

    keyed = True

    def page(self, trusting: bool = True, **values: object) -> None:
        """The settings, with these of the page."""
        chosen = {f"tls_reports__{name}": value for name, value in values.items()}
        self.set(
            **chosen,
            ims__tls__dane=False,
            ims__tls__ca_file=str(self.authority.file) if trusting else "",
            dkim__keys=[{"domain": "example.test", "selector": "s", "key": KEY}] if self.keyed else [],
        )

    async def post(self, uri: str, packed: bytes) -> str:
        if self.answer is not None:
            raise self.answer
        self.posted.append((uri, json.loads(gzip.decompress(packed))))
        return "201"

    def counted(self) -> Counter[tuple[str, str]]:
        run(self.runner.counter.flush())
        today = self.now() // DAY
        rows = run(self.db.read(tls_results.of, today, "far.test"))
        found: Counter[tuple[str, str]] = Counter()
        for each, count in rows:
            found[each.policy_type, each.result] += count
        return found

    def tomorrow(self) -> None:
        """Some time after the hour at which today is reported."""
        run(self.runner.counter.flush())
        self.shift += (self.now() // DAY + 1) * DAY + 5 * 3_600_000_000 - self.now()


@pytest.fixture
def lab(sqlite_database: Database, store_reactor: MailReactor, tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(sqlite_database, store_reactor, tmp_path)
    run(lab.runner.start())
    yield lab
    run(lab.runner.stop())


def policy(lab: Lab, mode: str = "enforce") -> None:
    lab.published.of_domain["far.test"] = Policy(mode, ("*.far.test",), 86_400)


# Counted ------------------------------------------------------------------------------------


def test_sessions_are_counted_by_policy(lab: Lab) -> None:
    lab.send("x@far.test")
    lab.work()
    assert lab.counted() == {("no-policy-found", ""): 1}
    policy(lab)
    lab.send("x@far.test")
    lab.work()
    assert lab.counted()["sts", ""] == 1


@pytest.mark.parametrize("mode", ["enforce", "testing"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("name", "certificate-host-mismatch"),
        ("clear", "starttls-not-supported"),
        ("handshake", "validation-failure"),
        ("authority", "certificate-not-trusted"),
    ],
)
def test_what_fails_is_counted_whether_it_is_enforced_or_not(
    lab: Lab, mode: str, fault: str, kind: str
) -> None:
    policy(lab, mode)
    lab.zone.add("far.test", (10, "a.far.test", "192.0.2.1"))
    if fault == "name":
        lab.far.tls = lab.certified("else.test")
    elif fault == "clear":
        lab.far.tls = None
    elif fault == "handshake":
        lab.far.broken = True
    else:
        lab.page(trusting=False)
    lab.send("x@far.test")
    lab.work()
    assert lab.counted() == {("sts", kind): 1}
    assert len(lab.far.got) == (mode == "testing")
    events = run(lab.db.read(lambda tx: tracking.query(tx, recipient="x@far.test")))
    told = {(each.event, each.tls_wanted, each.tls_reached) for each in events if each.tls_wanted}
    if mode == "enforce":
        assert told == {("deferred", "sts", "")}
    else:
        reached = "clear" if fault in ("clear", "handshake") else "TLSv1.3"
        assert told == {("relayed", "sts-testing", reached)}
    (row, _) = run(lab.db.read(tls_results.of, lab.now() // DAY, "far.test"))[0]
    assert (row.mx, row.receiving_ip, row.sending_ip) == ("a.far.test", "192.0.2.1", "192.0.2.99")
    assert row.policy.split("\n")[1] == f"mode: {mode}" and row.helo == "peer"


@pytest.mark.parametrize(
    ("kind", "failed_at", "secure", "base"),
    [
        ("dnssec-invalid", "real.test", True, "real.test"),
        ("dnssec-invalid", "mx.far.test", True, "mx.far.test"),
        ("dane-required", "", True, "real.test"),
        ("dane-required", "", False, "mx.far.test"),
    ],
)
def test_a_failure_of_dane_is_the_base_domains(kind: str, failed_at: str, secure: bool, base: str) -> None:
    """RFC 8460 1.1: the policy domain of DANE is the TLSA base domain (RFC 7672 2.2.3)."""
    target = Target("mx.far.test", "192.0.2.1", 25, secure, "real.test")
    problem = Problem(kind, "look-up failed", failed_at)
    result = result_of(target, Route("ims", "far.test"), Wanted("dane"), None, None, None, problem, None)
    assert result is not None
    assert (result.policy_type, result.policy_domain, result.mx) == ("tlsa", base, "mx.far.test")


def test_a_policy_that_cannot_be_had_is_counted(lab: Lab) -> None:
    lab.published.faults["far.test"] = Unavailable("sts-webpki-invalid", "mta-sts.far.test: expired")
    lab.send("x@far.test")
    lab.work()
    assert lab.counted() == {("sts", "sts-webpki-invalid"): 1} and len(lab.far.got) == 1


def test_a_message_that_requires_tls_counts_as_any_other(lab: Lab) -> None:
    policy(lab)
    lab.far.tls = lab.backup.tls = lab.certified("else.test")
    lab.send("x@far.test", tls=REQUIRED)
    lab.work()
    assert lab.counted() == {("sts", "certificate-host-mismatch"): 2}
    lab.far.tls = lab.certified("a.far.test")
    lab.far.extensions = ("PIPELINING",)
    lab.send("x@far.test", tls=REQUIRED)
    lab.send("x@far.test", tls=OPTIONAL)
    lab.work()
    # TLS itself was fine, though REQUIRETLS was not offered.
    assert lab.counted()["sts", ""] == 2


def test_hosts_of_the_settings_and_what_is_switched_off_are_not_counted(lab: Lab) -> None:
    lab.page(count=False)
    lab.send("x@far.test")
    lab.work()
    assert lab.counted() == {}
    lab.set(ims__delivery__mode="smarthost", ims__delivery__smart_hosts=["192.0.2.1"])
    lab.send("x@far.test")
    lab.work()
    assert lab.counted() == {} and len(lab.far.got) == 2


# Reported -----------------------------------------------------------------------------------


def one_failure(lab: Lab, *texts: str) -> None:
    policy(lab)
    lab.far.tls = lab.backup.tls = lab.certified("else.test")
    lab.zone.txt["_smtp._tls.far.test"] = list(texts)
    queue_id = lab.send("x@far.test")
    lab.work()
    run(lab.runner.give_up(queue_id, notify=False))


def test_a_day_is_reported_by_mail_whatever_tls_there_is_and_that_is_counted_nowhere(lab: Lab) -> None:
    one_failure(lab, "v=TLSRPTv1; rua=mailto:tls@far.test")
    lab.page(send="all", contact="reports@example.test", organization="We")
    run(lab.runner.reports.look())
    assert lab.far.got == [], "today is not over"
    lab.tomorrow()
    run(lab.runner.reports.look())
    lab.work()
    (got,) = lab.far.got
    assert got.mail.startswith("<>") and got.rcpt == ["<tls@far.test> NOTIFY=NEVER"]
    record = dkim.record(dkim.read_key(KEY)).encode()
    assert oracle.DKIM(got.data).verify(dnsfunc=lambda name, timeout=5: record)
    message = email.message_from_bytes(got.data)
    assert b"tls-report-domain:" in got.data and b"tls-required:" in got.data
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "tlsrpt"
    assert b'report-type="tlsrpt"' in got.data
    assert (message["TLS-Report-Domain"], message["TLS-Report-Submitter"]) == ("far.test", "example.test")
    assert message["TLS-Required"] == "No" and message["From"] == "We <reports@example.test>"
    attached = message.get_payload(1)
    assert attached.get_content_type() == "application/tlsrpt+gzip"  # type: ignore[union-attr]
    assert attached.get_filename().startswith("example.test!far.test!")  # type: ignore[union-attr]
    read = tlsrpt.parse(tlsrpt.inflate(attached.get_payload(decode=True)))  # type: ignore[union-attr, arg-type]
    assert (read.organization, read.contact, read.total("failures")) == ("We", "reports@example.test", 2)
    assert " ".join(message["Subject"].split()) == (
        f"Report Domain: far.test Submitter: example.test Report-ID: <{read.report_id}>"
    )
    lab.later(0.1)
    assert lab.counted() == {}, "the session of a report is in no report"
    # Once; and when it cannot be delivered nobody hears of it.
    run(lab.runner.reports.look())
    assert len(lab.far.got) == 1 and lab.inbox(lab.root) == []


def test_without_a_key_for_our_domain_none_goes_by_mail(lab: Lab) -> None:
    one_failure(lab, "v=TLSRPTv1; rua=mailto:tls@far.test,https://far.test/tls")
    lab.keyed = False
    lab.page()
    lab.tomorrow()
    run(lab.runner.reports.look())
    lab.work()
    assert lab.far.got == [] and [uri for uri, _ in lab.posted] == ["https://far.test/tls"]


def test_nothing_follows_from_a_report_that_is_refused(lab: Lab) -> None:
    one_failure(lab, "v=TLSRPTv1; rua=mailto:tls@far.test")
    lab.far.refuse = lab.backup.refuse = {"tls@far.test": "550 5.1.1 who"}
    lab.tomorrow()
    run(lab.runner.reports.look())
    lab.work()
    assert "tls@far.test" not in lab.queued()
    assert lab.inbox(lab.root) == [] and lab.inbox(lab.alice) == []


def test_a_report_by_https_is_tried_again_for_a_day(lab: Lab) -> None:
    lab.page(send="https")
    one_failure(lab, "v=TLSRPTv1; rua=https://far.test/x,mailto:tls@far.test")
    lab.tomorrow()
    lab.answer = Undelivered("far.test answers 500")
    run(lab.runner.reports.look())
    (row,) = [each for each in run(lab.db.read(tls_results.reports)) if each.rua]
    assert (row.rua, row.state, row.note) == ("https://far.test/x", "waiting", "far.test answers 500")
    lab.answer = None
    run(lab.runner.reports.look())
    assert lab.posted == []
    lab.shift += 11 * 60_000_000
    run(lab.runner.reports.look())
    ((uri, made),) = lab.posted
    assert uri == "https://far.test/x"
    detail = made["policies"][0]["failure-details"][0]
    assert detail["result-type"] == "certificate-host-mismatch" and detail["failed-session-count"] == 1
    assert lab.far.got == [], "not by mail"


def test_what_is_never_delivered_is_given_up(lab: Lab) -> None:
    one_failure(lab, "v=TLSRPTv1; rua=https://far.test/x")
    lab.tomorrow()
    lab.answer = Undelivered("no")
    for _ in range(12):
        run(lab.runner.reports.look())
        lab.shift += 22 * 3_600_000_000
    (row,) = [each for each in run(lab.db.read(tls_results.reports)) if each.rua]
    assert (row.state, row.attempts) == ("failed", 8)


@pytest.mark.parametrize(("send", "texts"), [("off", ["v=TLSRPTv1; rua=mailto:tls@far.test"]), ("all", [])])
def test_nobody_gets_a_report_who_asks_for_none(lab: Lab, send: str, texts: list[str]) -> None:
    one_failure(lab, *texts)
    lab.page(send=send)
    lab.tomorrow()
    run(lab.runner.reports.look())
    lab.work()
    assert lab.far.got == [] and {each.state for each in run(lab.db.read(tls_results.reports))} <= {"none"}


def test_a_mistake_in_one_report_keeps_no_other_from_going(lab: Lab) -> None:
    one_failure(lab, "v=TLSRPTv1; rua=https://far.test/x,https://far.test/y")
    lab.tomorrow()
    given: list[str] = []

    async def post(uri: str, packed: bytes) -> str:
        given.append(uri)
        if uri.endswith("x"):
            raise ZeroDivisionError
        return "200"

    lab.runner.reports._post = post
    run(lab.runner.reports.look())
    assert sorted(given) == ["https://far.test/x", "https://far.test/y"]
    states = {each.rua[-1:]: each.state for each in run(lab.db.read(tls_results.reports))}
    assert states == {"": "divided", "x": "waiting", "y": "sent"}


def test_results_are_kept_so_many_days(lab: Lab) -> None:
    one_failure(lab)
    lab.counted()
    lab.shift += 31 * DAY
    run(lab.runner.reports.look())
    assert run(lab.db.read(tls_results.totals, 0, 10**6)) == []


def test_a_uri_leads_to_no_network_of_ours(lab: Lab) -> None:
    async def here(fn: Any, *args: Any) -> Any:
        return fn(*args)

    lab.zone.a["inside.test"] = ["127.0.0.1", "10.1.2.3"]
    poster = Poster(lab.reactor, lab.runner.names, here, lambda: None, lambda: True)
    for uri in ("https://inside.test/", "https://127.0.0.1:8443/", "https://[::1]/"):
        with pytest.raises(Undelivered, match="no public network"):
            run(poster(uri, b"x"))
    with pytest.raises(Undelivered, match="has no address"):
        run(poster("https://nowhere.test/", b"x"))


# Read ---------------------------------------------------------------------------------------


def message(body: bytes, kind: str = "application/tlsrpt+gzip", report: str = "tlsrpt") -> bytes:
    part = compose.entity(kind, compose.base64(body), fields=(b"Content-Transfer-Encoding: base64\r\n",))
    parts = [compose.text("a report"), part]
    parameters = f'; report-type="{report}"'.encode()
    return compose.message(
        [b"From: a@b.test\r\n", b"Subject: x\r\n"],
        compose.multipart("report", parts, "xyz", parameters=parameters),
    )


def test_reports_that_come_are_read_and_others_passed_over(lab: Lab) -> None:
    inbox = TlsInbox(lab.db, lab.directory, lab.settings, lab.blobs, lab.reactor)  # type: ignore[arg-type]
    made = {
        "organization-name": "They",
        "report-id": "1",
        "contact-info": "x@their.test",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": "Example.test"},
                "summary": {"total-successful-session-count": 4, "total-failure-session-count": 2},
            }
        ],
    }
    packed = gzip.compress(json.dumps(made).encode())

    def send(data: bytes) -> None:
        to = run(lab.directory.resolve("alice@example.test"))
        lab.send(Addressee("alice@example.test", to), sender="x@their.test", data=data)

    send(message(packed))
    assert run(inbox.look()) == 0, "no address is set"
    lab.page(address="alice@example.test")
    assert run(inbox.look()) == 1
    (report,) = run(lab.db.read(tls_received.listed))
    assert (report.organization, report.submitter, report.domains) == ("They", "their.test", "example.test")
    assert (report.successes, report.failures) == (4, 2)
    # The same again, as JSON; a bomb; what is none; what only says so.
    send(message(json.dumps(made).encode(), "application/tlsrpt+json"))
    send(message(gzip.compress(b" " * (tlsrpt.MOST + 1))))
    send(message(b"\x1f\x8b garbage"))
    send(message(packed, "application/gzip", "delivery-status"))
    send(b"From: a@b.test\r\nContent-Type: multipart/report; report-type=tlsrpt\r\n\r\nnothing\r\n")
    assert run(inbox.look()) == 0
    made["report-id"] = "2"
    send(message(gzip.compress(json.dumps(made).encode())))
    assert run(inbox.look()) == 1
    assert len(lab.inbox(lab.alice)) == 7, "the mailbox stays as it is"
    with pytest.raises(BadReport):
        tlsrpt.parse(b"")
