"""The turf folder, HOME/turf: messages that the message filter took out (ims_spec 3.4.4).

A file is the envelope in the pickup folder's form, then the message: moved to HOME/pickup it is
delivered after all. It is written under another name, synced and renamed, so that whole files alone
are there. The folder is made when it is needed. Methods block and run away from the reactor.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Final

from imsd.errors import StoreFull, StoreUnavailable
from imsd.store.blob_files import Files, sync_folder
from imsd.store.blob_rows import NewBlob

_PIECE: Final = 256 * 1024
_LOOK: Final = 60.0
"""Seconds after which the size of the folder is measured again: an administrator empties it."""


class TurfFolder:
    """The folder of one home."""

    def __init__(self, home: Path, files: Files) -> None:
        self.root = home / "turf"
        self._files = files
        self._size = 0
        self._looked = float("-inf")

    def put(self, name: str, head: bytes, content: NewBlob, limit: int) -> None:
        """Keep a message. limit: octets of the whole folder. Raises StoreFull, StoreUnavailable."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._measure()
            if self._size + len(head) + content.size > limit:
                raise StoreFull
            self._write(name, head, content)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull from error
            raise StoreUnavailable from error
        self._size += len(head) + content.size

    def _measure(self) -> None:
        if time.monotonic() - self._looked < _LOOK:
            return
        with os.scandir(self.root) as entries:
            self._size = sum(entry.stat().st_size for entry in entries if entry.is_file())
        self._looked = time.monotonic()

    def _write(self, name: str, head: bytes, content: NewBlob) -> None:
        temporary = self.root / f".{name}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head)
                if content.file:
                    for start in range(0, content.size, _PIECE):
                        file.write(self._files.read(content.file, start, min(_PIECE, content.size - start)))
                else:
                    file.write(content.data or b"")
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self.root / f"{name}.eml")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.root)
