"""How protected a connection came out to be: what the policy wanted, and what was reached."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from imsd.mail.relay.certificates import Problem

CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Reached:
    """words: for people. version: of TLS, CLEAR without, "" where nothing was reached. cipher: its suite.

    by: who vouches for the host, "dane", "sts" or "pkix", "" for nobody. name: what its certificate is
    for. problem: what is wrong by the policy, though the connection is used. wanted: none, may, encrypt,
    verify or dane as the settings have it, or dane, sts, sts-testing as the other domain, requiretls as the
    sender asks for.
    """

    words: str
    version: str = CLEAR
    cipher: str = ""
    by: str = ""
    name: str = ""
    problem: Problem | None = None
    wanted: str = ""


def of(handle: SSL.Connection, words: str, by: str = "", problem: Problem | None = None) -> Reached:
    """What a connection with TLS is. words: follow the version."""
    version = str(handle.get_protocol_version_name())
    certificate = handle.get_peer_certificate(as_cryptography=True)
    cipher = handle.get_cipher_name() or ""
    return Reached(f"{version}, {words}", version, cipher, by, _name(certificate), problem)


def _name(certificate: x509.Certificate | None) -> str:
    """The first host that a certificate is for, else its common name."""
    if certificate is None:
        return ""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = alternative.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        found = []
    if found:
        return found[0][:255]
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        names = []
    return str(names[0].value)[:255] if names else ""
