"""SCRAM-SHA-256 and -PLUS: the vector of RFC 7677, and everything a client can get wrong."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sasl import BadExchange, Challenge, Success, begin
from protocols.sasl.client import ScramClient
from protocols.sasl.keys import derive, matches, pack, unpack
from protocols.sasl.scram import Scram
from tests.sasl.fakes import LOOPBACK, TLS, FakeAuthenticator, Wrong, go, steps

# RFC 7677 3
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTHENTICATOR = FakeAuthenticator(keys=derive("pencil", 4096, SALT))


def scram(**how: bool) -> Scram:
    return Scram(AUTHENTICATOR, TLS, nonce=lambda: SERVER_NONCE, **how)


def test_the_vector_of_rfc_7677() -> None:
    exchange = scram()
    assert steps(exchange, FIRST) == Challenge(SERVER_FIRST)
    assert steps(exchange, FINAL) == Success("user", SERVER_FINAL)


def test_the_vector_of_rfc_7677_as_client() -> None:
    client = ScramClient("user", "pencil", nonce=lambda: "rOprNGfwEbeRWgbNEkqO")
    assert client.initial() == FIRST
    assert client.respond(SERVER_FIRST) == FINAL
    assert client.respond(SERVER_FINAL) == b""
    client.finish()


def test_without_initial_response() -> None:
    assert steps(scram(), None) == Challenge(b"")
    assert steps(scram(), None, FIRST) == Challenge(SERVER_FIRST)
    with pytest.raises(BadExchange):
        steps(scram(), None, b"")


@pytest.mark.parametrize(
    "first",
    [
        b"x,,n=user,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=user",
        b"n,,r=abc,n=user",
        b"n,,m=ext,n=user,r=abc",
        b"n,,n=user,r=abc,m=ext",
        b"n,,n=us=er,r=abc",
        b"n,,n=us\xffer,r=abc",
        b"n,,n=user,r=a\x00c",
        b"n,,n=user,r=",
        b"n,b=x,n=user,r=abc",
        b"n,,n=\xc2\xad,r=abc",
        b"p=tls-exporter,,n=user,r=abc",
        b"n,,n=user,r=" + b"x" * 1025,
    ],
)
def test_bad_first_messages(first: bytes) -> None:
    with pytest.raises(BadExchange):
        steps(scram(), first)


@pytest.mark.parametrize(
    "final",
    [b"", b"c=biws", FINAL[:-48], FINAL + b",x=y", b"c=*,r=x,p=AAAA", FINAL.replace(b"c=biws", b"c=b!ws")],
)
def test_bad_final_messages(final: bytes) -> None:
    with pytest.raises(BadExchange):
        steps(scram(), FIRST, final)


@pytest.mark.parametrize(
    "final",
    [
        FINAL.replace(b"p=dHz", b"p=eHz"),
        FINAL.replace(b"hNlF$k0", b"hNlF$k1"),
        FINAL.replace(b"c=biws", b"c=eSws"),
        FINAL.replace(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b"p=AAAA"),
        FINAL.replace(b",p=", b",x=y,p="),
    ],
)
def test_wrong_proofs_reach_the_authenticator_as_failures(final: bytes) -> None:
    with pytest.raises(Wrong):
        steps(scram(), FIRST, final)


def test_names_with_commas_and_equals_signs() -> None:
    authenticator = FakeAuthenticator("a,b=c")
    client = ScramClient("a,b=c", "pencil")
    exchange = begin("SCRAM-SHA-256", authenticator, LOOPBACK)
    challenge = steps(exchange, client.initial())
    success = steps(exchange, client.respond(challenge.data))
    assert success.identity == "a,b=c"
    client.respond(success.data)
    client.finish()


def bound_final(header: bytes, binding: bytes, first: bytes) -> tuple[Scram, bytes]:
    """A PLUS exchange at its second step, and the right answer for a binding."""
    exchange = scram(plus=True)
    challenge = steps(exchange, header + first).data
    client = ScramClient("user", "pencil", nonce=lambda: "abc")
    answer = client.respond(challenge)
    # The proof covers c=, so make it anew as a client with this binding would.
    from protocols.sasl import keys

    unproved = b"c=" + b64encode(header + binding) + answer[answer.index(b",r=") : answer.index(b",p=")]
    salted = keys.salted_password("pencil", SALT, 4096)
    stored = keys.stored_key(keys.client_key(salted))
    import hmac

    signature = hmac.digest(stored, first + b"," + challenge + b"," + unproved, "sha256")
    return exchange, unproved + b",p=" + b64encode(keys.xor(keys.client_key(salted), signature))


def test_plus_binds_to_the_channel() -> None:
    exchange, final = bound_final(b"p=tls-exporter,,", b"e" * 32, b"n=user,r=abc")
    assert steps(exchange, final).identity == "user"


def test_plus_refuses_another_channel() -> None:
    exchange, final = bound_final(b"p=tls-exporter,,", b"x" * 32, b"n=user,r=abc")
    with pytest.raises(Wrong):
        steps(exchange, final)


@pytest.mark.parametrize("flag", [b"n", b"y", b"p=tls-unique", b"p=made-up"])
def test_plus_needs_a_binding_we_have(flag: bytes) -> None:
    with pytest.raises(BadExchange):
        steps(scram(plus=True), flag + b",,n=user,r=abc")


def test_downgrade_is_noticed() -> None:
    with pytest.raises(BadExchange):
        steps(scram(plus_offered=True), b"y,,n=user,r=abc")
    assert isinstance(steps(scram(), b"y,,n=user,r=abc"), Challenge)


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=QUJD,i=4096",
        b"r=abc,s=QUJD,i=4096",
        b"r=abcd,s=QUJD,i=1",
        b"r=abcd,s=QUJD,i=99999999",
        b"m=x,r=abcd,s=QUJD,i=4096",
        b"e=other-error",
        b"\xff",
    ],
)
def test_client_refuses_bad_servers(challenge: bytes) -> None:
    with pytest.raises(BadExchange):
        ScramClient("user", "pencil", nonce=lambda: "abc").respond(challenge)


def test_client_refuses_a_server_that_does_not_know_the_password() -> None:
    client = ScramClient("user", "pencil", nonce=lambda: "rOprNGfwEbeRWgbNEkqO")
    client.respond(SERVER_FIRST)
    with pytest.raises(BadExchange):
        client.finish()
    with pytest.raises(BadExchange):
        client.respond(b"v=" + b64encode(b"x" * 32))


def test_keys_are_stored_and_read() -> None:
    keys = derive("pencil", 4096)
    assert unpack(pack(keys)) == keys
    assert matches("pencil", keys) and not matches("pencils", keys)
    for bad in ("", "SCRAM-SHA-1$4096:QQ==$QQ==:QQ==", pack(keys).replace("4096", "99999999999"), "a$b$c"):
        with pytest.raises(ValueError):
            unpack(bad)


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_raises_only_bad_exchange(first: bytes, final: bytes) -> None:
    for messages in ((first,), (FIRST, final), (b"n,,n=" + first, final)):
        try:
            exchange = scram()
            for message in messages:
                go(exchange.step(message))
        except (BadExchange, Wrong):
            pass
