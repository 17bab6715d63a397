"""The table of mechanisms: which are offered under which security, and how one begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from protocols.sasl.anonymous import Anonymous
from protocols.sasl.bearer import OAuthBearer, XOAuth2
from protocols.sasl.external import External
from protocols.sasl.interfaces import (
    EncryptionNeeded,
    IAuthenticator,
    IExchange,
    NoSuchMechanism,
)
from protocols.sasl.plain import Login, Plain
from protocols.sasl.scram import Scram
from protocols.security import Security

Maker = Callable[[IAuthenticator, Security, list[str]], IExchange]

MECHANISMS: Final[dict[str, Maker]] = {
    "EXTERNAL": lambda who, security, _: External(who, security),
    "SCRAM-SHA-256-PLUS": lambda who, security, _: Scram(who, security, plus=True),
    "SCRAM-SHA-256": lambda who, security, offer: Scram(
        who, security, plus_offered="SCRAM-SHA-256-PLUS" in offer
    ),
    "OAUTHBEARER": lambda who, security, _: OAuthBearer(who, security),
    "XOAUTH2": lambda who, security, _: XOAuth2(who, security),
    "PLAIN": lambda who, security, _: Plain(who, security),
    "LOGIN": lambda who, security, _: Login(who, security),
    "ANONYMOUS": lambda who, security, _: Anonymous(who, security),
}
"""Strongest first."""


def _proved(security: Security) -> bool:
    """Whether it is known who is at the other end."""
    return security.user is not None or bool(security.encrypted and security.client_certificate)


def offered(security: Security, allowed: Iterable[str], cleartext: bool = False) -> list[str]:
    """Those of the allowed mechanisms that this security permits, strongest first.

    Nothing without TLS but on loopback (or where `cleartext` allows it); -PLUS only with a TLS
    channel to bind to; EXTERNAL only with a client certificate that was verified, or where the system
    says who is at the other end; ANONYMOUS, which tells no secret, always.
    """
    permitted = []
    for name in MECHANISMS:
        if name not in allowed or not (security.private or cleartext or name == "ANONYMOUS"):
            continue
        if name == "EXTERNAL" and not _proved(security):
            continue
        if name.endswith("-PLUS") and not security.binds:
            continue
        permitted.append(name)
    return permitted


def begin(name: bytes | str, authenticator: IAuthenticator, security: Security) -> IExchange:
    """The exchange of a mechanism the client chose (its name in any case).

    Raises NoSuchMechanism, or EncryptionNeeded when TLS would make it available.
    """
    known = (name if isinstance(name, str) else name.decode("ascii", "replace")).upper()
    offer = authenticator.mechanisms(security)
    if known not in offer:
        if known in MECHANISMS and not security.private:
            raise EncryptionNeeded
        raise NoSuchMechanism
    return MECHANISMS[known](authenticator, security, offer)
