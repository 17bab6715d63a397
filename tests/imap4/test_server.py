"""The conversation: limits, bad input, TLS, IDLE, ends of sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsd import errors
from protocols.imap4.server import Limits
from protocols.imap4.values import Explained
from protocols.imap4.verbs import AFTER_LOGIN, VERBS
from tests.support.imap4 import Client, FakeMessage, World, message, world_with

REMOTE = "192.0.2.7"


# Bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", b"* BAD Expected a tag and a command\r\n"),
        (b"a", b"* BAD Expected a tag and a command\r\n"),
        (b"a+b NOOP", b"* BAD Expected a tag and a command\r\n"),
        (b"a ", b"a BAD Expected a tag and a command\r\n"),
        (b"a NOSUCH", b"a BAD Expected a known command\r\n"),
        (b"a UID NOOP", b"a BAD Expected a known command\r\n"),
        (b"a NOOP x", b"a BAD Expected the end of the command at octet 6\r\n"),
        (b"a SELECT", b"a BAD Expected a space at octet 8\r\n"),
        (b"a CREATE \xff", b"a BAD Expected a string at octet 9\r\n"),
        (b"a NO\0OP", b"a BAD Expected CRLF at the end of the line\r\n"),
        (b"a FETCH 1:* FLAGS", b"a BAD Expected a selected mailbox first\r\n"),
        (b"a LOGIN alice secret", b"a BAD Expected no login yet\r\n"),
        (b"a CREATE {4294967296}", b"a BAD [TOOBIG] Expected a shorter literal\r\n"),
        (b"a " + b"x" * 70_000, b"a BAD Expected line of at most 65536 octets\r\n"),
    ],
)
def test_bad_commands(line: bytes, answer: bytes) -> None:
    client = Client().login()
    assert client.say(line) == answer
    assert client.say(b"z NOOP") == b"z OK NOOP completed\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"a FETCH " + b"1," * 500_000 + b"1 FLAGS",
        b"a FETCH " + b"1," * 30_000 + b"1 FLAGS",
        b"a SEARCH " + b"(" * 50_000,
        b"a SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"a FETCH 1 (" + b"(" * 50_000,
        b'a LIST "" (' + b"x " * 30_000 + b"x)",
        b"a STORE 1 FLAGS (" + b"x " * 30_000 + b"x)",
        b"a ID (" + b'"a" "b" ' * 5000 + b'"a" "b")',
    ],
    ids=lambda line: line[:12].decode(),
)
def test_bombs_are_refused_and_the_session_goes_on(line: bytes) -> None:
    client = Client(world_with(1)).select()
    assert client.say(line).startswith(b"a BAD ")
    assert client.say(b"z NOOP") == b"z OK NOOP completed\r\n"


def test_an_endless_line_ends_the_connection() -> None:
    client = Client()
    heard = b""
    for _ in range(100):
        if client.closed:
            break
        heard += client.raw(b"x" * 65536)
        assert len(client.server.input) <= 65536
    assert heard == b"* BYE [TOOBIG] Too much input\r\n"
    assert client.closed


def test_a_literal_that_cannot_be_skipped_ends_the_connection() -> None:
    client = Client().login()
    assert client.say(b"a CREATE {4294967296+}") == b"* BYE [TOOBIG] Too much input\r\n"
    assert client.closed


def test_before_login_commands_are_short() -> None:
    client = Client()
    assert client.say(b"a LOGIN {40000}").startswith(b"a BAD [TOOBIG]")
    assert client.say(b"a LOGIN " + b"x" * 20_000 + b" y").startswith(b"a BAD ")
    assert client.say(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_too_many_bad_commands_in_a_row() -> None:
    client = Client(limits=lambda: Limits(bad_commands=3))
    client.say(b"a X", b"b X", b"c NOOP", b"d X", b"e X")
    assert not client.closed
    assert client.say(b"f X").endswith(b"* BYE [CLIENTBUG] Too many bad commands\r\n")
    assert client.closed


def test_too_many_failed_logins() -> None:
    client = Client(limits=lambda: Limits(failed_logins=2))
    client.say(b"a LOGIN alice x")
    assert client.say(b"b LOGIN alice y").endswith(b"* BYE [LIMIT] Too many failed logins\r\n")
    assert client.closed


def test_nul_needs_a_literal8() -> None:
    client = Client().login()
    assert client.raw(b"a APPEND INBOX {3+}\r\na\0b\r\n") == b"a BAD Expected a literal without NUL\r\n"
    assert client.raw(b"b APPEND INBOX ~{3+}\r\na\0b\r\n") == b"b OK [APPENDUID 101 1] Appended\r\n"
    assert client.world.accounts[0].sinks[0].abandoned


# Refusals and bugs ---------------------------------------------------------------------------


def test_a_refusal_is_put_into_words_by_the_door() -> None:
    client = Client().login()
    client.world.fail = errors.StoreUnavailable()
    assert client.say(b'a LIST "" *') == b"a NO [UNAVAILABLE] The store is not available\r\n"


def test_a_bug_is_answered_generically_and_logged_once(caplog: Any) -> None:
    client = Client().login()
    client.world.fail = RuntimeError("secret detail")
    logged: list[Any] = []
    client.server.log = type("Log", (), {"failure": staticmethod(lambda *a, **k: logged.append(k))})()
    answer = client.say(b'a LIST "" *')
    assert re.fullmatch(rb"a NO \[SERVERBUG\] Internal error [0-9a-f]{12}\r\n", answer)
    assert len(logged) == 1 and logged[0]["verb"] == "LIST"
    client.world.fail = None
    assert client.say(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_an_append_that_goes_over_the_limit_is_read_to_its_end() -> None:
    client = Client().login()
    client.world.boxes["INBOX"].limit = 10
    assert client.say(b"a APPEND INBOX {20}") == b"a NO [TOOBIG] Message exceeds the size limit\r\n"
    client.raw(b"b APPEND INBOX {20+}\r\n" + b"x" * 20 + b"\r\n")
    assert client.say(b"c NOOP") == b"c OK NOOP completed\r\n"


def test_a_lost_connection_abandons_the_append_and_closes_the_view() -> None:
    client = Client().select()
    client.raw(b"a APPEND INBOX {20+}\r\nxx")
    from twisted.internet.protocol import connectionDone

    client.server.connectionLost(connectionDone)
    account = client.world.accounts[0]
    assert account.sinks[0].abandoned and account.closed
    assert client.world.boxes["INBOX"].views == []


# TLS and passwords ---------------------------------------------------------------------------


def test_no_clear_text_password_over_a_network() -> None:
    client = Client(peer=REMOTE, tls=lambda: None)
    assert b"LOGINDISABLED" in client.greeting and b"STARTTLS" in client.greeting
    assert b"AUTH=" not in client.greeting
    assert client.say(b"a LOGIN alice secret").startswith(b"a NO [PRIVACYREQUIRED]")
    assert client.say(b"b AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==").startswith(b"b NO [PRIVACYREQUIRED]")


def test_a_password_is_not_asked_for_in_clear_text() -> None:
    client = Client(peer=REMOTE, tls=lambda: None)
    assert client.say(b"a LOGIN alice {6}") == b"a BAD Expected TLS before a password\r\n"
    assert client.say(b"b NOOP") == b"b OK NOOP completed\r\n"


def test_what_comes_before_the_handshake_is_thrown_away() -> None:
    client = Client(peer=REMOTE, tls=lambda: "context")
    started: list[object] = []
    client.transport.startTLS = started.append  # type: ignore[attr-defined]
    answer = client.raw(b"a STARTTLS\r\nb LOGOUT\r\nc NOO")
    assert answer == b"a OK Begin TLS negotiation\r\n"
    assert started == ["context"]
    assert client.say(b"d NOOP") == b"d OK NOOP completed\r\n"
    assert not client.closed


def test_starttls_without_a_certificate() -> None:
    client = Client(peer=REMOTE)
    assert b"STARTTLS" not in client.greeting
    assert client.say(b"a STARTTLS") == b"a NO [CANNOT] TLS is not available\r\n"


# Time and ends -------------------------------------------------------------------------------


def test_time_outs_before_and_after_login() -> None:
    client = Client(limits=lambda: Limits(login=60, idle=1800))
    client.clock.advance(61)
    assert client.heard() == b"* BYE Idle for too long\r\n"
    client = Client(limits=lambda: Limits(login=60, idle=1800)).login()
    client.clock.advance(1799)
    assert not client.heard()
    client.clock.advance(2)
    assert client.heard() == b"* BYE Idle for too long\r\n"
    assert client.closed


@pytest.mark.parametrize("idling", [False, True])
def test_the_server_says_goodbye(idling: bool) -> None:
    client = Client().select()
    if idling:
        client.say(b"a IDLE")
    client.server.goodbye()
    assert client.heard() == b"* BYE [UNAVAILABLE] The service ends here for now\r\n"
    assert client.closed


@pytest.mark.parametrize("idling", [False, True])
def test_a_disabled_account_is_sent_away(idling: bool) -> None:
    client = Client().select()
    if idling:
        client.say(b"a IDLE")
    client.world.accounts[0].end(Explained(b"AUTHORIZATIONFAILED", "Account is disabled"))
    assert client.heard() == b"* BYE [AUTHORIZATIONFAILED] Account is disabled\r\n"
    assert client.closed


@pytest.mark.parametrize("idling", [False, True])
def test_a_mailbox_deleted_elsewhere_ends_the_session(idling: bool) -> None:
    world = World()
    world.make("foo")
    client, other = Client(world).select(b"foo"), Client(world).login()
    if idling:
        client.say(b"a IDLE")
    assert other.say(b"d DELETE foo") == b"d OK DELETE completed\r\n"
    heard = client.heard() if idling else client.say(b"b NOOP")
    assert heard.startswith(b"* BYE [UNAVAILABLE] The selected mailbox is gone\r\n")
    assert client.closed


def test_deleting_the_selected_mailbox_does_not_end_the_session() -> None:
    world = World()
    world.make("foo")
    client = Client(world).select(b"foo")
    assert client.say(b"d DELETE foo") == (
        b"* OK [CLOSED] The selected mailbox was deleted\r\nd OK DELETE completed\r\n"
    )
    assert client.say(b"e NOOP") == b"e OK NOOP completed\r\n"
    assert client.say(b"f CHECK") == b"f BAD Expected a selected mailbox first\r\n"
    assert not client.closed


# IDLE ----------------------------------------------------------------------------------------


def test_a_slow_client_costs_nothing_in_idle() -> None:
    """News of many changes is worked out when there is room, not for each."""
    client = Client(world_with(1)).select()
    client.say(b"a IDLE")
    client.server._full()
    for number in range(50):
        client.world.boxes["INBOX"].add(message(str(number)))
    assert client.heard() == b""
    client.server._drained()
    assert client.heard() == b"* 51 EXISTS\r\n* 51 RECENT\r\n"


def test_nothing_is_told_between_commands_without_idle() -> None:
    client = Client(world_with(1)).select()
    client.world.boxes["INBOX"].add(message())
    assert client.heard() == b""
    assert client.say(b"a NOOP").startswith(b"* 2 EXISTS\r\n")


def test_idle_without_a_mailbox() -> None:
    client = Client().login()
    assert client.say(b"a IDLE") == b"+ idling\r\n"
    assert client.say(b"done") == b"a OK IDLE completed\r\n"


# Large answers -------------------------------------------------------------------------------


def test_a_large_body_is_streamed_as_the_client_takes_it() -> None:
    world = World()
    body = b"Subject: x\r\n\r\n" + b"0123456789abcdef" * 131_072
    world.boxes["INBOX"].add(body)
    client = Client(world).select()
    client.server.dataReceived(b"a FETCH 1 BODY.PEEK[]\r\n")
    client.server._full()
    heard = client.heard()
    for _ in range(100):
        if heard.endswith(b"a OK FETCH completed\r\n"):
            break
        client.server._drained()
        client.server._full()
        heard += client.heard()
    assert body in heard
    assert heard.endswith(b")\r\na OK FETCH completed\r\n")


def test_a_stream_that_falls_short_cuts_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.boxes["INBOX"].add(b"Subject: x\r\n\r\n" + b"x" * 600_000)
    client = Client(world).select()

    async def short(self: FakeMessage, start: int, stop: int) -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise errors.StoreUnavailable

    monkeypatch.setattr(FakeMessage, "stream", short)
    client.say(b"a FETCH 1 BODY.PEEK[]")
    assert client.closed


def test_a_response_that_cannot_be_completed_is_ended_well(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(world_with(1)).select()

    async def gone(self: FakeMessage, start: int, stop: int) -> bytes:
        raise errors.NoSuchMessage

    monkeypatch.setattr(FakeMessage, "read", gone)
    assert client.say(b"a FETCH 1 (FLAGS BODY.PEEK[1])") == (
        b"* 1 FETCH (FLAGS (\\Recent) UID 1)\r\na NO No such message\r\n"
    )


def test_a_literal_out_of_place_in_idle_is_no_command() -> None:
    client = Client().login()
    client.say(b"a IDLE")
    assert client.raw(b"b APPEND x {10+}\r\nc LOGOUT\r\n\r\n") == b"a BAD Expected DONE\r\n"
    assert client.say(b"d NOOP") == b"d OK NOOP completed\r\n"


def test_a_large_encoded_part_is_decoded_as_it_is_sent() -> None:
    import base64

    world = World()
    content = bytes(range(256)) * 2000
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    world.boxes["INBOX"].add(b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded)
    client = Client(world).select()
    assert client.say(b"a FETCH 1 BINARY.SIZE[1]").startswith(b"* 1 FETCH (BINARY.SIZE[1] 512000)")
    assert client.say(b"b FETCH 1 BINARY.PEEK[1]") == b"".join(
        [b"* 1 FETCH (BINARY[1] ~{512000}\r\n", content, b")\r\nb OK FETCH completed\r\n"]
    )
    window = client.say(b"c FETCH 1 BINARY.PEEK[1]<300000.500>")
    assert window == b"".join(
        [
            b"* 1 FETCH (BINARY[1]<300000> ~{500}\r\n",
            content[300_000:300_500],
            b")\r\nc OK FETCH completed\r\n",
        ]
    )


def test_flags_of_ten_thousand_messages() -> None:
    world = World()
    box = world.boxes["INBOX"]
    for _ in range(10_000):
        box.add(b"x")
    client = Client(world).select()
    lines = client.say(b"a FETCH 1:* (UID FLAGS)").splitlines()
    assert len(lines) == 10_001
    assert lines[9_999] == b"* 10000 FETCH (UID 10000 FLAGS (\\Recent))"


# The whole -----------------------------------------------------------------------------------

SCRIPT = (
    b"a CAPABILITY\r\nb LOGIN {5}\r\nalice {6+}\r\nsecret\r\n"
    b"c SELECT INBOX\r\nd FETCH 1:* (FLAGS BODY[])\r\n"
    b"e APPEND INBOX (\\Seen) {7}\r\nabcdefg\r\nf SEARCH TEXT {5+}\r\nhello\r\ng X\ny NOOP\r\n"
    b"h IDLE\r\nDONE\r\n"
    b"i STORE 1 +FLAGS (\\Deleted)\r\nj EXPUNGE\r\nk LOGOUT\r\n"
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, len(SCRIPT)), max_size=40), st.booleans())
def test_any_split_of_the_input_gives_the_same_output(cuts: list[int], delayed: bool) -> None:
    whole = Client(world_with(2)).raw(SCRIPT)
    client = Client(world_with(2))
    client.world.delayed = delayed
    edges = [0, *sorted(cuts), len(SCRIPT)]
    heard = b"".join(client.raw(SCRIPT[a:b]) for a, b in pairwise(edges) if a < b and not client.closed)
    assert heard == whole
    assert heard.endswith(b"k OK LOGOUT completed\r\n")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_garbage_never_reaches_the_error_path(garbage: bytes) -> None:
    client = Client(world_with(1)).select()
    failures: list[object] = []
    client.server.log = type("Log", (), {"failure": staticmethod(lambda *a, **k: failures.append(a))})()
    client.raw(garbage + b"\r\n")
    assert not failures


def test_every_capability_is_earned_by_a_verb() -> None:
    offered = {name for verb in VERBS.values() for name in verb.capabilities}
    assert set(AFTER_LOGIN) - offered - {b"SASL-IR"} == {b"IMAP4rev1", b"IMAP4rev2", b"LITERAL+"}


# UNAUTHENTICATE ------------------------------------------------------------------------------


def test_a_login_given_up_leaves_nothing_behind() -> None:
    """RFC 8437 3: the account is closed, the view too, what was saved and enabled is forgotten."""
    client = Client(world_with(2)).select()
    client.say(b"a SEARCH RETURN (SAVE) ALL", b"b ENABLE CONDSTORE")
    account = client.world.accounts[-1]
    assert client.say(b"c UNAUTHENTICATE") == b"c OK UNAUTHENTICATE completed\r\n"
    assert account.closed
    assert not client.world.boxes["INBOX"].views
    client.login()
    client.say(b"d SELECT INBOX")
    assert client.say(b"e FETCH $ UID") == b"e OK FETCH completed\r\n"
    assert client.server.account is not account


def test_giving_up_a_login_can_be_switched_off() -> None:
    client = Client(limits=lambda: Limits(unauthenticate=False)).login()
    assert b"UNAUTHENTICATE" not in client.say(b"a CAPABILITY")
    assert client.say(b"b UNAUTHENTICATE") == b"b BAD Expected a known command\r\n"
    assert client.say(b"c NOOP").startswith(b"c OK")


def test_who_does_not_log_in_does_not_stay() -> None:
    client = Client(limits=lambda: Limits(login=60, idle=1800))
    for _ in range(5):
        client.clock.advance(11)
        assert b"OK" in client.say(b"a NOOP")
    client.clock.advance(6)
    assert client.heard() == b"* BYE Idle for too long\r\n"
    client = Client(limits=lambda: Limits(login=60, idle=1800))
    client.clock.advance(50)
    client.login()
    client.clock.advance(1700)
    assert b"OK" in client.say(b"a NOOP")


def test_raw_headers_are_taken_where_that_is_set_and_utf8_is_not_offered() -> None:
    """What tools that move mail send: bytes of some charset in a Subject."""
    letter = b"Subject: Gr\xfc\xdfe\r\n\r\nx\r\n"
    said = b"a APPEND INBOX {%d+}\r\n%b" % (len(letter), letter)
    client = Client().login()
    assert b"UTF8=ACCEPT" in client.say(b"c CAPABILITY")
    assert client.say(said) == b"a NO [CANNOT] UTF-8 in header fields needs ENABLE UTF8=ACCEPT\r\n"
    client = Client(limits=lambda: Limits(raw_headers=True)).login()
    assert b"UTF8=ACCEPT" not in client.say(b"c CAPABILITY")
    assert client.say(b"e ENABLE UTF8=ACCEPT") == b"* ENABLED\r\ne OK ENABLE completed\r\n"
    assert b"a OK [APPENDUID" in client.say(said)
    client.say(b"s SELECT INBOX")
    assert letter in client.say(b"f FETCH 1 BODY.PEEK[]")


@pytest.mark.parametrize("size", [b"4294967296", b"99999999999999999999"])
def test_what_is_too_large_to_be_skipped_is_never_taken_for_commands(size: bytes) -> None:
    """A refused APPEND whose octets are on their way: NO, and then its content was read as commands."""
    client = Client().login()
    said = client.say(b"a APPEND INBOX {%b+}" % size)
    assert said == b"* BYE [TOOBIG] Too much input\r\n" and client.closed
    assert client.say(b"b DELETE INBOX") == b""


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (rb"LOGIN EXAMPLE\alice secret", "EXAMPLE\\alice"),
        (rb"LOGIN EXAMPLE\alice\bob secret", "EXAMPLE\\alice\\bob"),
        (rb'LOGIN "EXAMPLE\\alice" secret', "EXAMPLE\\alice"),
    ],
)
def test_a_name_with_a_backslash_need_not_be_quoted(line: bytes, name: str) -> None:
    world = World()
    world.passwords[name] = "secret"
    assert Client(world).say(b"a " + line).startswith(b"a OK")


@pytest.mark.parametrize(
    "line",
    [
        rb'LOGIN "EXAMPLE\alice" secret', rb'LOGIN "EXAMPLE"\alice secret', rb"LOGIN \alice secret",
        rb"LOGIN EXAMPLE\(alice secret", rb"LOGIN EXAMPLE\alice sec\ret",
    ],
)  # fmt: skip
def test_elsewhere_a_backslash_is_bad(line: bytes) -> None:
    assert Client(World()).say(b"a " + line).startswith(b"a BAD")
    client = Client(World()).login()
    assert client.say(rb"b SELECT EXAMPLE\alice").startswith(b"b BAD")
