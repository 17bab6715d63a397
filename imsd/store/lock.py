"""The home lock: one process has a home open for writing (rule 22)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from imsd.errors import StoreUnavailable


class HomeInUse(StoreUnavailable):
    """Another process has this home open."""


class HomeLock:
    """Held from construction to release(); the kernel releases it when the process dies."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "lock"
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise HomeInUse(f"{home} is in use by process {owner or 'unknown'}") from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        os.close(self._fd)
