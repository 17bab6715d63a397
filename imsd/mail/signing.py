"""DKIM signatures on what leaves, where it was written here (RFC 6376).

1. Signed is what somebody who logged in submits, what programs of this machine hand in, and what the server
   writes itself; nothing that came from elsewhere, whatever its From says.
2. The domain is that of From. Each key of it signs (`dkim.keys`): RSA for all, Ed25519 for who knows it.
3. A message is signed once, when it is accepted, and the fields stand before its content in each copy that
   leaves: what is done to it on its way is what others do. What must be encoded for a host that takes no
   8-bit text is no longer what was signed, and leaves without; senders that mind send 7-bit text (5.3).
4. Hashing and signing are a thread's work. A key that cannot be used is an error in the log (event 20031);
   the mail goes on without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.settings.dkim import Dkim, DkimKey
from imsd.settings.domains import normal_domain
from imsd.store import blob_rows
from imsd.store.blob_rows import NewBlob
from imsd.trust import dkim
from imsd.trust.dkim import BadKey, BodyHash, Identity, PrivateKey
from protocols.message import addresses, headers

if TYPE_CHECKING:
    from imsd.mail.envelope import Envelope
    from imsd.mail.plan import Plan
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs
    from imsd.store.keyring import Keyring
    from imsd.store.spool import Queued

PIECE: Final = 256 * 1024
MOST_HEADER: Final = 256 * 1024
"""Octets; nothing with a longer header is signed."""
MOST_STORED: Final = 2**31 - 1
HERE: Final = frozenset({"local", "pickup"})
"""How what was written on this machine came (`Origin.protocol`)."""


class Signer:
    """now: seconds since the epoch."""

    log = Logger()

    def __init__(
        self, settings: LiveSettings, keyring: Keyring, blobs: Blobs, now: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._blobs = blobs
        self._now = now
        self._opened: dict[str, PrivateKey] = {}

    def signs(self, domain: str) -> bool:
        """Whether there is a key for a domain."""
        return bool(self._settings[Dkim].of(domain))

    async def sign(self, plan: Plan, envelope: Envelope, content: NewBlob) -> None:
        """Put signatures before the copies that leave, if the message is to be signed."""
        if envelope.account is not None or envelope.origin.protocol in HERE:
            await self._sign(plan, content)

    async def sign_stored(self, plan: Plan, message: Queued) -> None:
        """The same for a message that waited here, and leads elsewhere now: a list's."""
        if message.account is None or not self._settings[Dkim].keys or not plan.remote:
            return
        size, file, data = await self._blobs.db.read(blob_rows.piece, message.blob, 0, MOST_STORED)
        await self._sign(plan, NewBlob(size, b"", None if file else data or b"", file))

    async def _sign(self, plan: Plan, content: NewBlob) -> None:
        page = self._settings[Dkim]
        if not page.keys or not plan.remote:
            return
        try:
            made = await self._blobs.db.in_thread(self._signatures, page, content)
        except (Refusal, BadKey, OSError) as error:
            self.log.error("a message is not signed: {why}", why=str(error), event_id=20_031)
            return
        if not made:
            return
        head = "".join(field for field, _ in made)
        plan.remote = {
            # A journal's copy is for its reader.
            key: each if each.anew and each.head else replace(each, head=head + each.head)
            for key, each in plan.remote.items()
        }
        plan.events.append(("signed", "", f"by DKIM, {'; '.join(said for _, said in made)}"))

    # In a thread -------------------------------------------------------------------------------

    def _signatures(self, page: Dkim, content: NewBlob) -> list[tuple[str, str]]:
        """The fields, and what to say of each. Raises TryLater, BadKey, OSError."""
        pieces = self._pieces(content)
        header, rest = _divided(pieces)
        keys = page.of(author(header)) if header else ()
        if not keys:
            return []
        body = BodyHash()
        body.update(rest)
        for piece in pieces:
            body.update(piece)
        digest, time = body.digest(), int(self._now())
        expires = time + page.expire_days * 86_400 if page.expire_days else 0
        made = []
        for each in keys:
            who = Identity(each.domain, each.selector, self.key(each))
            field = dkim.signature(who, header, digest, time, expires)
            made.append((field.decode("ascii"), f"d={each.domain} s={each.selector}"))
        return made

    def _pieces(self, content: NewBlob) -> Iterator[bytes]:
        if content.data is not None:
            for at in range(0, len(content.data), PIECE):
                yield content.data[at : at + PIECE]
        else:
            for at in range(0, content.size, PIECE):
                yield self._blobs.files.read(content.file, at, PIECE)

    def key(self, row: DkimKey) -> PrivateKey:
        """The key itself. Raises TryLater, BadKey, OSError."""
        if row.key.startswith("file:"):
            return dkim.read_key(self._keyring.path(row.key[5:]).read_bytes())
        known = self._opened.get(row.key)
        if known is None:
            known = self._opened[row.key] = dkim.read_key(self._keyring.open(row.key))
        return known


def _divided(pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The header block and the first of the body; an empty one where there is no end of the header."""
    header = b""
    for piece in pieces:
        header += piece
        end = header.find(b"\r\n\r\n")
        if end >= 0:
            return header[: end + 2], header[end + 4 :]
        if len(header) > MOST_HEADER:
            return b"", b""
    return header, b""


def author(header: bytes) -> str:
    """The domain of From, in the form in which the name system has it; "" without."""
    value = headers.get(header, b"From")
    found = addresses.mailboxes(value) if value else []
    if not found:
        return ""
    name = (found[0].host or b"").decode("utf-8", "replace")
    try:
        return normal_domain(name) if name else ""
    except ValueError:
        return ""
