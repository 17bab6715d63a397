"""Lists, alternates and forwarding at work: who gets a copy, who may send, who hears of failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imsd.directory.restrictions import Reports, Restrictions
from imsd.directory.values import DistributionList
from imsd.errors import PostingDenied
from imsd.mail import posting
from imsd.mail.connectors import Originator
from imsd.mail.envelope import Addressee
from imsd.store.database import Database
from imsd.store.ids import EntryId
from tests.mail.peers import MailReactor
from tests.mail.test_queue import World, status
from tests.support import stores
from tests.support.stores import run


@pytest.fixture
def store_reactor() -> MailReactor:
    stores._reactor = MailReactor()
    return stores._reactor


@pytest.fixture
def world(database: Database, store_reactor: MailReactor) -> Iterator[World]:
    one = World(database, store_reactor)
    one.bob = one._person("bob")  # type: ignore[attr-defined]
    run(one.runner.start())
    yield one
    run(one.runner.stop())


def to(world: World, alias: str, *notify: str) -> Addressee:
    address = f"{alias}@example.test"
    return Addressee(address, run(world.directory.resolve(address)), notify)


def change(world: World, alias: str, **values: Any) -> None:
    address = f"{alias}@example.test"
    world.directory.known[address] = replace(world.directory.known[address], **values)


def entry(world: World, alias: str) -> EntryId:
    return world.directory.known[f"{alias}@example.test"].entry


def restrict(world: World, alias: str, accept: tuple[str, ...] = (), reject: tuple[str, ...] = ()) -> None:
    change(world, alias, restricted=True)
    world.directory.restricted[entry(world, alias)] = Restrictions(
        frozenset(entry(world, each) for each in accept), frozenset(entry(world, each) for each in reject)
    )


def inboxes(world: World) -> tuple[int, int, int]:
    """How much alice, bob and root have."""
    return tuple(len(world.inbox(who)) for who in (world.alice, world.bob, world.root))  # type: ignore


# Who hears of failures ------------------------------------------------------------------------


def a_list(world: World, reports: Reports, owner: str = "") -> None:
    world.far.end = "550 no"
    world.directory.add_contact("guest", "guest@far.test")
    world.directory.add_list("staff", "bob@example.test", "guest@example.test")
    change(world, "staff", reports=reports, owner=entry(world, owner) if owner else None)


@pytest.mark.parametrize(
    ("reports", "owner", "heard", "path"),
    [
        (Reports.ORIGINATOR, "", (1, 1, 0), "alice@example.test"),
        (Reports.OWNER, "root", (0, 1, 1), "root@example.test"),
        (Reports.POSTMASTER, "", (0, 1, 1), ""),
        (Reports.NOBODY, "", (0, 1, 0), ""),
    ],
)
def test_who_hears_of_a_member_that_cannot_be_reached(
    world: World, reports: Reports, owner: str, heard: tuple[int, int, int], path: str
) -> None:
    a_list(world, reports, owner)
    world.send(to(world, "staff"), ret="FULL", envid="E1")
    world.work()
    assert inboxes(world) == heard
    (copy,) = world.inbox(world.bob)
    assert copy.startswith(f"Return-Path: <{path}>".encode())
    (mail,) = (each for each in world.far.commands if each.startswith("MAIL"))
    assert mail.startswith(f"MAIL FROM:<{path}>")
    assert ("ENVID=E1" in mail) == (reports is Reports.ORIGINATOR), "5.2.7.1 b: nothing of the original"
    assert world.queued() == {}


@pytest.mark.parametrize("below", [False, True])
def test_delivery_to_a_mailing_list_is_final_and_told_to_who_asked(world: World, below: bool) -> None:
    """RFC 3464 2.3.3: expanded is of aliases alone."""
    a_list(world, Reports.OWNER, "root")
    if below:
        world.directory.add_list("above", "staff@example.test")
    world.send(to(world, "above" if below else "staff", "SUCCESS", "FAILURE"))
    for _ in range(3):
        world.work()
    told = {each["Action"] for report in world.reports() for each in status(report)[1:]}
    assert told == {"expanded" if below else "delivered"}
    (failure,) = world.reports(world.root)
    assert status(failure)[1]["Final-Recipient"] == "rfc822; guest@far.test"


@pytest.mark.parametrize(
    ("outer", "inner", "heard"),
    [
        (Reports.ORIGINATOR, Reports.POSTMASTER, (0, 1, 1)),
        (Reports.ORIGINATOR, Reports.NOBODY, (0, 1, 0)),
        (Reports.OWNER, Reports.ORIGINATOR, (0, 2, 0)),
        (Reports.OWNER, Reports.POSTMASTER, (0, 1, 1)),
        (Reports.NOBODY, Reports.OWNER, (0, 1, 1)),
    ],
)
def test_a_list_within_a_list_says_who_hears(
    world: World, outer: Reports, inner: Reports, heard: tuple[int, int, int]
) -> None:
    """Who is on a hidden list is not told to who writes to one that holds it."""
    a_list(world, inner, "root" if inner is Reports.OWNER else "")
    world.directory.add_list("above", "staff@example.test")
    change(world, "above", reports=outer, owner=entry(world, "bob") if outer is Reports.OWNER else None)
    world.send(to(world, "above"))
    world.work()
    assert inboxes(world) == heard


def test_two_lists_of_two_owners_and_a_stranger_in_one_message(world: World) -> None:
    a_list(world, Reports.OWNER, "root")
    world.directory.add_list("club", "pal@example.test")
    world.directory.add_contact("pal", "pal@far.test")
    change(world, "club", reports=Reports.OWNER, owner=entry(world, "bob"))
    queue_id = world.send(to(world, "staff"), to(world, "club"), "x@far.test")
    world.work()
    told = {who: len(world.inbox(who)) for who in (world.alice, world.bob, world.root)}
    assert told == {world.alice: 1, world.bob: 2, world.root: 1}, "bob has a copy and a report"
    assert ("queued", "pal@far.test") in world.events(queue_id)


# Who may send ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "reject", "account", "sender", "may"),
    [
        (("alice",), (), "alice", "alice@example.test", True),
        (("alice",), (), "bob", "bob@example.test", False),
        (("inner",), (), "bob", "bob@example.test", True),
        (("outer",), (), "bob", "bob@example.test", True),
        (("outer",), (), "alice", "alice@example.test", False),
        ((), ("outer",), "bob", "bob@example.test", False),
        ((), ("outer",), "alice", "alice@example.test", True),
        (("alice",), ("alice",), "alice", "alice@example.test", False),
        # Who did not log in: known by his address, as far as that goes.
        (("alice",), (), None, "alice@example.test", False),
        ((), ("alice",), None, "alice@example.test", False),
        (("partner",), (), None, "partner@far.test", True),
        (("outer",), (), None, "stranger@near.test", False),
        ((), ("outer",), None, "stranger@near.test", True),
        (("alice",), (), None, "", True),
    ],
)
def test_who_may_send_to_a_mailbox(
    world: World,
    accept: tuple[str, ...],
    reject: tuple[str, ...],
    account: str | None,
    sender: str,
    may: bool,
) -> None:
    # Lists that hold each other.
    world.directory.add_list("inner", "bob@example.test", "outer@example.test")
    world.directory.add_list("outer", "inner@example.test")
    world.directory.add_contact("partner", "partner@far.test")
    world.directory.known["partner@far.test"] = world.directory.known["partner@example.test"]
    restrict(world, "root", accept, reject)
    known = run(world.directory.resolve("root@example.test"))
    who = None if account is None else int(entry(world, account))
    admitted = run(posting.admits(world.directory, known, Originator(who, sender)))  # type: ignore[arg-type]
    assert admitted == may


def test_a_report_does_not_reach_a_list_that_accepts_from_some(world: World) -> None:
    known = DistributionList(EntryId(900), "staff@example.test", restricted=True)
    world.directory.restricted[known.entry] = Restrictions(accept=frozenset({entry(world, "alice")}))
    admits = posting.admits
    assert not run(admits(world.directory, known, Originator(None, "")))  # type: ignore[arg-type]
    assert run(admits(world.directory, known, Originator(None, "", True)))  # type: ignore[arg-type]


def test_who_is_not_accepted_is_refused_at_once(world: World) -> None:
    restrict(world, "root", accept=("bob",))
    with pytest.raises(PostingDenied):
        world.send(to(world, "root"), account=world.alice)
    assert inboxes(world) == (0, 0, 0)


def test_a_member_that_does_not_accept_is_reported_and_the_others_have_it(world: World) -> None:
    world.directory.add_list("staff", "bob@example.test", "root@example.test")
    restrict(world, "root", accept=("bob",))
    world.send(to(world, "staff"), account=world.alice)
    world.work()
    assert inboxes(world) == (1, 1, 0)
    group = status(world.reports()[0])[1]
    assert (group["Final-Recipient"], group["Status"]) == ("rfc822; root@example.test", "5.7.1")


# Alternate recipients -------------------------------------------------------------------------


@pytest.mark.parametrize(("keeps", "expected"), [(False, (0, 0, 1)), (True, (0, 1, 1))])
def test_an_alternate_gets_the_mail(world: World, keeps: bool, expected: tuple[int, int, int]) -> None:
    change(world, "bob", alternate=entry(world, "root"), keeps=keeps)
    queue_id = world.send(to(world, "bob"))
    assert inboxes(world) == expected
    assert ("redirected", "bob@example.test") in world.events(queue_id)


def test_alternates_in_a_circle_leave_the_mail_where_it_closes(world: World) -> None:
    change(world, "bob", alternate=entry(world, "root"))
    change(world, "root", alternate=entry(world, "bob"))
    world.send(to(world, "bob"))
    assert inboxes(world) == (0, 1, 0)
    change(world, "alice", alternate=entry(world, "alice"))
    world.send(to(world, "alice"), sender="x@far.test")
    assert inboxes(world) == (1, 1, 0)


def test_an_alternate_that_is_gone_is_none(world: World) -> None:
    change(world, "bob", alternate=EntryId(12345))
    world.send(to(world, "bob"))
    assert inboxes(world) == (0, 1, 0)


def test_an_alternate_elsewhere_with_a_copy_here_is_told_of_once(world: World) -> None:
    world.directory.add_contact("phone", "bob@far.test")
    change(world, "bob", alternate=entry(world, "phone"), keeps=True)
    world.far.end = "550 no"
    world.send(to(world, "bob", "SUCCESS", "FAILURE"), sender="s@near.test")
    world.work()
    assert world.far.commands and inboxes(world) == (0, 1, 0)
    (got,) = world.near.got
    assert b"Action: delivered" in got.data and b"bob@example.test" in got.data


# Forwarding -----------------------------------------------------------------------------------


def test_what_is_sent_on_has_a_reverse_path_of_ours(world: World) -> None:
    world.directory.add_contact("friend", "friend@far.test")
    world.send(to(world, "friend"), "y@far.test", sender="s@near.test")
    world.work()
    paths = {tuple(got.rcpt): got.mail[1:].partition(">")[0] for got in world.far.got}
    assert paths[("<y@far.test>",)] == "s@near.test"
    path = paths[("<friend@far.test>",)]
    assert path.startswith("SRS0=") and run(world.delivery.srs.back(path)) == "s@near.test"


def test_what_people_here_send_keeps_theirs(world: World) -> None:
    world.directory.add_contact("friend", "friend@far.test")
    world.send(to(world, "friend"), account=world.alice)
    world.work()
    assert world.far.got[0].mail.startswith("<alice@example.test>")


def test_a_failure_of_what_was_sent_on_is_told_to_who_sent_it(world: World) -> None:
    world.directory.add_contact("friend", "friend@far.test")
    world.far.end = "550 no"
    world.send(to(world, "friend"), sender="s@near.test")
    world.work()
    (got,) = world.near.got
    assert got.rcpt == ["<s@near.test>"] and got.mail.startswith("<> ")
    assert world.queued() == {} and inboxes(world) == (0, 0, 0)


def test_a_list_that_owns_itself_does_not_go_round_for_ever(world: World) -> None:
    """A report that comes to a list stays a report: nobody is told of what fails of it but the postmaster."""
    a_list(world, Reports.OWNER, "root")
    change(world, "staff", owner=entry(world, "staff"))
    world.send(to(world, "staff"))
    for _ in range(4):
        world.work()
    assert world.queued() == {}
    # The message, the report about its failure, and no third.
    assert sum(each.startswith("MAIL") for each in world.far.commands) == 2
    assert len(world.inbox(world.bob)) == 2 and len(world.inbox(world.root)) == 1
