"""The client's side of TLS: contexts, and whether the certificate that came is the one that was wanted.

A handshake is never ended by us because of a certificate: what OpenSSL finds wrong is written down, and
the certificate is judged afterwards, before anything but EHLO is said. So one place knows why a host
was not trusted, in words and in those of RFC 8460 4.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from imsd.store.keyring import Keyring

MOST_CONTEXTS = 200
_EXPIRED = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a host is not trusted. kind: the result type of RFC 8460 4.3. base: the TLSA base domain, where
    nothing of it could be looked up."""

    kind: str
    text: str
    base: str = ""


class Verified(SSL.Connection):
    """A connection that remembers what OpenSSL found wrong: the first error of its verification.

    Application data cannot hold it: Twisted has its own there.
    """

    looked = False
    error: tuple[int, str] | None = None


@dataclass(slots=True)
class Contexts:
    """TLS contexts by the files they are made of; they are made again when a file changes."""

    keyring: Keyring
    _made: dict[tuple[str, str, str], tuple[object, SSL.Context]] = field(default_factory=dict)

    def get(self, ca_file: str, certificate: str, key: str) -> SSL.Context:
        """Reads files: best in a thread. Raises OSError and SSL.Error. ca_file: "" the system's, "-" none."""
        names = (ca_file, certificate, key)
        stamp = tuple(self._stamp(name) for name in names)
        known = self._made.get(names)
        if known is None or known[0] != stamp:
            if len(self._made) >= MOST_CONTEXTS:
                self._made.clear()
            known = self._made[names] = (stamp, self._make(*names))
        return known[1]

    def _stamp(self, name: str) -> object:
        if name in ("", "-"):
            return None
        found = self.keyring.path(name).stat()
        return found.st_mtime_ns, found.st_size

    def _make(self, ca_file: str, certificate: str, key: str) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION)
        if ca_file == "":
            context.set_default_verify_paths()
        elif ca_file != "-":
            context.load_verify_locations(str(self.keyring.path(ca_file)))
        if certificate:
            context.use_certificate_chain_file(str(self.keyring.path(certificate)))
            context.use_privatekey_file(str(self.keyring.path(key or certificate)))
        context.set_verify(SSL.VERIFY_PEER, _write_down)
        return context


def _write_down(connection: SSL.Connection, _: X509, number: int, depth: int, fine: int) -> bool:
    if not isinstance(connection, Verified):
        return bool(fine)
    connection.looked = True
    if not fine and connection.error is None:
        connection.error = (number, f"at depth {depth}")
    return True


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """Makes one connection. host: the name to ask for (SNI)."""

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = Verified(self._context, None)
        if not _is_address(self._host):
            try:
                connection.set_tlsext_host_name(self._host.encode("idna"))
            except UnicodeError:
                pass  # A name that cannot be asked for.
        return connection


def chain_problem(connection: SSL.Connection) -> Problem | None:
    """Whether no authority that is trusted vouches for the certificate, or not any more."""
    if not isinstance(connection, Verified) or not connection.looked:
        return Problem("validation-failure", "certificate was not verified")
    if connection.error is None:
        return None
    number, where = connection.error
    kind = "certificate-expired" if number in _EXPIRED else "certificate-not-trusted"
    text = "has expired or is not valid yet" if number in _EXPIRED else "is not trusted"
    return Problem(kind, f"certificate {text} (verification error {number} {where})")


def name_problem(certificate: x509.Certificate | None, names: Iterable[str]) -> Problem | None:
    """Whether the certificate is for none of the names; `.example.org` is any name below that."""
    wanted = list(names)
    if certificate is None:
        return Problem("certificate-not-trusted", "no certificate")
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return Problem("certificate-host-mismatch", "certificate names no host")
    known = [name.lower().rstrip(".") for name in alternative.get_values_for_type(x509.DNSName)]
    addresses = {str(address) for address in alternative.get_values_for_type(x509.IPAddress)}
    for name in wanted:
        if _is_address(name):
            if str(ip_address(name.strip("[]"))) in addresses:
                return None
        elif any(is_for(one, name.lower()) for one in known):
            return None
    shown = ", ".join(sorted([*known, *addresses])[:5])
    return Problem("certificate-host-mismatch", f"certificate is for {shown or 'nobody'}")


def is_for(presented: str, wanted: str) -> bool:
    """Whether a name in a certificate is the one that is wanted.

    A wildcard stands for the whole first label and no more (RFC 6125 6.4.3).
    """
    if wanted.startswith("."):
        return presented.removeprefix("*").endswith(wanted)
    if presented.startswith("*."):
        label, dot, rest = wanted.partition(".")
        return bool(label and dot) and rest == presented[2:] and "." in rest
    return presented == wanted


def _is_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
