"""The key that seals secrets among the settings, and what it opens."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from imsd.errors import TryLater
from imsd.settings.secrets import FILE, SEALED

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
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(Fernet.generate_key())
            self._made = Fernet(self._file.read_bytes().strip())
        return self._made
