"""REQUIRETLS and TLS-Required: No (RFC 8689): what leaves to whom, what comes back, what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import SSL

from imsd.mail import handover
from imsd.mail.envelope import Addressee
from imsd.mail.pickup import parse
from imsd.mail.relay.outcomes import Insecure, Parcel
from imsd.mail.relay.protection import Protection, Protections
from imsd.mail.requiring import OPTIONAL, REQUIRED, tag
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted
from imsd.mail.units import MOST
from imsd.settings import PAGES, LiveSettings
from imsd.store import mailboxes, spool
from imsd.store.database import Database
from imsd.store.spool import State
from imsd.trust.policies import Unavailable
from imsd.trust.sts import Policy
from tests.mail.peers import MailReactor
from tests.mail.test_queue import TEXT, World, status, store_reactor
from tests.support.certificates import Authority
from tests.support.stores import run

__all__ = ["store_reactor"]

OFFERED = ("PIPELINING", "8BITMIME", "SIZE", "DSN", "REQUIRETLS")


class Published:
    """MTA-STS policies by domain, in place of those that are fetched."""

    def __init__(self) -> None:
        self.of_domain: dict[str, Policy] = {}
        self.faults: dict[str, Unavailable] = {}

    def fault(self, domain: str) -> Unavailable | None:
        return self.faults.get(domain)

    async def of(self, domain: str) -> Policy | None:
        return self.of_domain.get(domain)


class Guarded(World):
    """far.test has TLS with certificates of an authority that is trusted."""

    def __init__(self, database: Database, reactor: MailReactor, folder: Path) -> None:
        super().__init__(database, reactor)
        self.folder, self.authority = folder, Authority(folder, "authority")
        self.set(ims__tls__ca_file=str(self.authority.file))
        self.published = Published()
        self.runner.transport.protections._policies = self.published  # type: ignore[assignment]
        self.zone.secure = True
        for peer, name in ((self.far, "a.far.test"), (self.backup, "b.far.test")):
            peer.tls, peer.extensions = self.certified(name), OFFERED

    def certified(self, name: str) -> SSL.Context:
        pair = str(self.authority.sign(name, x509.DNSName(name)))
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_file(pair)
        context.use_privatekey_file(pair)
        return context


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor, tmp_path: Path) -> Iterator[Guarded]:
    world = Guarded(sqlite_database, store_reactor, tmp_path)
    run(world.runner.start())
    yield world
    run(world.runner.stop())


@pytest.mark.parametrize(
    ("header", "required", "found"),
    [
        (b"Subject: x\r\nTLS-Required: No\r\n\r\n", False, OPTIONAL),
        (b"tls-required:\r\n NO\r\n\r\n", False, OPTIONAL),
        (b"TLS-Required: No\r\n\r\n", True, REQUIRED),
        (b"Subject: x\r\n\r\n", True, REQUIRED),
        (b"TLS-Required: Yes\r\n\r\n", False, ""),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n\r\n", False, ""),
        (b"X-TLS-Required: No\r\n\r\n", False, ""),
        (b"Subject: TLS-Required: No\r\n\r\n", False, ""),
    ],
)
def test_tags(header: bytes, required: bool, found: str) -> None:
    assert tag(header, required) == found


def test_the_pickup_folder_has_the_parameter() -> None:
    data = b"X-Sender: a@b.test\nX-RequireTLS: Yes\nX-Receiver: c@d.test\nSubject: x\n\nx\n"
    assert parse(data).required and parse(data).content == b"Subject: x\r\n\r\nx\r\n"
    assert not parse(data.replace(b"Yes", b"no")).required


# To whom it goes ----------------------------------------------------------------------------


def test_it_goes_to_who_is_verified_and_promises_the_same(world: Guarded) -> None:
    queue_id = world.send("x@far.test", tls=REQUIRED)
    assert run(world.db.read(spool.shown, queue_id))[0].tls == REQUIRED
    world.work()
    (got,) = world.far.got
    assert got.mail.endswith(" REQUIRETLS") and got.data == TEXT and world.far.encrypted == 1
    assert world.queued() == {} and world.reports() == []
    # What does not ask for it goes as ever.
    world.send("x@far.test")
    world.work()
    assert "REQUIRETLS" not in world.far.got[1].mail


def test_a_connection_that_is_good_enough_carries_others_too(world: Guarded) -> None:
    world.set(ims__limits__per_host=1, ims__tls__ca_file=str(world.authority.file))
    world.work()
    for number, asked in enumerate((REQUIRED, "", REQUIRED)):
        world.send(f"x{number}@far.test", tls=asked)
    world.work()
    assert [each.mail.endswith(" REQUIRETLS") for each in world.far.got] == [True, False, True]
    assert world.far.connections == 1
    # One that was made for others is not.
    world.send("y@far.test")
    world.send("z@far.test", tls=REQUIRED)
    world.work()
    assert world.far.connections == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("not offered", "5.7.30"),
        ("no TLS", "5.7.10"),
        ("handshake", "5.7.10"),
        ("other name", "5.7.10"),
        ("nobody vouches", "5.7.10"),
        ("not in the policy", "5.7.10"),
        ("switched off", "5.7.10"),
    ],
)
def test_it_comes_back_where_that_cannot_be_had(world: Guarded, fault: str, code: str) -> None:
    for peer in (world.far, world.backup):
        if fault == "not offered":
            peer.extensions = ("PIPELINING", "DSN")
        elif fault == "no TLS":
            peer.tls = None
        elif fault == "handshake":
            peer.broken = True
        elif fault == "other name":
            peer.tls = world.certified("else.test")
    if fault == "nobody vouches":
        world.zone.secure = False
    elif fault == "not in the policy":
        world.published.of_domain["far.test"] = Policy("enforce", ("else.test",), 86_400)
    elif fault == "switched off":
        world.set(ims__tls__level="none", ims__tls__ca_file=str(world.authority.file))
    world.send("x@far.test", tls=REQUIRED, ret="FULL")
    world.work()
    assert not world.far.got and not world.backup.got and world.queued() == {}
    assert "MAIL" not in world.far.verbs() + world.backup.verbs()
    (report,) = world.reports()
    assert status(report)[1]["Status"] == code
    assert "protection all the way" in str(report.get_payload(0))
    # As if RET=HDRS had been said (RFC 8689 5).
    assert report.get_payload(2).get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]


def test_the_next_exchanger_may_do(world: Guarded) -> None:
    world.far.extensions = ("PIPELINING",)
    world.send("x@far.test", tls=REQUIRED)
    world.work()
    assert world.backup.got[0].mail.endswith(" REQUIRETLS") and not world.far.got
    # One that cannot be asked may be better another time.
    del world.reactor.peers["192.0.2.2"]
    world.send("x@far.test", tls=REQUIRED)
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING} and world.reports() == []


@pytest.mark.parametrize("mode", ["enforce", "testing"])
def test_a_policy_vouches_for_a_name(world: Guarded, mode: str) -> None:
    world.zone.secure = False
    world.published.of_domain["far.test"] = Policy(mode, ("a.far.test",), 86_400)
    queue_id = world.send("x@far.test", tls=REQUIRED)
    world.work()
    assert len(world.far.got) == 1 and ("relayed", "x@far.test") in world.events(queue_id)


def test_a_host_that_the_settings_name_needs_nobody_to_vouch_for_it(world: Guarded) -> None:
    world.zone.secure = False
    world.set(
        ims__delivery__mode="smarthost",
        ims__delivery__smart_hosts=["[a.far.test]"],
        ims__tls__ca_file=str(world.authority.file),
    )
    world.send("x@elsewhere.test", tls=REQUIRED)
    world.work()
    assert world.far.got[0].mail.endswith(" REQUIRETLS")


# What follows from it -----------------------------------------------------------------------


def test_who_follows_and_what_waits_is_tagged_as_it_is(world: Guarded) -> None:
    for asked in (REQUIRED, OPTIONAL):
        world.zone.failing.add("far.test")
        world.send(Addressee("alice@example.test", None, ("SUCCESS",)), "x@far.test", tls=asked)
    world.work()
    found = {each.tls for each in run(world.db.read(spool.listed))}
    assert found == {REQUIRED, OPTIONAL}


@pytest.mark.parametrize("asked", [REQUIRED, OPTIONAL])
def test_members_of_lists_and_who_follows_a_contact_are_asked_the_same(world: Guarded, asked: str) -> None:
    """RFC 8689 4.1, 6."""
    world.zone.failing.update(("far.test", "near.test"))
    world.directory.add_contact("friend", "x@far.test")
    world.directory.add_list("team", "alice@example.test", "friend@example.test")
    for name in ("friend@example.test", "team@example.test"):
        to = world.directory.known[name]
        world.send(Addressee(name, to, ("SUCCESS", "FAILURE")), sender="carol@near.test", tls=asked)
    world.work()
    waiting = run(world.db.read(spool.listed))
    assert len(waiting) >= 2 and {each.tls for each in waiting} == {asked}


def test_copies_for_many_people_here_wait_with_it(world: Guarded) -> None:
    people = [world.directory.add(f"person{number}") for number in range(MOST + 5)]
    for account in people:
        run(world.db.write(mailboxes.create_account_mailboxes, account, 1))
    names = [f"person{number}@example.test" for number in range(len(people))]
    to = [Addressee(name, world.directory.known[name]) for name in names]
    queue_id = world.send(*to, tls=REQUIRED)
    message, recipients = run(world.db.read(spool.shown, queue_id))
    assert message.tls == REQUIRED and len(recipients) == 5
    world.work()
    assert world.queued() == {} and all(len(world.inbox(account)) == 1 for account in people)


@pytest.mark.parametrize(
    ("encrypted", "offered", "fits"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_connection_that_turned_round_must_promise_it_too(
    world: Guarded, encrypted: bool, offered: bool, fits: bool
) -> None:
    """ATRN: who asked has logged in, and is verified by that."""
    client = SimpleNamespace(
        usable=True, extensions={"REQUIRETLS": ""} if offered else {}, abort=lambda: None
    )
    courier = handover._Courier(client, "192.0.2.9", encrypted, world.runner.transport)  # type: ignore[arg-type]
    world.zone.failing.add("far.test")
    queue_id = world.send("x@far.test", tls=REQUIRED)
    message, recipients = run(world.db.read(spool.shown, queue_id))
    assert courier._session is not None and (courier._session.wanted.asks == REQUIRED) is fits
    if not fits:
        parcel = Parcel(message, recipients, None)  # type: ignore[arg-type]
        (outcome,) = run(courier.carry(Route("atrn", "far.test"), parcel)).values()
        assert (outcome.state, outcome.status) == (State.FAILED, "5.7.30")


@pytest.mark.parametrize("offered", [True, False])
def test_a_report_goes_as_it_is_required_where_that_can_be_had(world: Guarded, offered: bool) -> None:
    """RFC 8689 5: it is not lost otherwise."""
    if not offered:
        world.far.extensions = world.backup.extensions = ("PIPELINING",)
    world.near.refuse = {"x@near.test": "550 5.1.1 nobody"}
    world.near.tls, world.near.extensions = world.certified("a.near.test"), OFFERED
    world.send("x@near.test", sender="carol@far.test", tls=REQUIRED)
    world.work()
    world.work()
    assert world.near.commands.count("RCPT TO:<x@near.test>") == 1
    (got,) = world.far.got
    assert got.mail.startswith("<>") and got.mail.endswith(" REQUIRETLS") is offered
    assert b"5.1.1" in got.data and world.queued() == {}


def test_a_report_says_that_its_message_did_not_require_tls(world: Guarded) -> None:
    world.far.refuse = {"x@far.test": "550 5.1.1 nobody"}
    world.send("x@far.test", tls=OPTIONAL)
    world.work()
    assert world.reports()[0]["TLS-Required"] == "No"


# TLS-Required: No ---------------------------------------------------------------------------


def test_what_the_other_domain_asks_for_keeps_nothing_that_says_no(world: Guarded) -> None:
    world.zone.secure = False
    world.published.of_domain["far.test"] = Policy("enforce", ("*.far.test",), 86_400)
    world.far.tls, world.backup.tls = world.certified("else.test"), None
    world.send("x@far.test")
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING}
    queue_id = world.send("y@far.test", tls=OPTIONAL)
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<y@far.test>"]] and world.far.encrypted
    assert ("relayed", "y@far.test") in world.events(queue_id)
    world.published.of_domain["far.test"] = Policy("enforce", ("else.test",), 86_400)
    world.far.tls = None
    world.send("z@far.test", tls=OPTIONAL)
    world.work()
    assert world.far.got[1].rcpt == ["<z@far.test>"]


@pytest.mark.parametrize("level", ["encrypt", "verify", "dane"])
def test_what_the_administrator_asks_for_does(world: Guarded, level: str) -> None:
    world.zone.secure = False
    world.set(ims__tls__level=level, ims__tls__ca_file=str(world.authority.file))
    world.far.tls = world.backup.tls = None
    world.send("x@far.test", tls=OPTIONAL)
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING} and not world.far.got


def of(wants: Wanted, policy: Policy | None = None, **more: Any) -> Protection:
    target = Target("mx.a.test", "192.0.2.1", 25, **more)
    settings = LiveSettings(PAGES)
    settings.replace({"ims.tls.dane": "false"})
    protections = Protections(settings, None, None)  # type: ignore[arg-type]
    return run(protections.of(target, Route("ims", "a.test"), wants, policy))


@pytest.mark.parametrize(
    ("make", "level", "testing"),
    [
        (lambda: of(Wanted("may", asks=REQUIRED), secure=True), "verify", False),
        (lambda: of(Wanted("encrypt", asks=REQUIRED), Policy("testing", ("mx.a.test",), 9)), "verify", False),
        (lambda: of(Wanted("verify", names=("x.test",), asks=REQUIRED)), "verify", False),
        (lambda: of(Wanted("may", asks=OPTIONAL), Policy("enforce", ("mx.a.test",), 9)), "verify", True),
        (lambda: of(Wanted("may", asks=OPTIONAL), Policy("enforce", ("else.test",), 9)), "may", False),
        (
            lambda: of(Wanted("encrypt", asks=OPTIONAL), Policy("enforce", ("mx.a.test",), 9)),
            "encrypt",
            False,
        ),
    ],
)
def test_what_a_connection_must_have(make: Callable[[], Protection], level: str, testing: bool) -> None:
    found = make()
    assert (found.level, found.testing) == (level, testing)


def test_a_name_that_nobody_vouches_for_is_no_exchanger() -> None:
    with pytest.raises(Insecure, match="neither DNSSEC nor MTA-STS"):
        of(Wanted(asks=REQUIRED))
