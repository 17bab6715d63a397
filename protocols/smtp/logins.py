"""The client's side of AUTH: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-256 (RFC 5802, RFC 7677).

A login is a generator-like value: `initial` is what may go with the AUTH command, `answer` gives
the response to each challenge, `finished` says whether the server has proved itself.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Derive = Callable[[bytes, bytes, int], Awaitable[bytes]]
MAX_ITERATIONS = 1_000_000


class LoginFailed(Exception):
    """The server's part of the exchange is wrong: not the server that knows the password."""


async def derive_inline(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Salted password of RFC 5802 3. Callers with a reactor pass one that uses a thread."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: str = field(repr=False)
    authzid: str = ""
    derive: Derive = field(default=derive_inline, repr=False)


class Plain:
    name = "PLAIN"

    def __init__(self, credentials: Credentials) -> None:
        parts = (credentials.authzid, credentials.user, credentials.password)
        self.initial: bytes | None = "\0".join(parts).encode("utf-8")
        self.finished = True

    async def answer(self, challenge: bytes) -> bytes:
        # Asked only by a server that ignored the initial response.
        assert self.initial is not None
        return self.initial


class Login:
    name = "LOGIN"
    initial: bytes | None = None
    finished = True

    def __init__(self, credentials: Credentials) -> None:
        self._answers = [credentials.user.encode("utf-8"), credentials.password.encode("utf-8")]

    async def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise LoginFailed("LOGIN: a third question")
        return self._answers.pop(0)


class ScramSha256:
    """No channel binding is asked for: the gs2 header is "n" (RFC 5802 6)."""

    name = "SCRAM-SHA-256"

    def __init__(self, credentials: Credentials, nonce: str | None = None) -> None:
        self._credentials = credentials
        self._nonce = nonce or secrets.token_urlsafe(18)
        authzid = f"a={_name(credentials.authzid)}" if credentials.authzid else ""
        self._gs2 = f"n,{authzid},"
        self._first_bare = f"n={_name(credentials.user)},r={self._nonce}"
        self.initial: bytes | None = (self._gs2 + self._first_bare).encode("utf-8")
        self.finished = False
        self._expected = b""

    async def answer(self, challenge: bytes) -> bytes:
        if self._expected:
            self._check(challenge)
            return b""
        return await self._prove(challenge)

    async def _prove(self, challenge: bytes) -> bytes:
        try:
            text = challenge.decode("utf-8")
            found = dict(item.split("=", 1) for item in text.split(","))
            nonce, salt, iterations = found["r"], base64.b64decode(found["s"], validate=True), int(found["i"])
        except (ValueError, KeyError) as error:
            raise LoginFailed("SCRAM: server-first-message expected") from error
        if "m" in found or not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise LoginFailed("SCRAM: not my nonce")
        if not 1 <= iterations <= MAX_ITERATIONS:
            raise LoginFailed("SCRAM: iteration count out of bounds")
        salted = await self._credentials.derive(self._credentials.password.encode("utf-8"), salt, iterations)
        binding = base64.b64encode(self._gs2.encode("utf-8")).decode("ascii")
        final = f"c={binding},r={nonce}"
        signed = f"{self._first_bare},{text},{final}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return f"{final},p={base64.b64encode(proof).decode('ascii')}".encode()

    def _check(self, challenge: bytes) -> None:
        try:
            verifier = base64.b64decode(challenge.partition(b"v=")[2], validate=True)
        except ValueError:
            verifier = b""
        if not hmac.compare_digest(verifier, self._expected):
            raise LoginFailed("SCRAM: the server does not know the password")
        self.finished = True


def _name(text: str) -> str:
    """saslname: "," and "=" are written =2C and =3D (RFC 5802 5.1)."""
    return text.replace("=", "=3D").replace(",", "=2C")


Mechanism = Plain | Login | ScramSha256
# Best first: the client takes the first that the server offers.
MECHANISMS: tuple[type[Plain] | type[Login] | type[ScramSha256], ...] = (ScramSha256, Plain, Login)
