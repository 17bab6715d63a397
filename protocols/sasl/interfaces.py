"""What SASL needs from the application, and the values both sides exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zope.interface import Interface

from protocols.errors import BadSyntax
from protocols.security import Security


class BadExchange(BadSyntax):
    """A response that does not fit the mechanism: bad base64, bad message, too long."""


class Cancelled(BadExchange):
    """The client answered a challenge with "*" (RFC 4954 4, RFC 5034 4, RFC 9051 6.2.2)."""

    def __init__(self) -> None:
        super().__init__("authentication cancelled")


class NoSuchMechanism(Exception):
    """The mechanism is unknown or switched off.

    SMTP 504 5.5.4, IMAP NO, POP3 -ERR, LDAP authMethodNotSupported.
    """

    text = "Unrecognized authentication mechanism"


class EncryptionNeeded(NoSuchMechanism):
    """The mechanism exists, but not before TLS (SMTP 538 5.7.11, IMAP NO [PRIVACYREQUIRED])."""

    text = "Encryption required for requested authentication mechanism"


class BadToken(Exception):
    """A token that proves nothing here. The client is told how to get one that does (RFC 7628 3.2.2).

    reason: what the exchange raises at its end. configuration: an URL of the identity provider's.
    """

    def __init__(
        self, reason: Exception, status: str = "invalid_token", scope: str = "", configuration: str = ""
    ) -> None:
        super().__init__(status)
        self.reason = reason
        self.status = status
        self.scope = scope
        self.configuration = configuration


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server stores for SCRAM (RFC 5802 3); the password cannot be had from it."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    """The exchange goes on: send `data`, bring the response to the next step."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Success:
    """The exchange is over and the identity is proved.

    data: additional data with success (RFC 4422 5), None when the mechanism has none. LDAP sends it
    with the result; `converse` sends it as a last challenge for the line protocols.
    """

    identity: Any
    data: bytes | None = None


Step = Challenge | Success


class IAuthenticator(Interface):
    """Decides who somebody is. What it raises goes through an exchange unchanged.

    `authzid` is "" when the client asks for no other identity than its own. An identity is
    whatever the application says it is; SASL hands it on without looking.
    """

    def mechanisms(security: Security) -> list[str]:
        """Names of the mechanisms offered under this security, strongest first."""

    async def password(authzid: str, authcid: str, password: str, security: Security) -> Any:
        """The identity behind a name and a password (PLAIN, LOGIN, USER/PASS, simple bind)."""

    async def scram(authcid: str, security: Security) -> ScramKeys:
        """The keys of a user; stable made-up keys for one that does not exist or has none."""

    async def scram_done(
        authzid: str, authcid: str, keys: ScramKeys, proved: bool, security: Security
    ) -> Any:
        """The identity after a SCRAM proof; with `proved` false, records the failure and raises."""

    async def external(authzid: str, security: Security) -> Any:
        """The identity behind the verified certificate of the client."""

    async def bearer(authzid: str, token: str, security: Security) -> Any:
        """The identity a token proves (RFC 7628). Raises BadToken; asked only where offered."""

    async def anonymous(trace: str, security: Security) -> Any:
        """The identity of who does not say who he is (RFC 4505); asked only where offered."""


class IExchange(Interface):
    """One run of a server mechanism."""

    async def step(response: bytes | None) -> Step:
        """Take the client's response, decoded; None at the start when it sent no initial response.

        Raises BadExchange, and what the authenticator raises. After a Success or an exception the
        exchange is over.
        """
