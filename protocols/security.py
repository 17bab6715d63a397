"""What a transport protects, and who is at its ends."""

from __future__ import annotations

import ipaddress
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.address import UNIXAddress

_WEAK_HASHES = ("md5", "sha1")
_MAPPED = "::ffff:"


@dataclass(frozen=True, slots=True)
class Security:
    """The ends of a connection and its protection.

    encrypted: TLS is on. loopback: both ends are this machine (a local socket counts).
    peer, local: IP addresses as text, empty for a local socket. user: the number of the user whose
    process is at the other end of a local socket, None where that is not known.
    """

    encrypted: bool = False
    loopback: bool = False
    peer: str = ""
    peer_port: int = 0
    local: str = ""
    local_port: int = 0
    user: int | None = None
    _handle: Any = field(default=None, repr=False, compare=False)

    @property
    def local_socket(self) -> bool:
        return not self.peer

    @property
    def private(self) -> bool:
        """Whether a clear-text password may be asked for."""
        return self.encrypted or self.loopback

    @property
    def cipher(self) -> str:
        """TLS version and cipher suite for the Received line, empty without TLS."""
        if self._handle is None:
            return ""
        name = self._handle.get_cipher_name()
        return f"{self._handle.get_protocol_version_name()} {name}" if name else ""

    @property
    def client_certificate(self) -> Any:
        """The verified certificate of the peer (cryptography's X.509 object), or None."""
        if self._handle is None:
            return None
        certificate = self._handle.get_peer_certificate(as_cryptography=True)
        return certificate if certificate is not None and _verified(self._handle) else None

    @property
    def binds(self) -> bool:
        """Whether there is a TLS channel to bind to, its handshake finished or not."""
        return self.encrypted and self._handle is not None

    def channel_binding(self, kind: str) -> bytes | None:
        """Channel binding data, None if the connection has none of that kind.

        kind: tls-server-end-point, tls-unique (RFC 5929), tls-exporter (RFC 9266).
        """
        if self._handle is None:
            return None
        if kind == "tls-server-end-point":
            return _server_end_point(self._handle)
        version = self._handle.get_protocol_version_name()
        if kind == "tls-exporter" and version == "TLSv1.3":
            # Before TLS 1.3 it is unique only with an extended master secret (RFC 9266 4.2),
            # which cannot be asked for.
            data = self._handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
            return bytes(data) if data else None
        if kind == "tls-unique" and version in ("TLSv1", "TLSv1.1", "TLSv1.2"):
            # The first Finished message: the client's, unless the session was resumed.
            handle = self._handle
            finished = handle.get_finished() if _resumed(handle) else handle.get_peer_finished()
            return bytes(finished) if finished else None
        return None

    @classmethod
    def of(cls, transport: Any, encrypted: bool) -> Security:
        """Look at a connected transport."""
        peer, host = transport.getPeer(), transport.getHost()
        peer_address = address_text(getattr(peer, "host", ""))
        local_address = address_text(getattr(host, "host", ""))
        return cls(
            encrypted=encrypted,
            loopback=not peer_address or is_loopback(peer_address),
            peer=peer_address,
            peer_port=getattr(peer, "port", 0) or 0,
            local=local_address,
            local_port=getattr(host, "port", 0) or 0,
            user=_user(transport) if isinstance(peer, UNIXAddress) else None,
            _handle=transport.getHandle() if encrypted and hasattr(transport, "getHandle") else None,
        )


_CREDENTIALS = struct.Struct("3i")


def _user(transport: Any) -> int | None:
    """Who the system says is at the other end (unix(7), SO_PEERCRED)."""
    option = getattr(socket, "SO_PEERCRED", None)
    end = getattr(transport, "socket", None)
    if option is None or end is None:
        return None
    _, user, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(user)


def address_text(address: Any) -> str:
    """An address as a transport has it; one of IPv4 on a socket of both families as what it is."""
    text = address.decode("ascii", "replace") if isinstance(address, bytes) else str(address)
    if not text.startswith(_MAPPED):
        return text
    # Written as ::ffff:102:304, too.
    try:
        mapped = ipaddress.IPv6Address(text.partition("%")[0]).ipv4_mapped
    except ValueError:
        return text
    return text if mapped is None else str(mapped)


def is_loopback(address: str) -> bool:
    """Whether an address, or the lack of one (a local socket), is this machine's own."""
    if not address or address == "local":
        return True
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


_LIB: Any = vars(SSL)["_lib"]  # pyOpenSSL has no methods for these two


def _verified(handle: Any) -> bool:
    return bool(_LIB.SSL_get_verify_result(handle._ssl) == _LIB.X509_V_OK)


def _resumed(handle: Any) -> bool:
    return bool(_LIB.SSL_session_reused(handle._ssl))


def _server_end_point(handle: Any) -> bytes | None:
    """The hash of our certificate (RFC 5929 4.1)."""
    own = handle.get_certificate(as_cryptography=True) if hasattr(handle, "get_certificate") else None
    if own is None:
        return None
    algorithm = own.signature_hash_algorithm
    if algorithm is None or algorithm.name in _WEAK_HASHES:
        algorithm = hashes.SHA256()
    return bytes(own.fingerprint(algorithm))
