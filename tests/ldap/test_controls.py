"""Controls of requests: their values, criticality, and what must not come together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.ldap import ber, client, controls, filters, syncing
from protocols.ldap.controls import Controls, ListView, Page, SortKey
from protocols.ldap.messages import BindRequest, Control, ExtendedRequest, Simple
from protocols.ldap.results import Failed, ResultCode
from tests.ldap.fake import Peer
from tests.ldap.test_server import ADD, WHO_AM_I, bound, code, replace, search

IS_U1 = filters.Equal("uid", b"u1")
UID = client.encode_filter(IS_U1)
PAGE = ber.sequence([ber.integer(5), ber.octets(b"c")])
SORT_CN = ber.sequence([ber.sequence([ber.text("cn")])])
SORT_TWO = ber.sequence(
    [
        ber.sequence([ber.text("sn"), ber.wrap(0x80, b"2.5.13.3"), ber.boolean(True, 0x81)]),
        ber.sequence([ber.text("cn")]),
    ]
)
FIRST = ber.sequence([ber.integer(0), ber.integer(9), ber.sequence([ber.integer(1), ber.integer(0)], 0xA0)])
FROM_M = ber.sequence([ber.integer(1), ber.integer(2), ber.wrap(0x81, b"m"), ber.octets(b"context")])


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.mark.parametrize(
    ("oid", "tag", "value", "field", "expected"),
    [
        (
            controls.PAGED_RESULTS,
            0x63,
            ber.sequence([ber.integer(5), ber.octets(b"c")]),
            "page",
            Page(5, b"c"),
        ),
        (controls.SORT, 0x63, SORT_CN, "sort", (SortKey("cn"),)),
        (controls.SORT, 0x63, SORT_TWO, "sort", (SortKey("sn", "2.5.13.3", True), SortKey("cn"))),
        (
            controls.MATCHED_VALUES,
            0x63,
            ber.sequence([UID]),
            "matched_values",
            (filters.Equal("uid", b"u1"),),
        ),
        (controls.ASSERTION, 0x66, UID, "assertion", IS_U1),
        (controls.PRE_READ, 0x4A, ber.sequence([ber.text("cn"), ber.text("*")]), "pre_read", ("cn", "*")),
        (controls.POST_READ, 0x68, ber.sequence([]), "post_read", ()),
        (controls.PROXIED, 0x77, b"u:ann", "proxied", "u:ann"),
        (controls.PROXIED, 0x63, b"", "proxied", ""),
        (controls.MANAGE_DSA_IT, 0x63, None, "manage_dsa_it", True),
        (controls.SUBENTRIES, 0x63, ber.boolean(True), "subentries", True),
        (controls.DONT_USE_COPY, 0x6E, None, "fresh", True),
        (controls.TREE_DELETE, 0x4A, None, "tree_delete", True),
        (controls.PERMISSIVE_MODIFY, 0x66, None, "permissive", True),
        (controls.RELAX, 0x68, None, "relax", True),
    ],
)
def test_each_control_is_read(oid: str, tag: int, value: bytes | None, field: str, expected: Any) -> None:
    assert getattr(controls.read((Control(oid, True, value),), tag), field) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(FIRST, ListView(0, 9, 1, 0)), (FROM_M, ListView(1, 2, value=b"m"))],
)
def test_a_list_view_comes_with_a_sort(value: bytes, expected: ListView) -> None:
    view, sort = Control(controls.VLV, True, value), Control(controls.SORT, True, SORT_CN)
    assert controls.read((sort, view), 0x63).view == expected
    with pytest.raises(Failed) as refused:
        controls.read((view,), 0x63)
    assert refused.value.result.code is ResultCode.SORT_CONTROL_MISSING
    page = Control(controls.PAGED_RESULTS, False, ber.sequence([ber.integer(5), ber.octets(b"")]))
    with pytest.raises(Failed):
        controls.read((sort, view, page), 0x63)


@pytest.mark.parametrize(
    ("oid", "tag", "value"),
    [
        (controls.SORT, 0x63, ber.sequence([])),
        (controls.SORT, 0x63, ber.sequence([ber.sequence([ber.text("cn")]), ber.sequence([ber.text("CN")])])),
        (controls.SORT, 0x63, ber.sequence([ber.sequence([ber.text(f"a{n}")]) for n in range(11)])),
        (controls.MATCHED_VALUES, 0x63, ber.sequence([client.encode_filter(filters.And(()))])),
        (controls.ASSERTION, 0x66, UID + UID),
        (controls.ASSERTION, 0x66, None),
        (controls.PRE_READ, 0x66, b"x"),
        (controls.PROXIED, 0x66, b"\xff"),
        (controls.TREE_DELETE, 0x4A, b"x"),
        (controls.SUBENTRIES, 0x63, None),
    ],
)
def test_damaged_values_are_refused(oid: str, tag: int, value: bytes | None) -> None:
    with pytest.raises(BadSyntax):
        controls.read((Control(oid, True, value),), tag)


@pytest.mark.parametrize("oid", [controls.PROXIED, controls.RELAX, controls.DONT_USE_COPY])
def test_some_must_be_critical(oid: str) -> None:
    tag = 0x66 if oid == controls.RELAX else 0x63
    with pytest.raises(BadSyntax):
        controls.read((Control(oid, False),), tag)


def test_a_control_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadSyntax):
        controls.read((Control(controls.MANAGE_DSA_IT),) * 2, 0x63)


def test_what_is_not_critical_is_ignored_where_it_means_nothing() -> None:
    unknown = Control("1.2.3.4", False, b"x")
    assert controls.read((unknown, Control(controls.TREE_DELETE)), 0x63) == Controls()
    with pytest.raises(Failed) as refused:
        controls.read((Control(controls.TREE_DELETE, True),), 0x63)
    assert refused.value.result.code is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION


@given(st.sampled_from(sorted(controls.TABLE)), st.binary(max_size=40))
def test_garbage_is_refused_properly(oid: str, value: bytes) -> None:
    tag = min(controls.TABLE[oid].requests)
    try:
        controls.read((Control(oid, True, value),), tag)
    except (BadSyntax, Failed):
        pass


# In a conversation -----------------------------------------------------------------------


def test_controls_reach_the_directory_and_its_answers_the_client(peer: Peer) -> None:
    peer.send(1, search(), Control(controls.SORT, False, SORT_CN))
    done = peer.receive()[-1]
    assert done.controls == (controls.sort_control(0),)
    assert peer.door.asked[-1].sort == (SortKey("cn"),) and not peer.door.asked[-1].sort_critical
    peer.send(2, ADD)
    peer.send(3, replace("uid=new,dc=test"), Control(controls.POST_READ, True, ber.sequence([])))
    assert peer.receive()[-1].controls == (Control(controls.POST_READ, value=b"image"),)


def test_sorted_pages_say_so_with_each_page(peer: Peer) -> None:
    for number in range(3):
        peer.door.put(f"uid=u{number},dc=test", uid=(b"u",), objectClass=(b"person",))
    cookie, answers = b"", []
    for message_id in (1, 2):
        page = Control(controls.PAGED_RESULTS, True, ber.sequence([ber.integer(3), ber.octets(cookie)]))
        peer.send(message_id, search(), page, Control(controls.SORT, True, SORT_CN))
        answers = list(peer.receive()[-1].controls)
        assert answers[1] == controls.sort_control(0)
        cookie = _cookie(answers[0])
    assert cookie == b""


def _cookie(control: Control) -> bytes:
    inside = ber.Cursor(control.value or b"").enter()
    inside.integer()
    return inside.octets()


def test_another_identity_for_one_request(peer: Peer) -> None:
    proxied = Control(controls.PROXIED, True, b"dn:uid=ann")
    assert code(peer.ask(1, search(), proxied)[-1]) is ResultCode.AUTHORIZATION_DENIED
    bound(peer)
    assert peer.ask(2, WHO_AM_I, proxied)[0].value == b"dn:uid=ann"
    assert peer.ask(3, WHO_AM_I)[0].value == b"dn:uid=bob"
    cancel = ExtendedRequest("1.3.6.1.1.8", ber.sequence([ber.integer(9)]))
    assert code(peer.ask(4, cancel, proxied)[0]) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    [answer] = peer.ask(5, BindRequest(3, "uid=bob", Simple(b"secret")), proxied)
    assert code(answer) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION


# Following changes ------------------------------------------------------------------------


def test_requests_to_follow_changes_are_read() -> None:
    sync = ber.sequence([ber.integer(3, ber.ENUMERATED), ber.octets(b"c"), ber.boolean(True)])
    assert syncing.read_sync(sync) == syncing.SyncRequest(True, b"c", True)
    assert syncing.read_sync(ber.sequence([ber.integer(1, ber.ENUMERATED)])) == syncing.SyncRequest(False)
    persistent = ber.sequence([ber.integer(9), ber.boolean(True), ber.boolean(False)])
    assert syncing.read_persistent(persistent) == syncing.PersistentSearch(9, True, False)
    for damaged in (None, b"", ber.sequence([ber.integer(2, ber.ENUMERATED)])):
        with pytest.raises(BadSyntax):
            syncing.read_sync(damaged)
    both = (Control(syncing.SYNC, True, sync), Control(syncing.PERSISTENT_SEARCH, True, persistent))
    for asked in (both, (both[0], Control(controls.SORT, True, SORT_CN)), (both[1], _paged())):
        with pytest.raises(Failed):
            controls.read(asked, 0x63)


def _paged() -> Control:
    return Control(controls.PAGED_RESULTS, True, PAGE)


def test_a_search_that_stays_has_neither_time_nor_number(peer: Peer) -> None:
    peer.door.stay = True
    sync = Control(syncing.SYNC, True, ber.sequence([ber.integer(3, ber.ENUMERATED)]))
    peer.send(1, search(size=1, seconds=5), sync)
    peer.clock.advance(3600)
    peer.door.open_gate("stay")
    answers = peer.receive()
    assert len(answers) == 4
    assert code(answers[-1].operation) is ResultCode.SUCCESS
    assert answers[1].controls == (syncing.state_control(syncing.State.ADD, b"u" * 16),)


ASKED = Control(controls.PASSWORD_POLICY)


def test_a_bind_that_asks_is_told_of_the_password(peer: Peer) -> None:
    request = BindRequest(3, "uid=bob", Simple(b"secret"))
    message_id = 1
    for asked, told in (((ASKED,), [controls.password_control(logins=3)]), ((), [])):
        peer.send(message_id, request, *asked)
        (answer,) = peer.receive()
        assert answer.operation.result.code is ResultCode.SUCCESS
        assert list(answer.controls) == told
        message_id += 1


def test_nobody_has_no_password_to_be_told_of(peer: Peer) -> None:
    peer.send(1, BindRequest(3, "", Simple(b"")), ASKED)
    (answer,) = peer.receive()
    assert not answer.controls


def test_a_refusal_is_explained_to_who_asks(peer: Peer) -> None:
    bound(peer)
    for message_id, asked in ((2, (ASKED,)), (3, ())):
        peer.send(message_id, replace("cn=refused"), *asked)
        (answer,) = peer.receive()
        assert answer.operation.result.code is ResultCode.CONSTRAINT_VIOLATION
        locked = [controls.password_control(error=controls.PasswordError.LOCKED)]
        assert list(answer.controls) == (locked if asked else [])


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (controls.password_control(), "3000"),
        (controls.password_control(86_400), "3007a0058003015180"),
        (controls.password_control(200), "3006a004800200c8"),
        (controls.password_control(logins=0, error=controls.PasswordError.EXPIRED), "3008a003810100810100"),
    ],
)
def test_the_value_of_the_policy_control(made: Control, value: str) -> None:
    assert made == Control(controls.PASSWORD_POLICY, value=bytes.fromhex(value))
