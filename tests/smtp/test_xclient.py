"""XCLIENT: a proxy that is trusted says who its client is (XCLIENT_README of Postfix)."""

from __future__ import annotations

import pytest

from tests.smtp.fakes import FakeDoor, Talk


def trusted() -> Talk:
    door = FakeDoor()
    door.proxied = True
    return Talk(door, host="198.51.100.9")


def test_announced_to_who_may_use_it_alone() -> None:
    offer = b"XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT\r\n"
    assert offer in trusted().say(b"EHLO proxy\r\n")
    stranger = Talk()
    assert b"XCLIENT" not in stranger.say(b"EHLO x\r\n")
    assert stranger.say(b"XCLIENT ADDR=192.0.2.1\r\n").startswith(b"550 5.7.0 ")


def test_session_begins_anew_as_the_client() -> None:
    talk = trusted()
    talk.say(b"EHLO proxy\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n")
    reply = talk.say(
        b"XCLIENT ADDR=192.0.2.7 PORT=4000 NAME=Mail.Example.org DESTADDR=203.0.113.1 DESTPORT=25\r\n"
    )
    assert reply == b"220 mx.example.test ESMTP ready\r\n"
    security = talk.door.securities[-1]
    assert (security.peer, security.peer_port, security.local, security.local_port) == (
        "192.0.2.7", 4000, "203.0.113.1", 25,
    )  # fmt: skip
    assert talk.door.names == ["mail.example.org"]
    assert talk.door.sessions_closed == 1
    assert talk.say(b"MAIL FROM:<a@b.example>\r\n").startswith(b"503 5.5.1 ")
    talk.say(b"EHLO client.example\r\n")
    talk.say(b"MAIL FROM:<a@b.example>\r\n")
    client = talk.door.begun[-1].client
    assert (client.peer, client.hello, client.loopback) == ("192.0.2.7", "client.example", False)
    assert talk.say(b"XCLIENT ADDR=192.0.2.8\r\n").startswith(b"503 5.5.1 ")
    # The proxy may go on to speak for others.
    talk.say(b"RSET\r\n")
    assert talk.say(b"XCLIENT ADDR=IPV6:2001:db8::1\r\n").startswith(b"220 ")
    assert talk.door.securities[-1].peer == "2001:db8::1"
    assert talk.say(b"XCLIENT ADDR=IPV6:::ffff:192.0.2.9\r\n").startswith(b"220 ")
    assert talk.door.securities[-1].peer == "192.0.2.9"


def test_helo_and_proto_stand_for_the_clients_greeting() -> None:
    talk = trusted()
    talk.say(b"XCLIENT ADDR=192.0.2.7 HELO=client.example PROTO=SMTP\r\n")
    assert talk.say(b"MAIL FROM:<a@b.example>\r\n").startswith(b"250 ")
    client = talk.door.begun[-1].client
    assert (client.hello, client.esmtp) == ("client.example", False)


@pytest.mark.parametrize(
    "said", [b"ADDR=[UNAVAILABLE]", b"ADDR=[TEMPUNAVAIL] NAME=[UNAVAILABLE]", b"ADDR=127.0.0.1"]
)
def test_client_that_is_not_known_is_nobody_here(said: bytes) -> None:
    talk = trusted()
    assert talk.say(b"XCLIENT " + said + b"\r\n").startswith(b"220 ")
    security = talk.door.securities[-1]
    assert not security.loopback
    assert not security.local_socket
    assert not security.private


def test_login_ends_with_the_proxy() -> None:
    door = FakeDoor()
    door.proxied = True
    talk = Talk(door, host="127.0.0.1")
    talk.say(b"EHLO proxy\r\n")
    assert talk.say(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n").startswith(b"235 ")
    talk.say(b"XCLIENT ADDR=192.0.2.7\r\n")
    assert b"AUTH" not in talk.say(b"EHLO client.example\r\n")
    talk.say(b"MAIL FROM:<a@b.example>\r\n")
    assert door.begun[-1].client.identity is None


def test_who_has_logged_in_there_is_logged_in_here_where_the_proxy_vouches() -> None:
    talk = trusted()
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=alice\r\n").startswith(b"550 5.7.0 ")
    talk.door.vouches = True
    assert b"DESTPORT LOGIN\r\n" in talk.say(b"EHLO proxy\r\n")
    # Nothing of it holds when nobody of that name is known.
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=mallory\r\n").startswith(b"535 5.7.8 ")
    assert len(talk.door.securities) == 1
    assert talk.say(b"XCLIENT ADDR=192.0.2.7 LOGIN=alice HELO=client.example\r\n").startswith(b"220 ")
    assert b"AUTH" not in talk.say(b"MAIL FROM:<a@b.example>\r\nRSET\r\nEHLO client.example\r\n")
    assert talk.door.begun[-1].client.identity == "alice"
    talk.say(b"MAIL FROM:<a@b.example>\r\n")
    assert talk.door.begun[-1].client.identity == "alice"
    # The next client is nobody until the proxy says otherwise.
    talk.say(b"RSET\r\nXCLIENT ADDR=192.0.2.8 LOGIN=[UNAVAILABLE]\r\n")
    talk.say(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n")
    assert talk.door.begun[-1].client.identity is None


@pytest.mark.parametrize(
    "said",
    b"|ADDR|ADDR=|ADDR=192.0.2|ADDR=2001:db8::1|ADDR=IPV6:192.0.2.1|PORT=65536|PORT=+25|PROTO=LMTP|LOGIN="
    b"|NAME=a b|NAME=-x|NAME=a+0D+0Ab|ADDR=192.0.2.1 ADDR=192.0.2.2|HELO=a+20b|ADDR=+ZZ".split(b"|"),
)
def test_what_is_no_attribute_is_refused_and_nothing_changes(said: bytes) -> None:
    talk = trusted()
    assert talk.say(b"XCLIENT " + said + b"\r\n")[:3] in (b"501", b"500")
    assert len(talk.door.securities) == 1
