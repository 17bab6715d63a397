"""Message archival (ims_spec 3.9): copies of what came by SMTP and of what left, in HOME/archive.

1. `in/DAY/ID.eml` has what came, `out/DAY/ID-N.eml` what a host has taken over; N tells the hosts apart.
2. A copy begins with its envelope, X-Sender and X-Receiver as the pickup folder reads them, so a copy that is
   put into that folder is sent again. Of a copy of the header the text is left out.
3. A message that comes is answered when its copy is written; one that could not be written is an event, and
   no reason to refuse mail.
4. Days that are over go as a whole.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import Refusal
from imsd.mail.envelope import Envelope, Origin
from imsd.settings.diagnostics import Archive as ArchivePage

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs, NewBlob
    from imsd.store.spool import Queued, QueuedRecipient

FAILED: Final = 20_050
HOUR: Final = 3600.0
MOST_HEADER: Final = 1024 * 1024
"""Octets in which a header ends."""


class Archive:
    """folder: HOME/archive. in_thread: gives a Deferred."""

    log = Logger()

    def __init__(
        self, settings: LiveSettings, folder: Path, blobs: Blobs, reactor: Any, in_thread: Callable[..., Any]
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._blobs = blobs
        self._reactor = reactor
        self._in_thread = in_thread
        self._cleaning = LoopingCall(self._clean)
        self._cleaning.clock = reactor

    def start(self) -> None:
        """Take days away that are over, now and every hour."""
        self._cleaning.start(HOUR)

    def stop(self) -> None:
        if self._cleaning.running:
            self._cleaning.stop()

    @property
    def wanted(self) -> bool:
        return self._settings[ArchivePage].messages != "off"

    async def received(self, queue_id: str, envelope: Envelope, content: NewBlob) -> None:
        """A message was accepted. What the server itself writes does not come from anywhere."""
        if not self.wanted or envelope.origin == Origin():
            return
        head = _head(envelope.reverse_path, (each.address for each in envelope.addressees))
        await self._keep("in", queue_id, head, self._of(content))

    async def sent(self, message: Queued, recipients: list[QueuedRecipient]) -> None:
        """A host has taken a message over for some recipients."""
        if not self.wanted:
            return
        head = _head(message.reverse_path, (each.address for each in recipients)) + message.prefix
        name = f"{message.queue_id}-{recipients[0].id}"
        await self._keep("out", name, head, self._blobs.stream(message.blob))

    async def _of(self, content: NewBlob) -> AsyncIterator[bytes]:
        if not content.file:
            yield content.data or b""
            return
        start = 0
        while start < content.size:
            data = await self._in_thread(self._blobs.files.read, content.file, start, 256 * 1024)
            if not data:
                return
            yield data
            start += len(data)

    async def _keep(self, way: str, name: str, head: bytes, pieces: AsyncIterator[bytes]) -> None:
        only_header = self._settings[ArchivePage].messages == "headers"
        day = datetime.fromtimestamp(self._reactor.seconds(), UTC).strftime("%Y-%m-%d")
        temporary = self._folder / f".{secrets.token_hex(12)}"
        try:
            await self._in_thread(_begin, self._folder, temporary, head)
            start = b""
            async for piece in pieces:
                if only_header:
                    start += piece
                    end = start.find(b"\r\n\r\n")
                    if end < 0 and len(start) < MOST_HEADER:
                        continue
                    piece = start[: end + 2] if end >= 0 else start
                    start = b""
                await self._in_thread(_add, temporary, piece)
                if only_header:
                    break
            if start:
                await self._in_thread(_add, temporary, start)
            await self._in_thread(_finish, temporary, self._folder / way / day, f"{name}.eml")
        except (OSError, Refusal) as error:
            self.log.error("no copy of {name} is kept: {why}", name=name, why=str(error), event_id=FAILED)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _clean(self) -> None:
        last = datetime.fromtimestamp(self._reactor.seconds(), UTC) - timedelta(
            days=self._settings[ArchivePage].keep_days
        )
        cleaning = self._in_thread(_remove_before, self._folder, last.strftime("%Y-%m-%d"))
        cleaning.addErrback(
            lambda failure: self.log.failure("old copies could not be removed", failure, event_id=FAILED)
        )


def _head(sender: str, recipients: Iterable[str]) -> bytes:
    lines = [f"X-Sender: {sender or '<>'}", *(f"X-Receiver: {each}" for each in recipients)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _begin(folder: Path, temporary: Path, head: bytes) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(head)


def _add(temporary: Path, piece: bytes) -> None:
    with temporary.open("ab") as file:
        file.write(piece)


def _finish(temporary: Path, folder: Path, name: str) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary.rename(folder / name)


def _remove_before(folder: Path, day: str) -> None:
    """Remove the folders of days before `day`, and what a crash left."""
    if not folder.is_dir():
        return
    for way in ("in", "out"):
        if (folder / way).is_dir():
            for each in (folder / way).iterdir():
                if len(each.name) == 10 and each.name < day:
                    shutil.rmtree(each)
    for each in folder.glob(".*"):
        if each.is_file() and datetime.fromtimestamp(each.stat().st_mtime, UTC).strftime("%Y-%m-%d") < day:
            each.unlink(missing_ok=True)
