"""OAUTHBEARER (RFC 7628) and XOAUTH2."""

from __future__ import annotations

import json

import pytest
from zope.interface import implementer

from protocols.sasl import BadExchange, BadToken, Challenge, IAuthenticator, Success, begin, offered
from protocols.security import Security
from tests.sasl.fakes import CLEAR, TLS, Wrong, go


@implementer(IAuthenticator)
class Holder:
    """Takes the token "good"."""

    def mechanisms(self, security: Security) -> list[str]:
        return offered(security, ("OAUTHBEARER", "XOAUTH2"))

    async def bearer(self, authzid: str, token: str, security: Security) -> tuple[str, str]:
        if token != "good":
            raise BadToken(Wrong(), scope="mail", configuration="https://id.test/config")
        return authzid, token


def first(name: str, message: bytes | None) -> Challenge | Success:
    return go(begin(name, Holder(), TLS).step(message))


@pytest.mark.parametrize(
    ("name", "message", "authzid"),
    [
        ("OAUTHBEARER", b"n,a=user@example.com,\x01host=server\x01port=143\x01auth=Bearer good\x01\x01",
         "user@example.com"),
        ("OAUTHBEARER", b"n,,\x01auth=bearer  good\x01\x01", ""),
        ("OAUTHBEARER", b"y,a=a=2Cb=3D,\x01auth=Bearer good\x01\x01", "a,b="),
        ("XOAUTH2", b"user=user@example.com\x01auth=Bearer good\x01\x01", "user@example.com"),
    ],
)  # fmt: skip
def test_tokens_are_taken(name: str, message: bytes, authzid: str) -> None:
    assert first(name, message) == Success((authzid, "good"))
    exchange = begin(name, Holder(), TLS)
    assert go(exchange.step(None)) == Challenge(b"")
    assert go(exchange.step(message)) == Success((authzid, "good"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OAUTHBEARER", b""),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer good\x01"),
        ("OAUTHBEARER", b"auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"p=tls-unique,,\x01auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"n,a==41,\x01auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"n,a=\xff,\x01auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Basic good\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer good\x01auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01=x\x01auth=Bearer good\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01host=x\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer " + b"x" * 10_000 + b"\x01\x01"),
        ("XOAUTH2", b"auth=Bearer good\x01\x01"),
        ("XOAUTH2", b"user=\x01auth=Bearer good\x01\x01"),
        ("XOAUTH2", b"user=x\x01auth=Bearer good\x01"),
        ("XOAUTH2", b"user=x\0y\x01auth=Bearer good\x01\x01"),
    ],
)
def test_what_is_no_message_is_bad(name: str, message: bytes) -> None:
    with pytest.raises(BadExchange):
        first(name, message)


@pytest.mark.parametrize(
    ("name", "message", "said", "answer"),
    [
        (
            "OAUTHBEARER",
            b"n,,\x01auth=Bearer old\x01\x01",
            {"status": "invalid_token", "scope": "mail", "openid-configuration": "https://id.test/config"},
            b"\x01",
        ),
        (
            "XOAUTH2",
            b"user=x\x01auth=Bearer old\x01\x01",
            {"status": "401", "schemes": "bearer", "scope": "mail"},
            b"",
        ),
    ],
)
def test_a_refused_token_is_explained_before_the_end(
    name: str, message: bytes, said: dict[str, str], answer: bytes
) -> None:
    exchange = begin(name, Holder(), TLS)
    challenge = go(exchange.step(message))
    assert isinstance(challenge, Challenge) and json.loads(challenge.data) == said
    with pytest.raises(Wrong):
        go(exchange.step(answer))


def test_tokens_are_not_sent_where_others_listen() -> None:
    assert Holder().mechanisms(CLEAR) == []
    assert Holder().mechanisms(TLS) == ["OAUTHBEARER", "XOAUTH2"]
