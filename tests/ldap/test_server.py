"""One connection on a StringTransport: answers, order, limits, endings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher

from protocols.ldap import ber, client, filters
from protocols.ldap import responses as writing
from protocols.ldap.controls import MANAGE_DSA_IT, PAGED_RESULTS, page_control
from protocols.ldap.interfaces import Limits, SearchLimits
from protocols.ldap.messages import (
    AbandonRequest,
    AddRequest,
    AddResponse,
    Attribute,
    BindRequest,
    BindResponse,
    Change,
    ChangeKind,
    CompareRequest,
    CompareResponse,
    Control,
    DeleteRequest,
    DeleteResponse,
    Deref,
    ExtendedRequest,
    ExtendedResponse,
    ModifyDnRequest,
    ModifyDnResponse,
    ModifyRequest,
    ModifyResponse,
    PasswordModify,
    Request,
    Sasl,
    Scope,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    Simple,
    UnbindRequest,
)
from protocols.ldap.reader import Budget
from protocols.ldap.results import Result, ResultCode
from protocols.ldap.server import NOTICE_OF_DISCONNECTION
from tests.ldap.fake import FakeDoor, Peer

ALL = filters.Present("objectClass")
WHO_AM_I = ExtendedRequest("1.3.6.1.4.1.4203.1.11.3")
START_TLS = ExtendedRequest("1.3.6.1.4.1.1466.20037")
ADD = AddRequest("uid=new,dc=test", (Attribute("objectClass", (b"person",)),))


def search(
    base: str = "dc=test",
    scope: Scope = Scope.SUBTREE,
    filter: filters.Filter = ALL,
    *attributes: str,
    size: int = 0,
    seconds: int = 0,
    types_only: bool = False,
) -> SearchRequest:
    return SearchRequest(base, scope, Deref.NEVER, size, seconds, types_only, filter, attributes)


def replace(dn: str) -> ModifyRequest:
    return ModifyRequest(dn, (Change(ChangeKind.REPLACE, Attribute("cn", (b"new",))),))


def cancel(message_id: int) -> ExtendedRequest:
    return ExtendedRequest("1.3.6.1.1.8", ber.sequence([ber.integer(message_id)]))


def code(operation: Any) -> ResultCode:
    found: ResultCode = operation.result.code
    return found


@pytest.fixture
def peer() -> Peer:
    peer = Peer()
    for number in range(10):
        peer.door.put(f"uid=u{number},dc=test", objectClass=(b"person",), uid=(b"u%d" % number,))
    return peer


def bound(peer: Peer) -> Peer:
    assert code(peer.ask(1, BindRequest(3, "uid=bob", Simple(b"secret")))[-1]) is ResultCode.SUCCESS
    return peer


# Operations ----------------------------------------------------------------------------


def test_an_equality_search(peer: Peer) -> None:
    found = peer.ask(2, search(filter=filters.And((ALL, filters.Equal("uid", b"U7")))))
    entry = SearchResultEntry(
        "uid=u7,dc=test", (Attribute("objectclass", (b"person",)), Attribute("uid", (b"u7",)))
    )
    assert found == [entry, SearchResultDone(Result(ResultCode.SUCCESS))]


def test_attributes_are_selected(peer: Peer) -> None:
    assert peer.ask(2, search("uid=u1,dc=test", Scope.BASE, ALL, "UID"))[0].attributes == (
        Attribute("uid", (b"u1",)),
    )
    assert peer.ask(3, search("uid=u1,dc=test", Scope.BASE, ALL, "1.1"))[0].attributes == ()


def test_updates_and_compare(peer: Peer) -> None:
    assert peer.ask(2, ADD) == [AddResponse(Result(ResultCode.SUCCESS))]
    assert peer.ask(3, replace("uid=new,dc=test")) == [ModifyResponse(Result(ResultCode.SUCCESS))]
    assert peer.ask(4, CompareRequest("uid=new,dc=test", "cn", b"new")) == [
        CompareResponse(Result(ResultCode.COMPARE_TRUE))
    ]
    assert peer.ask(5, CompareRequest("uid=new,dc=test", "cn", b"old")) == [
        CompareResponse(Result(ResultCode.COMPARE_FALSE))
    ]
    assert peer.ask(6, ModifyDnRequest("uid=new,dc=test", "uid=newer", True)) == [
        ModifyDnResponse(Result(ResultCode.SUCCESS))
    ]
    assert peer.ask(7, DeleteRequest("uid=newer,dc=test")) == [DeleteResponse(Result(ResultCode.SUCCESS))]
    assert code(peer.ask(8, DeleteRequest("uid=newer,dc=test"))[0]) is ResultCode.NO_SUCH_OBJECT


def test_refusals_and_bugs_become_results(peer: Peer) -> None:
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        assert code(peer.ask(2, replace("cn=refused"))[0]) is ResultCode.CONSTRAINT_VIOLATION
        assert not seen
        [answer] = peer.ask(3, replace("cn=bug"))
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert code(answer) is ResultCode.OTHER
    [logged] = seen
    assert logged["mark"] in answer.result.text
    assert logged["log_failure"].check(KeyError)
    assert "bug" not in answer.result.text.replace(logged["mark"], "")


def test_matched_dn_and_bad_names(peer: Peer) -> None:
    [done] = peer.ask(2, search("uid=nobody,dc=test"))
    assert done.result == Result(ResultCode.NO_SUCH_OBJECT, "dc=test")
    assert code(peer.ask(3, search("no name"))[0]) is ResultCode.INVALID_DN_SYNTAX
    assert code(peer.ask(4, search("no name", Scope.BASE))[0]) is ResultCode.INVALID_DN_SYNTAX


@pytest.mark.parametrize("value", [b"xx", b"\x30\x84\xff\xff\xff\xff", b"\x30\x02\x04\x05", None])
@pytest.mark.parametrize("oid", ["1.3.6.1.1.8", "1.3.6.1.1.21.3", "1.3.6.1.4.1.4203.1.11.1"])
def test_a_value_of_an_extended_operation_that_is_no_ber_ends_no_session(
    peer: Peer, oid: str, value: bytes | None
) -> None:
    if value is None and oid.endswith("11.1"):
        value = b"\x31\x00"  # nothing to say is something that may be said
    assert code(peer.ask(1, ExtendedRequest(oid, value))[0]) is ResultCode.PROTOCOL_ERROR
    assert code(peer.ask(2, WHO_AM_I)[0]) is ResultCode.SUCCESS
    assert not peer.transport.disconnecting


def test_extended_operations(peer: Peer) -> None:
    assert peer.ask(1, WHO_AM_I)[0].value == b""
    bound(peer)
    assert peer.ask(2, WHO_AM_I)[0].value == b"dn:uid=bob"
    passwd = "1.3.6.1.4.1.4203.1.11.1"
    assert peer.ask(3, ExtendedRequest(passwd))[0].value == bytes.fromhex("300b8009") + b"generated"
    value = client.encode_password_modify(PasswordModify(None, b"old", b"new"))
    assert peer.ask(4, ExtendedRequest(passwd, value)) == [ExtendedResponse(Result(ResultCode.SUCCESS))]
    assert code(peer.ask(5, ExtendedRequest("1.2.3"))[0]) is ResultCode.PROTOCOL_ERROR
    assert code(peer.ask(6, ExtendedRequest(passwd, b"\x30\x03\x85\x01x"))[0]) is ResultCode.PROTOCOL_ERROR


def test_a_password_stays_off_unprotected_connections() -> None:
    peer = Peer(address="192.0.2.7")
    answer = peer.ask(1, BindRequest(3, "uid=bob", Simple(b"secret")))[0]
    assert code(answer) is ResultCode.CONFIDENTIALITY_REQUIRED
    passwd = ExtendedRequest("1.3.6.1.4.1.4203.1.11.1")
    assert code(peer.ask(2, passwd)[0]) is ResultCode.CONFIDENTIALITY_REQUIRED
    sasl = peer.ask(3, BindRequest(3, "", Sasl("PLAIN", b"\0bob\0secret")))[0]
    assert code(sasl) is ResultCode.CONFIDENTIALITY_REQUIRED
    trusting = Peer(FakeDoor(Limits(clear_text=True)), address="192.0.2.7")
    bound(trusting)


def test_root_dse_and_subschema() -> None:
    peer = Peer(tls=object)
    peer.door.let_anonymous = False
    [entry, done] = peer.ask(1, search("", Scope.BASE, ALL, "*", "+"))
    values = {each.name: each.values for each in entry.attributes}
    assert values["namingContexts"] == (b"dc=test",)
    assert values["supportedLDAPVersion"] == (b"3",)
    assert PAGED_RESULTS.encode() in values["supportedControl"]
    assert START_TLS.oid.encode() in values["supportedExtension"]
    assert values["supportedSASLMechanisms"] == (b"PLAIN", b"LOGIN")
    assert code(done) is ResultCode.SUCCESS
    # All but objectClass are operational, and given when asked for.
    assert [each.name for each in peer.ask(2, search("", Scope.BASE))[0].attributes] == ["objectClass"]
    assert peer.ask(3, search("", Scope.BASE, ALL, "SUPPORTEDLDAPVERSION", types_only=True))[0] == (
        SearchResultEntry("", (Attribute("supportedLDAPVersion"),))
    )
    [subschema, _] = peer.ask(4, search("CN=subschema", Scope.BASE, filters.Present("cn"), "attributeTypes"))
    assert subschema.attributes[0].values
    assert peer.ask(5, search("", Scope.BASE, filters.Equal("objectClass", b"person"))) == [
        SearchResultDone(Result(ResultCode.SUCCESS))
    ]


def test_start_tls_is_only_listed_where_it_works(peer: Peer) -> None:
    [entry, _] = peer.ask(1, search("", Scope.BASE, ALL, "supportedExtension"))
    assert START_TLS.oid.encode() not in entry.attributes[0].values
    assert code(peer.ask(2, START_TLS)[0]) is ResultCode.PROTOCOL_ERROR


# Bind ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (BindRequest(3, "", Simple(b"")), ResultCode.SUCCESS),
        (BindRequest(3, "uid=bob", Simple(b"")), ResultCode.UNWILLING_TO_PERFORM),
        (BindRequest(3, "uid=bob", Simple(b"wrong")), ResultCode.INVALID_CREDENTIALS),
        (BindRequest(3, "", Simple(b"secret")), ResultCode.INVALID_CREDENTIALS),
        (BindRequest(2, "uid=bob", Simple(b"secret")), ResultCode.PROTOCOL_ERROR),
        (BindRequest(3, "", Sasl("NONE")), ResultCode.AUTH_METHOD_NOT_SUPPORTED),
        (BindRequest(3, "", Sasl("")), ResultCode.AUTH_METHOD_NOT_SUPPORTED),
        (BindRequest(3, "", Sasl("PLAIN", b"\0bob\0wrong")), ResultCode.INVALID_CREDENTIALS),
    ],
)
def test_bind_results(peer: Peer, request_: BindRequest, expected: ResultCode) -> None:
    bound(peer)
    assert [code(each) for each in peer.ask(2, request_)] == [expected]
    # Whatever came of it, the connection is anonymous (RFC 4511 4.2.1).
    assert peer.ask(3, WHO_AM_I)[0].value == b""


def test_an_unknown_choice_of_authentication(peer: Peer) -> None:
    peer.feed(bytes.fromhex("300c02010160070201030400aa00"))
    [answer] = peer.receive()
    assert code(answer.operation) is ResultCode.AUTH_METHOD_NOT_SUPPORTED


def test_too_many_large_messages_at_once() -> None:
    budget = Budget(100_000)
    first, second = Peer(budget=budget), Peer(budget=budget)
    request = client.write(1, search(base="dc=" + "x" * 80_000))
    first.feed(request[:100])
    second.feed(request[:100])
    [told] = second.receive()
    assert told.message_id == 0
    assert code(told.operation) is ResultCode.BUSY
    assert second.disconnecting
    first.feed(request[100:])
    assert first.receive()
    first.feed(request[:100])
    first.connection.connectionLost()
    assert budget.left == 100_000


def test_anonymous_can_be_off(peer: Peer) -> None:
    peer.door.let_anonymous = False
    # The bind itself is let in: clients do it before they read the root DSE.
    assert code(peer.ask(1, BindRequest(3, "", Simple(b"")))[0]) is ResultCode.SUCCESS
    assert code(peer.ask(2, search())[0]) is ResultCode.STRONGER_AUTH_REQUIRED
    assert code(peer.ask(3, ADD)[0]) is ResultCode.STRONGER_AUTH_REQUIRED
    bound(peer)
    assert len(peer.ask(4, search())) == 12


def test_sasl_in_one_step(peer: Peer) -> None:
    assert code(peer.ask(1, BindRequest(3, "", Sasl("PLAIN", b"\0bob\0secret")))[0]) is ResultCode.SUCCESS
    assert peer.ask(2, WHO_AM_I)[0].value == b"dn:uid=bob"


def steps(peer: Peer, *credentials: bytes | None) -> list[BindResponse]:
    return [peer.ask(9, BindRequest(3, "", Sasl("LOGIN", each)))[0] for each in credentials]


def test_sasl_in_steps(peer: Peer) -> None:
    first, second, last = steps(peer, None, b"bob", b"secret")
    assert code(first) is code(second) is ResultCode.SASL_BIND_IN_PROGRESS
    assert first.credentials
    assert code(last) is ResultCode.SUCCESS
    assert peer.ask(2, WHO_AM_I)[0].value == b"dn:uid=bob"


def test_another_operation_ends_the_exchange(peer: Peer) -> None:
    steps(peer, None, b"bob")
    peer.ask(1, WHO_AM_I)
    assert [code(each) for each in steps(peer, b"secret")] == [ResultCode.SASL_BIND_IN_PROGRESS]
    assert peer.ask(2, WHO_AM_I)[0].value == b""


def test_another_mechanism_begins_anew(peer: Peer) -> None:
    steps(peer, None, b"bob")
    assert code(peer.ask(1, BindRequest(3, "", Sasl("PLAIN", b"\0al\0secret")))[0]) is ResultCode.SUCCESS
    assert peer.ask(2, WHO_AM_I)[0].value == b"dn:uid=al"


def test_bind_abandons_reads_and_awaits_the_update(peer: Peer) -> None:
    peer.door.closed_gates |= {"search", "update"}
    peer.send(1, search())
    peer.send(2, ADD)
    peer.send(3, replace("uid=u1,dc=test"))
    peer.send(4, BindRequest(3, "uid=bob", Simple(b"secret")))
    peer.send(5, WHO_AM_I)
    assert peer.receive() == []
    assert peer.door.done == ["search closed"]
    peer.door.open_gate("update")
    peer.clock.advance(0)
    answers = peer.receive()
    # The search and the update that had not begun are gone; nothing passes the Bind.
    assert [answer.message_id for answer in answers] == [2, 4, 5]
    assert answers[2].operation.value == b"dn:uid=bob"  # type: ignore[union-attr]
    assert peer.door.done == ["search closed", "add uid=new,dc=test"]


def test_nothing_is_processed_during_a_bind(peer: Peer) -> None:
    peer.door.closed_gates.add("bind")
    peer.send(1, BindRequest(3, "uid=bob", Simple(b"secret")))
    peer.send(2, WHO_AM_I)
    assert peer.receive() == []
    assert peer.transport.producerState == "paused"
    peer.door.open_gate("bind")
    peer.clock.advance(0)
    assert [answer.message_id for answer in peer.receive()] == [1, 2]
    assert peer.transport.producerState == "producing"


# Concurrency ---------------------------------------------------------------------------


def test_searches_run_beside_each_other(peer: Peer) -> None:
    peer.door.closed_gates.add("search")
    peer.send(1, search())
    assert code(peer.ask(2, CompareRequest("dc=test", "dc", b"test"))[0]) is ResultCode.COMPARE_TRUE
    peer.door.open_gate("search")
    assert {answer.message_id for answer in peer.receive()} == {1}


def test_updates_keep_their_order(peer: Peer) -> None:
    peer.door.closed_gates.add("update")
    for number in (1, 2, 3):
        peer.send(number, replace(f"uid=u{number},dc=test"))
    assert peer.receive() == [] and peer.door.done == []
    peer.door.open_gate("update")
    assert [answer.message_id for answer in peer.receive()] == [1, 2, 3]
    assert peer.door.done == [f"modify uid=u{number},dc=test" for number in (1, 2, 3)]


def test_at_most_so_many_at_once() -> None:
    peer = Peer(FakeDoor(Limits(operations=3)))
    peer.door.closed_gates.add("search")
    for number in range(1, 6):
        peer.send(number, search())
    assert len(peer.connection.operations) == 3
    assert peer.transport.producerState == "paused"
    peer.door.open_gate("search")
    peer.clock.advance(0)
    assert {answer.message_id for answer in peer.receive()} == {1, 2, 3, 4, 5}
    assert peer.transport.producerState == "producing"


def test_abandon(peer: Peer) -> None:
    peer.door.closed_gates |= {"search", "update"}
    peer.send(1, search())
    peer.send(2, ADD)
    peer.send(3, replace("uid=u1,dc=test"))
    for number, other in enumerate((1, 2, 3, 77, 0), 4):
        peer.send(number, AbandonRequest(other))
    assert peer.receive() == []
    assert peer.door.done == ["search closed"]
    peer.door.open_gate("update")
    # The update in progress goes on; the one behind it was still to be had.
    assert [answer.message_id for answer in peer.receive()] == [2]


def test_cancel(peer: Peer) -> None:
    peer.door.closed_gates |= {"search", "update"}
    peer.send(1, search())
    peer.send(2, ADD)
    peer.send(3, replace("uid=u1,dc=test"))
    for number, other in ((11, 1), (12, 2), (13, 3), (14, 99)):
        peer.send(number, cancel(other))
    codes = [(answer.message_id, code(answer.operation)) for answer in peer.receive()]
    assert codes == [
        (1, ResultCode.CANCELED),
        (11, ResultCode.SUCCESS),
        (12, ResultCode.TOO_LATE),
        (3, ResultCode.CANCELED),
        (13, ResultCode.SUCCESS),
        (14, ResultCode.NO_SUCH_OPERATION),
    ]


def test_a_lost_connection_cancels_reads_and_not_the_update(peer: Peer) -> None:
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    peer.door.closed_gates |= {"search", "update"}
    peer.send(1, search())
    peer.send(2, ADD)
    peer.send(3, replace("uid=u1,dc=test"))
    peer.connection.connectionLost(Failure(ConnectionDone()))
    assert peer.door.done == ["search closed"]
    peer.door.open_gate("update")
    assert peer.door.done == ["search closed", "add uid=new,dc=test"]
    assert peer.receive() == []
    assert not peer.clock.getDelayedCalls()


# StartTLS ------------------------------------------------------------------------------


def test_start_tls_discards_what_came_before_the_handshake() -> None:
    peer = Peer(tls=lambda: "context")
    peer.feed(client.write(1, START_TLS) + client.write(2, ADD))
    [answer] = peer.receive()
    assert answer.operation == ExtendedResponse(Result(ResultCode.SUCCESS), START_TLS.oid)
    assert peer.transport.tls == "context"
    assert peer.door.done == []


def test_start_tls_with_anything_outstanding_is_an_error() -> None:
    peer = Peer(tls=lambda: "context")
    peer.door.closed_gates.add("search")
    peer.send(1, search())
    assert code(peer.ask(2, START_TLS)[0]) is ResultCode.OPERATIONS_ERROR
    assert peer.transport.tls is None


def test_start_tls_has_no_value() -> None:
    peer = Peer(tls=lambda: "context")
    assert code(peer.ask(1, ExtendedRequest(START_TLS.oid, b"x"))[0]) is ResultCode.PROTOCOL_ERROR
    assert peer.transport.tls is None


def test_start_tls_during_a_sasl_exchange_is_an_error() -> None:
    peer = Peer(tls=lambda: "context")
    steps(peer, None)
    assert code(peer.ask(2, START_TLS)[0]) is ResultCode.OPERATIONS_ERROR


def test_start_tls_twice_is_an_error() -> None:
    peer = Peer(tls=lambda: "context")
    peer.connection.session.security = dataclasses.replace(peer.connection.security, encrypted=True)
    assert code(peer.ask(2, START_TLS)[0]) is ResultCode.OPERATIONS_ERROR


# Controls ------------------------------------------------------------------------------


def test_an_unknown_critical_control_is_refused(peer: Peer) -> None:
    for number, request in enumerate([search(), ADD, BindRequest(3, "", Simple(b"")), WHO_AM_I], 1):
        [answer] = peer.ask(number, request, Control("1.2.3.4", True))
        assert code(answer) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert peer.door.done == []


def test_a_known_control_on_the_wrong_operation_is_refused(peer: Peer) -> None:
    [answer] = peer.ask(1, ADD, Control(PAGED_RESULTS, True, page_control(b"").value))
    assert code(answer) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION


def test_other_controls_pass(peer: Peer) -> None:
    assert len(peer.ask(1, search(), Control("1.2.3.4"))) == 12
    assert len(peer.ask(2, search(), Control(MANAGE_DSA_IT, True))) == 12
    # RFC 4511 4.1.11: criticality means nothing on Unbind and Abandon.
    peer.send(3, AbandonRequest(1), Control("1.2.3.4", True))
    assert peer.receive() == [] and not peer.disconnecting


# Paged results -------------------------------------------------------------------------


def page(size: int, cookie: bytes = b"") -> Control:
    return Control(PAGED_RESULTS, True, ber.sequence([ber.integer(size), ber.octets(cookie)]))


def one_page(peer: Peer, control: Control, request: SearchRequest | None = None) -> tuple[int, bytes]:
    """Entries of a page, and the cookie for the next."""
    peer.send(5, request or search())
    peer.receive()
    peer.send(6, request or search(), control)
    answers = peer.receive()
    assert code(answers[-1].operation) is ResultCode.SUCCESS, answers[-1]
    [answered] = answers[-1].controls
    inside = ber.Cursor(answered.value or b"").enter()
    assert inside.integer() == 0
    return len(answers) - 1, inside.octets()


def test_pages(peer: Peer) -> None:
    counts, cookie = [], b""
    while True:
        count, cookie = one_page(peer, page(4, cookie))
        counts.append(count)
        if not cookie:
            break
    assert counts == [4, 4, 3]


def test_a_cookie_is_good_once_and_for_the_same_search(peer: Peer) -> None:
    _, cookie = one_page(peer, page(4))
    peer.ask(7, search(), page(4, cookie))
    assert code(peer.ask(8, search(), page(4, cookie))[0]) is ResultCode.UNWILLING_TO_PERFORM
    _, cookie = one_page(peer, page(4))
    other = search(filter=filters.Present("uid"))
    assert code(peer.ask(9, other, page(4, cookie))[0]) is ResultCode.UNWILLING_TO_PERFORM


def test_a_paged_search_is_given_up(peer: Peer) -> None:
    peer.door.done.clear()
    peer.send(6, search(), page(4))
    [*_, last] = peer.receive()
    cookie = ber.Cursor(last.controls[0].value or b"").enter()
    cookie.integer()
    assert peer.door.done == []
    assert one_page(peer, page(0, cookie.octets())) == (0, b"")
    assert "search closed" in peer.door.done


def test_bind_and_the_limit_drop_paged_searches() -> None:
    peer = Peer(FakeDoor(Limits(paged_searches=2)))
    peer.door.put("uid=a,dc=test", objectClass=(b"person",))
    cookies = [one_page(peer, page(1))[1] for _ in range(3)]
    assert code(peer.ask(7, search(), page(1, cookies[0]))[0]) is ResultCode.UNWILLING_TO_PERFORM
    bound(peer)
    assert code(peer.ask(8, search(), page(1, cookies[2]))[0]) is ResultCode.UNWILLING_TO_PERFORM


def test_pages_count_against_the_limit_of_the_whole(peer: Peer) -> None:
    peer.door.search_limits = SearchLimits(entries=3, paged_entries=6)
    _, cookie = peer.ask(5, search())[-1], b""
    peer.send(6, search(), page(4))
    answers = peer.receive()
    inside = ber.Cursor(answers[-1].controls[0].value or b"").enter()
    inside.integer()
    cookie = inside.octets()
    answers_2 = peer.ask(7, search(), page(4, cookie))
    assert len(answers_2) == 3
    assert code(answers_2[-1]) is ResultCode.SIZE_LIMIT_EXCEEDED


def test_a_damaged_page_control(peer: Peer) -> None:
    assert code(peer.ask(5, search(), Control(PAGED_RESULTS, True))[0]) is ResultCode.PROTOCOL_ERROR
    assert code(peer.ask(6, search(), Control(PAGED_RESULTS, True, b"x"))[0]) is ResultCode.PROTOCOL_ERROR


# Limits --------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "allowed", "given"), [(3, 0, 3), (0, 4, 4), (9, 4, 4), (2, 4, 2)])
def test_size_limit(peer: Peer, asked: int, allowed: int, given: int) -> None:
    peer.door.search_limits = SearchLimits(entries=allowed)
    answers = peer.ask(1, search(size=asked))
    assert len(answers) == given + 1
    assert code(answers[-1]) is ResultCode.SIZE_LIMIT_EXCEEDED
    assert peer.door.done == ["search closed"]


def test_a_size_limit_that_is_met_exactly_is_no_error(peer: Peer) -> None:
    answers = peer.ask(1, search(size=11))
    assert len(answers) == 12
    assert code(answers[-1]) is ResultCode.SUCCESS


@pytest.mark.parametrize(("asked", "allowed", "after"), [(5, 0, 5), (0, 3, 3), (9, 3, 3)])
def test_time_limit(peer: Peer, asked: int, allowed: int, after: int) -> None:
    peer.door.search_limits = SearchLimits(seconds=allowed)
    peer.door.closed_gates.add("search")
    peer.send(1, search(seconds=asked))
    peer.clock.advance(after - 0.1)
    assert peer.receive() == []
    peer.clock.advance(0.2)
    [answer] = peer.receive()
    assert code(answer.operation) is ResultCode.TIME_LIMIT_EXCEEDED
    assert peer.door.done == ["search closed"]


def test_answers_wait_for_the_transport() -> None:
    peer = Peer()
    for number in range(500):
        peer.door.put(f"uid=u{number},dc=test", objectClass=(b"person",), cn=(b"x" * 1000,))
    producer = peer.transport.producer
    write = peer.transport.write

    def full(data: bytes) -> None:
        write(data)
        producer.pauseProducing()

    peer.transport.write = full  # type: ignore[method-assign]
    peer.send(1, search())
    first = peer.receive()
    assert 0 < len(first) < 200
    assert peer.receive() == []
    count = len(first)
    for _ in range(20):
        producer.resumeProducing()
        count += len(peer.receive())
    assert count == 502


def test_a_peer_that_does_not_read_is_not_listened_to(peer: Peer) -> None:
    producer = peer.transport.producer
    producer.pauseProducing()
    peer.send(1, WHO_AM_I)
    assert peer.receive() == []
    assert peer.transport.producerState == "paused"
    producer.resumeProducing()
    assert len(peer.receive()) == 1
    assert peer.transport.producerState == "producing"


def test_messages_are_small_before_bind() -> None:
    peer = Peer(FakeDoor(Limits(unbound_message=1000, bound_message=5000)))
    bound(peer)
    big = ModifyRequest("cn=refused", (Change(ChangeKind.ADD, Attribute("cn", (b"x" * 2000,))),))
    assert code(peer.ask(2, big)[0]) is ResultCode.CONSTRAINT_VIOLATION
    peer.ask(3, BindRequest(3, "", Simple(b"")))
    peer.send(4, big)
    assert_notice(peer, ResultCode.PROTOCOL_ERROR)


# Endings -------------------------------------------------------------------------------


def assert_notice(peer: Peer, expected: ResultCode) -> None:
    [answer] = peer.receive()
    assert answer.message_id == 0
    assert isinstance(answer.operation, ExtendedResponse)
    assert answer.operation.oid == NOTICE_OF_DISCONNECTION
    assert code(answer.operation) is expected
    assert peer.disconnecting


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x30\x80\x02\x01\x01\x42\x00\x00\x00",
        client.write(0, WHO_AM_I),
        writing.message(1, b"\x7f\x00"),
        writing.message(1, b"\x65\x07\x0a\x01\x00\x04\x00\x04\x00"),
        writing.message(1, b"\x63\x02\x04\x05"),
        b"\x30\x03\x02\x01\x01",
    ],
)
def test_what_cannot_be_decoded_ends_the_session(peer: Peer, data: bytes) -> None:
    peer.feed(data + client.write(8, ADD))
    assert_notice(peer, ResultCode.PROTOCOL_ERROR)
    peer.feed(client.write(9, ADD))
    assert peer.door.done == [] and peer.receive() == []


def test_a_message_id_in_use_ends_the_session(peer: Peer) -> None:
    peer.door.closed_gates.add("search")
    peer.send(1, search())
    peer.send(1, WHO_AM_I)
    assert_notice(peer, ResultCode.PROTOCOL_ERROR)
    assert peer.door.done == ["search closed"]


def test_a_value_out_of_range_is_answered(peer: Peer) -> None:
    data = client.write(1, search()).replace(b"\x0a\x01\x02\x0a", b"\x0a\x01\x07\x0a")
    peer.feed(data)
    [answer] = peer.receive()
    assert code(answer.operation) is ResultCode.PROTOCOL_ERROR
    assert len(peer.ask(2, search())) == 12


def test_unbind(peer: Peer) -> None:
    peer.door.closed_gates.add("search")
    peer.send(1, search())
    peer.feed(client.write(2, UnbindRequest()) + client.write(3, ADD))
    assert peer.receive() == []
    assert peer.disconnecting
    assert peer.door.done == ["search closed"]


def test_an_idle_connection_ends_with_a_notice() -> None:
    peer = Peer(FakeDoor(Limits(idle=60)))
    peer.clock.advance(50)
    peer.ask(1, WHO_AM_I)
    peer.clock.advance(50)
    assert not peer.disconnecting
    # Parts of a message do not keep it alive.
    peer.feed(client.write(2, ADD)[:5])
    peer.clock.advance(15)
    assert_notice(peer, ResultCode.ADMIN_LIMIT_EXCEEDED)


def test_no_idle_time_out_while_an_operation_runs() -> None:
    peer = Peer(FakeDoor(Limits(idle=60)))
    peer.door.closed_gates.add("search")
    peer.send(1, search())
    for _ in range(5):
        peer.clock.advance(50)
    assert not peer.disconnecting


def test_another_idle_time_out_goes_for_who_is_idle_already() -> None:
    door = FakeDoor(Limits(idle=600))
    peer = Peer(door)
    peer.clock.advance(50)
    door.limits = Limits(idle=60)
    peer.connection.retimed()
    peer.clock.advance(9)
    assert not peer.disconnecting
    door.limits = Limits(idle=0)
    peer.connection.retimed()
    peer.clock.advance(100_000)
    assert not peer.disconnecting
    door.limits = Limits(idle=60)
    peer.connection.retimed()
    peer.clock.advance(0)
    assert peer.disconnecting


def test_idle_can_be_forever() -> None:
    peer = Peer(FakeDoor(Limits(idle=0)))
    peer.clock.advance(1e6)
    assert not peer.disconnecting


def test_goodbye_waits_for_the_update(peer: Peer) -> None:
    peer.door.closed_gates |= {"search", "update"}
    peer.send(1, search())
    peer.send(2, ADD)
    peer.send(3, replace("uid=u1,dc=test"))
    peer.connection.goodbye()
    assert [(each.message_id, code(each.operation)) for each in peer.receive()] == [
        (1, ResultCode.UNAVAILABLE),
        (3, ResultCode.UNAVAILABLE),
    ]
    peer.send(4, WHO_AM_I)
    assert peer.receive() == [] and not peer.disconnecting
    peer.door.open_gate("update")
    first, last = peer.receive()
    assert (first.message_id, code(first.operation)) == (2, ResultCode.SUCCESS)
    assert (last.message_id, code(last.operation)) == (0, ResultCode.UNAVAILABLE)
    assert peer.disconnecting


def test_goodbye_between_operations(peer: Peer) -> None:
    peer.connection.goodbye()
    assert_notice(peer, ResultCode.UNAVAILABLE)


def test_the_session_of_an_account_that_ended_ends(peer: Peer) -> None:
    peer.ask(1, BindRequest(3, "uid=bob", Simple(b"secret")))
    peer.door.closed_gates.add("update")
    peer.send(2, replace("dc=test"))
    [ended] = peer.door.watching
    ended()
    assert not peer.disconnecting, "the update in progress is answered"
    peer.door.open_gate("update")
    *_, answer = peer.receive()[:1]
    assert answer.message_id == 2


def test_a_session_without_operations_ends_with_a_notice_and_one_that_is_over_watches_nothing() -> None:
    peer = Peer()
    peer.ask(1, BindRequest(3, "uid=bob", Simple(b"secret")))
    [ended] = peer.door.watching
    ended()
    assert_notice(peer, ResultCode.STRONGER_AUTH_REQUIRED)
    other = Peer()
    other.ask(1, BindRequest(3, "uid=bob", Simple(b"secret")))
    other.ask(2, BindRequest(3, "", Simple(b"")))
    assert other.door.watching == []


# Properties ----------------------------------------------------------------------------

SCRIPT: list[Request] = [
    BindRequest(3, "uid=bob", Simple(b"secret")),
    search(),
    ADD,
    replace("uid=new,dc=test"),
    search(filter=filters.Equal("cn", b"new")),
    WHO_AM_I,
    DeleteRequest("uid=new,dc=test"),
]


def run(pieces: list[bytes]) -> bytes:
    peer = Peer()
    for piece in pieces:
        peer.feed(piece)
        peer.clock.advance(0)
    for _ in range(5):
        peer.clock.advance(0)
    value: bytes = peer.transport.value()
    return value


@given(st.data())
@settings(max_examples=50)
def test_any_split_of_the_input_gives_the_same_output(data: st.DataObject) -> None:
    stream = b"".join(client.write(number, request) for number, request in enumerate(SCRIPT, 1))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert run(pieces) == run([stream])


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_garbage_never_reaches_the_log(pieces: list[bytes]) -> None:
    seen: list[Any] = []
    globalLogPublisher.addObserver(seen.append)
    try:
        run(pieces)
        run([b"\x30%c\x02\x01\x01%b" % (len(piece) + 3, piece) for piece in pieces])
    finally:
        globalLogPublisher.removeObserver(seen.append)
    assert not [event for event in seen if "log_failure" in event]
