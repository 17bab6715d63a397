"""The key that seals secrets among the settings, and what it opens."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from imsd.errors import TryLater
from imsd.settings.secrets import FILE, SEALED
from imsd.store.blob_files import sync_folder

MOST = 10_000


class Keyring:
    """Seals and opens by HOME/tls/settings.key, which is made when first needed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / "tls" / "settings.key"
        self._made: Fernet | None = None

    def path(self, text: str) -> Path:
        """A file that a setting names, relative to the home."""
        return self._home / text

    def seal(self, secret: str) -> str:
        return self._key(make=True).encrypt(secret.encode()).decode("ascii")

    def open(self, text: str) -> str:
        """The secret itself. Raises TryLater: it cannot be read now."""
        try:
            if text.startswith(FILE):
                with (self._home / text[len(FILE) :]).open("rb") as file:
                    return file.readline(MOST).decode().rstrip("\r\n")
            if text.startswith(SEALED):
                return self._key().decrypt(text[len(SEALED) :]).decode()
        except (OSError, ValueError, InvalidToken) as error:
            raise TryLater(f"A password cannot be read: {str(error) or type(error).__name__}") from error
        return text

    def _key(self, make: bool = False) -> Fernet:
        if self._made is None:
            if make and not self._file.exists():
                self._make()
            self._made = Fernet(self._file.read_bytes().strip())
        return self._made

    def _make(self) -> None:
        """Make the key: whole, and on stable storage before anything is sealed by it.

        An administrator's command may do so as root; it is the server, which runs as whom the home belongs
        to, that must read it.
        """
        folder = self._file.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder / f".{self._file.name}.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                owner = self._home.stat()
                if os.geteuid() == 0 and owner.st_uid:
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, self._file)
        except FileExistsError:
            pass  # Another process was first; its key is the one.
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(folder)
