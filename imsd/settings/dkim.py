"""DKIM: which domains sign what leaves, and with which keys (RFC 6376)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from imsd.settings.domains import normal_domain
from imsd.settings.page import Page
from imsd.settings.secrets import Secret

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SELECTOR: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,3}}")


def _selector(text: str) -> str:
    text = text.strip().lower()
    if not _SELECTOR.fullmatch(text):
        raise ValueError(f"{text!r} is no selector: letters, digits and hyphens")
    return text


Selector = Annotated[str, AfterValidator(_selector)]


class DkimKey(BaseModel):
    """The key of a domain and a selector. key: PKCS #8 in base64, or file:PATH of one in PEM. retired: its
    record is still published for mail on its way, and nothing more is signed with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: Annotated[str, AfterValidator(normal_domain)]
    selector: Selector
    key: Secret = Field(min_length=1)
    retired: bool = False


class Dkim(Page):
    """Signatures of what people here and the server itself send elsewhere."""

    section = "dkim"

    keys: tuple[DkimKey, ...] = Field(
        (),
        max_length=1_000,
        description="Keys that sign mail from their domains and those below; made by imsctl dkim create",
    )
    expire_days: int = Field(
        0,
        ge=0,
        le=365,
        description="Days for which a signature is good (x=), 0: for as long as its record is there",
    )

    def of(self, domain: str) -> tuple[DkimKey, ...]:
        """The keys that sign for a domain: its own, or those of the nearest domain above it."""
        name = domain.lower()
        while name:
            found = tuple(key for key in self.keys if key.domain == name and not key.retired)
            if found:
                return found
            name = name.partition(".")[2]
        return ()
