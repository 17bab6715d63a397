"""Server certificates: one context per name, chosen by SNI, read again when files change."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from imsd.config import Config, ConfigError

_HOST = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,10}")


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """Makes the server side of TLS connections.

    `reload` reads the files again when one of them has changed; connections that are open
    keep what they have. A set of files that cannot be used is reported and the old one kept.
    """

    log = Logger()

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._default: SSL.Context
        self._by_name: dict[bytes, SSL.Context] = {}
        self._load()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self._default, None)

    def reload(self) -> bool:
        """Read the files again if they changed; whether new ones are in use."""
        try:
            if self._stamps_now() == self._stamps:
                return False
            self._load()
        except (ConfigError, OSError) as error:
            self.log.error("certificates were not reloaded: {error}", error=error)
            return False
        self.log.info("certificates were reloaded")
        return True

    def _files(self) -> list[tuple[str, Path, Path]]:
        tls, path = self._config.tls, self._config.path
        files = [("", path(tls.certificate), path(tls.key))]
        for name, pair in tls.names.items():
            files.append((name, path(pair["certificate"]), path(pair["key"])))
        return files

    def _stamps_now(self) -> dict[Path, tuple[int, int]]:
        paths = [file for _, certificate, key in self._files() for file in (certificate, key)]
        if self._config.tls.client_ca:
            paths.append(self._config.path(self._config.tls.client_ca))
        return {path: (os.stat(path).st_mtime_ns, os.stat(path).st_size) for path in paths}

    def _load(self) -> None:
        stamps = self._stamps_now() if self._all_there() else {}
        by_name: dict[bytes, SSL.Context] = {}
        default = None
        for name, certificate, key in self._files():
            context = self._context(certificate, key)
            if default is None:
                default = context
            for host in [name.encode("idna")] if name else _names_in(certificate):
                by_name.setdefault(host.lower(), context)
        assert default is not None
        default.set_tlsext_servername_callback(self._choose)
        self._default, self._by_name, self._stamps = default, by_name, stamps

    def _all_there(self) -> bool:
        for _, certificate, key in self._files():
            for file in (certificate, key):
                if not file.is_file():
                    raise ConfigError(f"{file}: no such file; `imsctl setup` makes a self-signed pair")
        return True

    def _context(self, certificate: Path, key: Path) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        try:
            context.use_certificate_chain_file(str(certificate))
            context.use_privatekey_file(str(key))
            context.check_privatekey()
        except (SSL.Error, ValueError) as error:
            raise ConfigError(f"{certificate}, {key}: cannot be used: {error}") from None
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_session_id(b"imsd")
        if self._config.tls.client_ca:
            file = self._config.path(self._config.tls.client_ca)
            try:
                context.load_verify_locations(str(file))
                # Clients choose by it among the certificates they have.
                context.load_client_ca(os.fsencode(file))
            except SSL.Error as error:
                raise ConfigError(f"{file}: cannot be used: {error}") from None
            # A peer may come without one; one that comes with a bad one is not let in.
            context.set_verify(SSL.VERIFY_PEER, lambda _c, _x, _number, _depth, ok: bool(ok))
        return context

    def _choose(self, connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").lower()
        context = self._by_name.get(name) or self._by_name.get(b"*." + name.partition(b".")[2])
        if context is not None and context is not self._default:
            connection.set_context(context)


def _names_in(certificate: Path) -> list[bytes]:
    first = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        alternative = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.encode("ascii", "replace") for name in alternative.get_values_for_type(x509.DNSName)]


def make_self_signed(hostname: str, certificate: Path, key: Path, days: int = 3650) -> None:
    """Write an ECDSA P-256 key and a certificate signed by it, for `hostname`, localhost and this machine's
    name, which libldap puts in the place of localhost before it compares names."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    now = datetime.datetime.now(datetime.UTC)
    machine = socket.gethostname()
    hosts = (hostname, "localhost", *([machine] if _HOST.fullmatch(machine) else []))
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in dict.fromkeys(hosts)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
