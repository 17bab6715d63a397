"""IMAP4 clients that trip over a capability, known by what their ID says (RFC 2971).

RFC 2971 3.3 does not want servers to act upon ID. We do, for those of whom it is proven that they
fail otherwise, and an administrator can empty the list (docs/decisions/client-capabilities.md).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_NAME: Final = re.compile(r"[A-Z0-9][A-Z0-9=+-]{0,62}\Z")
_ESSENTIAL: Final = frozenset({"IMAP4REV1", "STARTTLS", "LOGINDISABLED"})


def _capability(text: str) -> str:
    name = text.strip().upper()
    if not _NAME.match(name):
        raise ValueError(f"{text}: the name of a capability expected")
    if name in _ESSENTIAL:
        raise ValueError(f"{name} cannot be switched off")
    return name


CapabilityName = Annotated[str, AfterValidator(_capability)]


class ClientRule(BaseModel):
    """name, version: patterns with * and ?, in any case. off: capabilities. reason: for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    version: str = Field("*", min_length=1, max_length=200)
    off: tuple[CapabilityName, ...] = Field(min_length=1, max_length=100)
    reason: str = Field("", max_length=1000)

    def matches(self, name: str, version: str) -> bool:
        return fnmatchcase(name.lower(), self.name.lower()) and fnmatchcase(
            version.lower(), self.version.lower()
        )


KNOWN: Final = (
    ClientRule(
        name="Microsoft Office 365",
        version="*",
        off=("UIDONLY",),
        reason="Enables UIDONLY, then fetches by message numbers and shows no mail (seen with 15.20.9160.4)",
    ),
)
"""Those of whom it was shown by a transcript."""
