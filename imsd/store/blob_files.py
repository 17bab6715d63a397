"""Content files: HOME/blobs/ab/cdef...-generation, written once, never renamed into reuse.

Everything here blocks and runs away from the reactor. A file is written under tmp/, synced,
renamed to its name, and its folder is synced, all before a row names it.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from imsd.errors import Refusal, StoreDamaged, StoreFull, StoreUnavailable
from imsd.store.failpoints import reached

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refusal(error: OSError) -> Refusal:
    """What a failing file system means to who stores or reads."""
    return StoreFull() if error.errno in _NO_SPACE else StoreUnavailable()


class Files:
    """The folder of content files of one home."""

    def __init__(self, home: Path) -> None:
        self.root = home / "data" / "blobs"
        self._tmp = self.root / "tmp"
        self._tmp.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._opened = time.time()

    def path(self, file: str) -> Path:
        return self.root / file[:2] / file[2:]

    def create(self) -> tuple[Path, int]:
        """A new temporary file: its path and descriptor."""
        path = self._tmp / secrets.token_hex(12)
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def publish(self, temporary: Path, descriptor: int, sha256: bytes) -> str:
        """Sync the file and give it its name, which is synced too; closes the descriptor."""
        file = f"{sha256.hex()}-{secrets.token_hex(4)}"
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        reached("blob.file-synced")
        path = self.path(file)
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.root)
        os.rename(temporary, path)
        sync_folder(path.parent)
        reached("blob.file-named")
        return file

    def read(self, file: str, start: int, count: int) -> bytes:
        """Up to `count` bytes from `start`."""
        try:
            descriptor = os.open(self.path(file), os.O_RDONLY | os.O_CLOEXEC)
            try:
                pieces = []
                while count > 0 and (data := os.pread(descriptor, count, start)):
                    pieces.append(data)
                    start += len(data)
                    count -= len(data)
                return b"".join(pieces)
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise StoreDamaged from error
        except OSError as error:
            raise refusal(error) from error

    def remove(self, files: list[str]) -> None:
        """Unlink what exists of the files."""
        for file in files:
            self.path(file).unlink(missing_ok=True)

    def clear_temporary(self, older_than: float = 0.0) -> int:
        """Remove unfinished files of an earlier process; how many there were."""
        count = 0
        for path in self._tmp.iterdir():
            if path.stat().st_mtime < self._opened - older_than:
                path.unlink(missing_ok=True)
                count += 1
        return count

    def older(self, seconds: float) -> Iterator[list[str]]:
        """The names of the files made `seconds` before we opened, folder by folder."""
        for folder in sorted(self.root.iterdir()):
            if len(folder.name) != 2:
                continue
            names = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.stat().st_mtime < self._opened - seconds:
                        names.append(folder.name + entry.name)
            if names:
                yield names


def sync_folder(path: Path) -> None:
    """Put the names in a folder on stable storage."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
