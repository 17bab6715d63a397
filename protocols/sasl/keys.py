"""SCRAM-SHA-256 keys and proofs (RFC 5802 3, RFC 7677), and their stored form."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from secrets import token_bytes

from protocols.sasl.interfaces import ScramKeys
from protocols.sasl.prep import saslprep

MAX_ITERATIONS = 10_000_000


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """Hi(Normalize(password), salt, i): slow on purpose, and releases the interpreter lock."""
    return hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)


def client_key(salted: bytes) -> bytes:
    return hmac.digest(salted, b"Client Key", "sha256")


def server_key(salted: bytes) -> bytes:
    return hmac.digest(salted, b"Server Key", "sha256")


def stored_key(key: bytes) -> bytes:
    """StoredKey := H(ClientKey)."""
    return hashlib.sha256(key).digest()


def derive(password: str, iterations: int, salt: bytes | None = None) -> ScramKeys:
    """Keys of a new password. Slow: call it in a thread. Raises BadExchange (SASLprep)."""
    salt = token_bytes(16) if salt is None else salt
    salted = salted_password(password, salt, iterations)
    return ScramKeys(salt, iterations, stored_key(client_key(salted)), server_key(salted))


def matches(password: str, keys: ScramKeys) -> bool:
    """Is this the password of these keys? Slow: call it in a thread."""
    salted = salted_password(password, keys.salt, keys.iterations)
    return hmac.compare_digest(stored_key(client_key(salted)), keys.stored_key)


def proves(proof: bytes, keys: ScramKeys, auth_message: bytes) -> bool:
    """Does the proof show knowledge of the password (RFC 5802 3)?"""
    if len(proof) != 32:
        return False
    signature = hmac.digest(keys.stored_key, auth_message, "sha256")
    return hmac.compare_digest(stored_key(xor(proof, signature)), keys.stored_key)


def server_signature(keys: ScramKeys, auth_message: bytes) -> bytes:
    return hmac.digest(keys.server_key, auth_message, "sha256")


def xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def pack(keys: ScramKeys) -> str:
    """SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> (RFC 5803 3)."""
    parts = (keys.salt, keys.stored_key, keys.server_key)
    salt, stored, server = (b64encode(part).decode() for part in parts)
    return f"SCRAM-SHA-256${keys.iterations}:{salt}${stored}:{server}"


def unpack(packed: str) -> ScramKeys:
    """Raises ValueError for what `pack` does not write."""
    scheme, cost, secrets = packed.split("$")
    iterations, salt = cost.split(":")
    stored, server = secrets.split(":")
    keys = ScramKeys(
        b64decode(salt, validate=True),
        int(iterations),
        b64decode(stored, validate=True),
        b64decode(server, validate=True),
    )
    if (
        scheme != "SCRAM-SHA-256"
        or not 0 < keys.iterations <= MAX_ITERATIONS
        or len(keys.stored_key) != 32
        or len(keys.server_key) != 32
    ):
        raise ValueError("not SCRAM-SHA-256 keys")
    return keys
