"""What is shown to the portal: twisted.cred credentials."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.cred.credentials import ICredentials
from zope.interface import Attribute, implementer

from protocols.sasl import ScramKeys


class IPasswordLogin(ICredentials):
    """A log-on name and a password (PLAIN, LOGIN, USER and PASS, simple bind)."""

    name = Attribute("as typed (imsd.auth.names)")
    password = Attribute("as typed, before SASLprep")
    peer = Attribute("address of the client, empty for none")
    protocol = Attribute("imap, ldap, pop3 or smtp")
    changing = Attribute("whether it is shown in order to set another")


class IScramProof(ICredentials):
    """A log-on name and the outcome of a SCRAM exchange with keys we gave out."""

    name = Attribute("prepared")
    keys = Attribute("the ScramKeys the exchange was run with")
    proved = Attribute("whether the client's proof, nonce and channel binding were right")
    peer = Attribute("address of the client, empty for none")
    protocol = Attribute("imap, ldap, pop3 or smtp")


class ICertificate(ICredentials):
    """The names in a client certificate the TLS layer has verified."""

    names = Attribute("addresses and user ids, in order of preference")


@implementer(IPasswordLogin)
@dataclass(frozen=True, slots=True)
class PasswordLogin:
    name: str
    password: str
    peer: str
    protocol: str = ""
    changing: bool = False

    def __repr__(self) -> str:
        return f"PasswordLogin({self.name!r}, peer={self.peer!r})"


@implementer(IScramProof)
@dataclass(frozen=True, slots=True)
class ScramProof:
    name: str
    keys: ScramKeys
    proved: bool
    peer: str
    protocol: str = ""


@implementer(ICertificate)
@dataclass(frozen=True, slots=True)
class Certificate:
    names: tuple[str, ...]


class ITokenHolder(ICredentials):
    """The log-on name in a token that was verified."""

    name = Attribute("as the identity provider knows it")


@implementer(ITokenHolder)
@dataclass(frozen=True, slots=True)
class TokenHolder:
    name: str
