"""Which tokens count, and whose they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from imsd.auth.issuer import Unavailable
from imsd.auth.tokens import Tokens
from imsd.errors import TryLater
from imsd.settings.tokens import Tokens as Page
from protocols.sasl import BadToken
from tests.support.stores import StoreReactor, run

ISSUER = "https://id.test"
RSA = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwks(**keys: Any) -> dict[str, Any]:
    made = []
    for kid, key in keys.items():
        kind = jwt.algorithms.ECAlgorithm if kid.startswith("ec") else jwt.algorithms.RSAAlgorithm
        made.append({**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
    return {"keys": made}


class Provider:
    def __init__(self) -> None:
        self.keys: Any = jwks(one=RSA, ec=EC)
        self.asked = 0
        self.down = False

    async def __call__(self, issuer: str, ca_file: str) -> Any:
        self.asked += 1
        if self.down:
            raise Unavailable("it is down")
        return self.keys


def claims(**changed: Any) -> dict[str, Any]:
    made = {"iss": ISSUER, "aud": "mail", "exp": time.time() + 60, "email": "alice@example.test"} | changed
    return {key: value for key, value in made.items() if value is not None}


def token(key: Any = RSA, kid: str = "one", algorithm: str = "RS256", **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm, headers={"kid": kid})


@pytest.fixture
def world(store_reactor: StoreReactor) -> tuple[Provider, Tokens, StoreReactor]:
    provider = Provider()
    page = Page(issuer=ISSUER, audience=("mail", "other"))
    return provider, Tokens(lambda: page, provider, store_reactor.seconds), store_reactor


World = tuple[Provider, Tokens, StoreReactor]


@pytest.mark.parametrize(
    "good",
    [
        lambda: token(),
        lambda: token(algorithm="PS256"),
        lambda: token(EC, "ec", "ES256"),
        lambda: token(aud=["elsewhere", "other"]),
        lambda: token(exp=time.time() - 10),  # clocks differ
        lambda: token(email_verified=True),
    ],
)
def test_a_token_of_the_provider_counts(world: World, good: Callable[[], str]) -> None:
    assert run(world[1].name(good())) == "alice@example.test"
    assert run(world[1].name(good())) == "alice@example.test"
    assert world[0].asked == 1


@pytest.mark.parametrize(
    "bad",
    [
        lambda: "",
        lambda: "a.b.c",
        lambda: token(OTHER),
        lambda: token(kid="two"),
        lambda: token(algorithm="RS512"),
        lambda: jwt.encode(claims(), "", "none", headers={"kid": "one"}),
        lambda: jwt.encode(claims(), "x" * 40, "HS256", headers={"kid": "one"}),
        lambda: token(iss="https://elsewhere.test"),
        lambda: token(aud="elsewhere"),
        lambda: token(aud=None),
        lambda: token(exp=None),
        lambda: token(exp=time.time() - 100),
        lambda: token(nbf=time.time() + 100),
        lambda: token(email=None),
        lambda: token(email=["alice@example.test"]),
        lambda: token(email_verified=False),
    ],
)
def test_any_other_does_not(world: World, bad: Callable[[], str]) -> None:
    with pytest.raises(BadToken) as caught:
        run(world[1].name(bad()))
    assert caught.value.status == "invalid_token"
    assert caught.value.configuration == ISSUER + "/.well-known/openid-configuration"


def test_a_scope_may_be_demanded(store_reactor: StoreReactor) -> None:
    page = Page(issuer=ISSUER, audience=("mail",), scope="imap", claim="sub")
    tokens = Tokens(lambda: page, Provider(), store_reactor.seconds)
    assert run(tokens.name(token(scope="openid imap", sub="alice"))) == "alice"
    assert run(tokens.name(token(scp=["imap"], sub="alice"))) == "alice"
    with pytest.raises(BadToken) as caught:
        run(tokens.name(token(scope="openid", sub="alice")))
    assert (caught.value.status, caught.value.scope) == ("insufficient_scope", "imap")


def test_new_keys_are_looked_for_once_a_minute_at_most(world: World) -> None:
    provider, tokens, reactor = world
    run(tokens.name(token()))
    provider.keys = jwks(two=OTHER)
    for _ in range(3):
        with pytest.raises(BadToken):
            run(tokens.name(token(OTHER, "two")))
    assert provider.asked == 1
    reactor.advance(61)
    assert run(tokens.name(token(OTHER, "two"))) == "alice@example.test"
    with pytest.raises(BadToken):
        run(tokens.name(token()))  # its key is not the provider's any more
    assert provider.asked == 2


def test_while_the_provider_is_down_its_keys_go_on_to_count(world: World) -> None:
    provider, tokens, reactor = world
    provider.down = True
    with pytest.raises(TryLater):
        run(tokens.name(token()))
    provider.down = False
    with pytest.raises(TryLater):
        run(tokens.name(token()))
    reactor.advance(61)
    run(tokens.name(token()))
    provider.down = True
    reactor.advance(2 * 3600)
    assert run(tokens.name(token())) == "alice@example.test"
    assert provider.asked == 3


def test_keys_that_are_none_are_none(world: World) -> None:
    world[0].keys = {"keys": "no"}
    with pytest.raises(TryLater):
        run(world[1].name(token()))
