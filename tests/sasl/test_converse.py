"""Exchanges over lines: base64, cancelling, bounds; and the clients against the servers."""

from __future__ import annotations

from base64 import b64encode

import pytest

from protocols.sasl import BadExchange, Cancelled, Success, begin, converse
from protocols.sasl.client import ClientExchange, choose
from protocols.sasl.converse import MAX_RESPONSE
from tests.sasl.fakes import LOOPBACK, FakeAuthenticator, go


class Peer:
    """Answers challenges with lines."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)
        self.asked: list[bytes] = []

    async def ask(self, challenge: bytes) -> bytes:
        self.asked.append(challenge)
        return self.lines.pop(0)


def run(mechanism: str, initial: bytes | None, *lines: bytes) -> tuple[Success, list[bytes]]:
    peer = Peer(*lines)
    success = go(converse(peer.ask, begin(mechanism, FakeAuthenticator(), LOOPBACK), initial))
    return success, peer.asked


PLAIN = b64encode(b"\0user\0pencil")


def test_with_and_without_initial_response() -> None:
    assert run("PLAIN", PLAIN) == (Success("user"), [])
    assert run("PLAIN", None, PLAIN) == (Success("user"), [b""])


def test_login_prompts_in_base64() -> None:
    _, asked = run("LOGIN", None, b64encode(b"user"), b64encode(b"pencil"))
    assert asked == [b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"]


def test_an_equals_sign_is_an_empty_response() -> None:
    with pytest.raises(BadExchange):
        run("PLAIN", b"=")


def test_cancelled() -> None:
    with pytest.raises(Cancelled):
        run("PLAIN", None, b"*")
    with pytest.raises(Cancelled):
        run("LOGIN", b64encode(b"user"), b"*")


@pytest.mark.parametrize("line", [b"!!!!", b"QQ", b"QQ=", b"QQ==QQ==", b"QR==\n", b"QQ== ", b"\xff"])
def test_what_is_no_base64(line: bytes) -> None:
    with pytest.raises(BadExchange):
        run("PLAIN", line)


def test_responses_are_bounded() -> None:
    with pytest.raises(BadExchange, match="too long"):
        run("PLAIN", b64encode(b"x" * (MAX_RESPONSE + 1)))


class Client:
    """A client exchange that answers like a peer on the wire."""

    def __init__(self, exchange: ClientExchange, last: bytes | None = None) -> None:
        self.exchange = exchange
        self.last = last
        self.asked = 0

    async def ask(self, challenge: bytes) -> bytes:
        from base64 import b64decode

        self.asked += 1
        answer = self.exchange.respond(b64decode(challenge))
        return b64encode(answer) if answer or self.last is None else self.last


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
@pytest.mark.parametrize("early", [True, False])
def test_our_clients_and_servers_agree(name: str, early: bool) -> None:
    exchange = choose([name], "user", "pencil", private=True)
    assert exchange is not None and exchange.name == name
    initial = exchange.initial()
    first = b64encode(initial) if early and initial is not None else None
    server = begin(name, FakeAuthenticator(), LOOPBACK)
    assert go(converse(Client(exchange).ask, server, first)).identity == "user"
    exchange.finish()


def test_the_answer_to_the_server_signature_must_be_empty() -> None:
    exchange = choose(["SCRAM-SHA-256"], "user", "pencil", private=False)
    assert exchange is not None
    initial = b64encode(exchange.initial() or b"")
    server = begin("SCRAM-SHA-256", FakeAuthenticator(), LOOPBACK)
    with pytest.raises(BadExchange):
        go(converse(Client(exchange, b"QQ==").ask, server, initial))


def test_choose_prefers_scram_and_hides_passwords() -> None:
    best = choose(["plain", "login", "scram-sha-256"], "u", "p", private=True)
    assert best is not None and best.name == "SCRAM-SHA-256"
    assert choose(["PLAIN", "LOGIN"], "u", "p", private=False) is None
    assert choose(["CRAM-MD5"], "u", "p", private=True) is None
