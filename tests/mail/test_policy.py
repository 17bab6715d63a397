"""Who may send to whom: no address is a way around the relay check."""

from __future__ import annotations

import pytest

from imsd.auth.account import Account
from imsd.directory.membership import Writes
from imsd.errors import NoSuchRecipient, Refusal, RelayDenied, SenderNotPermitted
from imsd.mail.policy import Policy, Submitter
from imsd.settings import PAGES, LiveSettings
from imsd.store.ids import AccountId, EntryId
from protocols.smtp.grammar import Cursor, parse_forward_path
from protocols.smtp.parameters import NO_RCPT_PARAMETERS
from tests.mail.fakes import FakeDirectory
from tests.support.stores import run


def make(allow: str = "[]") -> Policy:
    directory = FakeDirectory()
    directory.add("alice")
    directory.add("root", admin=True)
    directory.add_list("staff", "alice@example.test")
    settings = LiveSettings(PAGES)
    settings.replace({"routing.restrictions.allow": allow})
    return Policy(directory, settings)  # type: ignore[arg-type]


def ask(path: str, relay: bool = False, policy: Policy | None = None) -> str:
    """The address that a forward-path is for, or the refusal's name."""
    forward = parse_forward_path(Cursor(path.encode()))
    try:
        by = Submitter("198.51.100.9", "192.0.2.1", 7 if relay else None)
        found = run((policy or make()).addressee(forward, NO_RCPT_PARAMETERS, by))
    except Refusal as refusal:
        return type(refusal).__name__
    return f"{'here' if found.recipient else 'out'} {found.address}"


@pytest.mark.parametrize(
    ("path", "outside", "relaying"),
    [
        ("<alice@example.test>", "here alice@example.test", "here alice@example.test"),
        ("<ALICE@Example.TEST>", "here alice@example.test", "here alice@example.test"),
        ('<"alice"@example.test>', "here alice@example.test", "here alice@example.test"),
        ("<alice@example.test.>", "here alice@example.test", "here alice@example.test"),
        ("<staff@example.test>", "here staff@example.test", "here staff@example.test"),
        ("<nobody@example.test>", "NoSuchRecipient", "NoSuchRecipient"),
        ("<x@example.org>", "RelayDenied", "out x@example.org"),
        ("<@example.test:x@example.org>", "RelayDenied", "out x@example.org"),
        (
            "<@a.example,@example.test:alice@example.test>",
            "here alice@example.test",
            "here alice@example.test",
        ),
        ("<x%example.org@example.test>", "RelayDenied", "out x@example.org"),
        ("<x%a.example%b.example@example.test>", "RelayDenied", "out x%a.example@b.example"),
        ("<alice%example.test@example.test>", "here alice@example.test", "here alice@example.test"),
        ("<example.org!x@example.test>", "RelayDenied", "out x@example.org"),
        ("<a.example!b.example!x@example.test>", "RelayDenied", "out b.example!x@a.example"),
        ('<"x@example.org"@example.test>', "RelayDenied", "out x@example.org"),
        ('<"x%example.org@example.test"@example.test>', "RelayDenied", "out x@example.org"),
        ("<IMCEASMTP-x+40example+2Eorg@example.test>", "RelayDenied", "out x@example.org"),
        (
            "<imceasmtp-alice+40example.test@example.test>",
            "here alice@example.test",
            "here alice@example.test",
        ),
        ('<"x%[127.0.0.1]"@example.test>', "RelayDenied", "out x@[127.0.0.1]"),
        ("<x@[192.0.2.1]>", "NoSuchRecipient", "NoSuchRecipient"),
        ("<x%example.org@[192.0.2.1]>", "RelayDenied", "out x@example.org"),
        ("<x@sub.example.test>", "RelayDenied", "out x@sub.example.test"),
        ("<%@example.test>", "NoSuchRecipient", "NoSuchRecipient"),
        ("<!@example.test>", "NoSuchRecipient", "NoSuchRecipient"),
        ('<"@"@example.test>', "NoSuchRecipient", "NoSuchRecipient"),
        ('<"a@b c"@example.test>', "NoSuchRecipient", "NoSuchRecipient"),
        ("<IMCEASMTP-x+0D+0Ay+40example+2Eorg@example.test>", "NoSuchRecipient", "NoSuchRecipient"),
        ("<IMCEASMTP-x+40a+0D+0Ab@example.test>", "NoSuchRecipient", "NoSuchRecipient"),
        ("<IMCEASMTP-x+20y+40example+2Eorg@example.test>", "RelayDenied", 'out "x y"@example.org'),
        ("<Postmaster>", "here root@example.test", "here root@example.test"),
        ("<POSTMASTER@example.test>", "here root@example.test", "here root@example.test"),
        ("<postmaster@[192.0.2.1]>", "here root@example.test", "here root@example.test"),
    ],
)
def test_recipient(path: str, outside: str, relaying: str) -> None:
    assert ask(path) == outside
    assert ask(path, relay=True) == relaying


def test_addresses_within_addresses_end() -> None:
    path = "<" + "x" + "%example.test" * 15 + "@example.test>"
    assert ask(path[:60].rsplit("%", 1)[0] + "@example.test>") == "NoSuchRecipient"


def test_no_network_relays_by_default_not_even_this_machine() -> None:
    assert not make().may_relay(Submitter("127.0.0.1")).allowed
    assert not make().may_relay(Submitter()).allowed


def test_named_networks_relay() -> None:
    policy = make('["192.0.2.0/24", "2001:db8::/32"]')
    assert policy.may_relay(Submitter("192.0.2.9")).allowed
    assert policy.may_relay(Submitter("2001:db8::1")).allowed
    assert not policy.may_relay(Submitter("198.51.100.1")).allowed


ALICE = Account(AccountId(7), EntryId(7), "cn=alice", ("alice@example.test",), 1, False, 1, AccountId(7))


@pytest.mark.parametrize("address", ["", "alice@example.test", "Alice@EXAMPLE.test"])
def test_own_addresses_may_be_used(address: str) -> None:
    run(make().check_sender(ALICE, address))


@pytest.mark.parametrize("address", ["root@example.test", "alice@example.org", "staff@example.test", "x@y@z"])
def test_other_addresses_may_not(address: str) -> None:
    with pytest.raises(SenderNotPermitted):
        run(make().check_sender(ALICE, address))


def test_names_of_others_may_who_was_let() -> None:
    policy = make()
    directory = policy._directory
    assert isinstance(directory, FakeDirectory)
    directory.writers[EntryId(7), EntryId(8)] = Writes.ON_BEHALF
    assert run(policy.check_sender(ALICE, "root@example.test")) is Writes.ON_BEHALF
    assert run(policy.check_sender(ALICE, "alice@example.test")) is Writes.AS


def test_refusals_are_the_documented_ones() -> None:
    assert RelayDenied.default == "Relaying is prohibited"
    assert NoSuchRecipient.default == "No such recipient here"
