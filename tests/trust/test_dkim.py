"""DKIM signatures: the vectors of the RFCs, and another implementation that verifies what is made here."""

from __future__ import annotations

import base64
import time
from hashlib import sha256

import dkim as oracle
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from imsd.trust import dkim
from imsd.trust.dkim import BadKey, BodyHash, Identity
from protocols.message.headers import fields

NOW = int(time.time())
# RFC 8463 A.1, A.3.
ED25519 = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
RSA = """-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
"""
HEADER = b"""From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

""".replace(b"\n", b"\r\n")
BODY = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"from", b"subject", b"date")
ED25519_FIELD = b""" v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=""".replace(b"\n", b"\r\n")
RSA_FIELD = b""" v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=""".replace(b"\n", b"\r\n")


def ed25519() -> dkim.PrivateKey:
    der = bytes.fromhex("302e020100300506032b657004220420") + base64.b64decode(ED25519)
    return dkim.read_key(base64.b64encode(der).decode())


def hashed(body: bytes, size: int = 1 << 20) -> bytes:
    made = BodyHash()
    for at in range(0, len(body), size):
        made.update(body[at : at + size])
    return made.digest()


def test_the_vectors_of_rfc_8463() -> None:
    assert base64.b64encode(hashed(BODY)) == b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    data = dkim.signed_input(fields(HEADER), SIGNED, ED25519_FIELD)
    assert base64.b64encode(dkim.sign(ed25519(), data)) == (
        b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )
    data = dkim.signed_input(fields(HEADER), SIGNED, RSA_FIELD)
    assert base64.b64encode(dkim.sign(dkim.read_key(RSA), data)) == (
        b"F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQ"
        b"TnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="
    )
    assert dkim.record(ed25519()) == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.parametrize(
    ("body", "relaxed"),
    [
        (b"", b""),
        (b"\r\n\r\n\r\n", b""),
        (b" \t \r\n\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (b"x", b"x\r\n"),
        (b"x  ", b"x\r\n"),
        (b"x\r\n\r\n\r\ny\r\n\r\n", b"x\r\n\r\n\r\ny\r\n"),
        (b"x \r\n \r\n y", b"x\r\n\r\n y\r\n"),
        (b"\r\n\r\nx", b"\r\n\r\nx\r\n"),
    ],
)
def test_bodies_are_relaxed(body: bytes, relaxed: bytes) -> None:
    for size in (1, 2, 3, 1000):
        assert hashed(body, size) == sha256(relaxed).digest(), size


@given(st.text("ab \t\n", max_size=60), st.integers(1, 20))
def test_bodies_are_relaxed_as_another_does(text: str, size: int) -> None:
    # As SMTP brings it: every line ends.
    body = text.encode().replace(b"\n", b"\r\n") + b"\r\n"
    assert hashed(body, size) == sha256(oracle.canonicalization.Relaxed.canonicalize_body(body)).digest()


def test_a_line_without_end_takes_no_memory() -> None:
    made = BodyHash()
    for _ in range(40):
        made.update(b"x" * 256 * 1024)
        assert len(made._rest) <= dkim._LONGEST
    assert made.digest() == sha256(b"x" * 40 * 256 * 1024 + b"\r\n").digest()


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
@pytest.mark.parametrize(
    "more",
    [
        b"",
        b"Reply-To: x@example.test\r\nIn-Reply-To: <1@x>\r\nReferences: <1@x>\r\n <2@x>\r\n",
        b"subject:  folded\r\n\tand   spaced  \r\nX-Other: not signed\r\nCc: a@b, \r\n c@d\r\n",
        b"List-Unsubscribe: <mailto:x@y>\r\nList-Unsubscribe: <mailto:z@y>\r\nMIME-Version: 1.0\r\n",
    ],
)
def test_another_implementation_verifies_it(algorithm: dkim.Algorithm, more: bytes) -> None:
    key = dkim.read_key(dkim.make_key(algorithm))
    header = b"From: =?utf-8?q?J?= <j@example.test>\r\nTo: k@example.org\r\n" + more + b"\r\n"
    body = b"Hello \t  world\r\n\r\n" * 50 + b"\r\n\r\n"
    field = dkim.signature(Identity("example.test", "s1", key), header, hashed(body), NOW, NOW + 1000)
    assert max(map(len, field.split(b"\r\n"))) < 80
    text = dkim.record(key).encode()

    def txt(name: bytes, timeout: float = 5) -> bytes:
        assert name == b"s1._domainkey.example.test."
        return text

    def verified(message: bytes) -> bool:
        try:
            return bool(oracle.verify(message, dnsfunc=txt))
        except oracle.DKIMException:
            return False

    assert verified(field + header + body)
    assert verified(b"Received: by x\r\n" + field + header.replace(b"To:", b"TO:  ") + body + b"\r\n")
    for changed in (
        field + header + body + b"more\r\n",
        field + b"Subject: mine\r\n" + header + body,
        field + b"From: somebody@else.test\r\n" + header + body,
        field + header.replace(b"k@example.org", b"l@example.org") + body,
    ):
        assert not verified(changed)


def test_keys_that_are_none() -> None:
    for text in ("", "x", "AAAA", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"):
        with pytest.raises(BadKey):
            dkim.read_key(text)
    short = generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert dkim.algorithm_of(dkim.read_key(short)) == "rsa"


def test_fields_nobody_may_add() -> None:
    names = dkim.names_to_sign(fields(b"From: a\r\nX: y\r\nReferences: <1>\r\n\r\n"))
    assert names.count(b"from") == 2 and names.count(b"subject") == 1
    assert names.count(b"references") == 1 and b"x" not in names
