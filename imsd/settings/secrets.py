"""Secrets among the settings: passwords for other servers.

A secret is `file:PATH` (the first line of a file, relative to the home, read whenever it is needed) or
the password itself, which is sealed when it is set: what is stored, shown and exported is `sealed:...`,
and only the key in HOME/tls/settings.key opens it. Nodes that share a store share that file.
"""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import AfterValidator, ValidationInfo

FILE, SEALED = "file:", "sealed:"


class Sealer(Protocol):
    """What turns a secret into its sealed form."""

    def seal(self, secret: str) -> str: ...


def _sealed(value: str, info: ValidationInfo) -> str:
    if any(not character.isprintable() for character in value) or len(value) > 10_000:
        raise ValueError("a password is one line")
    sealer: Sealer | None = (info.context or {}).get("sealer")
    if not value or value.startswith((FILE, SEALED)) or sealer is None:
        return value
    return SEALED + sealer.seal(value)


Secret = Annotated[str, AfterValidator(_sealed)]
"""The type of a field that holds a secret."""
