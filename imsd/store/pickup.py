"""The pickup folder, HOME/pickup: files that are messages (ims_spec 1.3).

    name              dropped by a program, renamed into place when it is whole; readable to us
    .name, name.tmp   being written; not looked at, nor is an empty file
    .claimed-ID-name  being accepted under the queue id ID
    archive/name      could not be understood; kept for the administrator

A file is claimed by a rename before it is read, and removed after the transaction that accepts it.
Who finds a claimed file at a start asks tracking whether its id was accepted: so a crash makes
neither two messages of a file nor none. All methods block and run away from the reactor.

Others may write into the folder: what is no file of its own there (a link, a pipe) is neither read nor
followed, whatever it is called.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imsd.store.blob_files import sync_folder

_CLAIMED: Final = ".claimed-"
_NAME: Final = re.compile(r"\.claimed-([0-9A-Za-z]{1,64})-(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file that is ours: the id it is accepted under, the name it had, its size in octets."""

    queue_id: str
    name: str
    size: int

    @property
    def file(self) -> str:
        return f"{_CLAIMED}{self.queue_id}-{self.name}"


class PickupFolder:
    """The folder of one home; made when it is missing."""

    def __init__(self, home: Path) -> None:
        self.root = home / "pickup"
        self.archive = self.root / "archive"

    def prepare(self) -> None:
        self.archive.mkdir(parents=True, exist_ok=True, mode=0o700)

    def drop(self, data: bytes) -> None:
        """Put a message there, whole and on stable storage when this returns. Raises OSError."""
        name = secrets.token_hex(12)
        temporary = self.root / f".{name}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                self._let_server_read(file.fileno())
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self.root / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        try:
            sync_folder(self.root)
        except PermissionError:
            os.sync()  # We may write into the folder and not read it, so it cannot be opened.

    def _let_server_read(self, descriptor: int) -> None:
        """The server runs as the folder's owner, who may be another than we are.

        Only who may enter the folder and knows the random name can read a file of everybody's.
        """
        owner = self.root.stat()
        if owner.st_uid == os.geteuid():
            return
        try:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        except PermissionError:
            os.fchmod(descriptor, 0o644)

    def waiting(self, most: int) -> list[str]:
        """Names of up to `most` files that are whole, oldest first."""
        found = []
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.endswith(".tmp"):
                    continue
                try:
                    if entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        if status.st_size:
                            found.append((status.st_mtime_ns, entry.name))
                except FileNotFoundError:
                    continue
        return [name for _, name in sorted(found)[:most]]

    def left(self) -> list[Claimed]:
        """Files that were claimed and not finished, by a process that is gone or a round that failed."""
        found = []
        for path in sorted(self.root.glob(_CLAIMED + "*")):
            match = _NAME.fullmatch(path.name)
            if match is not None:
                try:
                    found.append(Claimed(match[1], match[2], _size(path)))
                except OSError:
                    continue  # It is gone, or not ours.
        return found

    def claim(self, name: str, queue_id: str) -> Claimed:
        """Take a file. Raises OSError: it is gone, or the folder does not let us."""
        claimed = Claimed(queue_id, name, _size(self.root / name))
        os.rename(self.root / name, self.root / claimed.file)
        return claimed

    def read(self, claimed: Claimed, most: int) -> bytes:
        """Up to `most` octets of it."""
        # Nobody may have put a pipe or a link there meanwhile: opening the one might never end.
        descriptor = os.open(
            self.root / claimed.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
        with os.fdopen(descriptor, "rb") as file:
            _check(os.fstat(descriptor))
            return file.read(most)

    def finish(self, claimed: Claimed) -> None:
        """The message is ours: the file goes."""
        (self.root / claimed.file).unlink(missing_ok=True)

    def give_back(self, claimed: Claimed) -> None:
        """Leave the file where it was, for later."""
        os.rename(self.root / claimed.file, self.root / claimed.name)

    def put_aside(self, claimed: Claimed) -> Path:
        """Move it to the archive; where it is now."""
        target = self.archive / f"{claimed.queue_id}-{claimed.name}"
        os.rename(self.root / claimed.file, target)
        return target


def _size(path: Path) -> int:
    return _check(path.lstat()).st_size


def _check(status: os.stat_result) -> os.stat_result:
    """Raises OSError for what is no file."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "It is no file")
    return status
