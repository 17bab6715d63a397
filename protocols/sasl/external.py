"""EXTERNAL (RFC 4422 A): who the TLS layer has already proved the client to be."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from zope.interface import implementer

from protocols.sasl.interfaces import Challenge, IAuthenticator, IExchange, Step, Success
from protocols.sasl.plain import text
from protocols.security import Security


@implementer(IExchange)
class External:
    """The response is the authorization identity, empty for the certificate's own."""

    def __init__(self, authenticator: IAuthenticator, security: Security) -> None:
        self._authenticator = authenticator
        self._security = security

    async def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        return Success(await self._authenticator.external(text(response), self._security))


def identities(certificate: x509.Certificate) -> list[str]:
    """The names a client certificate speaks for: rfc822Name, then emailAddress and UID.

    Empty for one that names nobody, or has extensions that cannot be read.
    """
    names: list[str] = []
    try:
        try:
            alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names += alternatives.value.get_values_for_type(x509.RFC822Name)
        except x509.ExtensionNotFound:
            pass
        for oid in (NameOID.EMAIL_ADDRESS, NameOID.USER_ID):
            names += [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
    except ValueError:
        return []
    return list(dict.fromkeys(names))
