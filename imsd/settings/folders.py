"""Mailboxes that everybody has, and what their names mean (RFC 6154)."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, field_validator

from imsd.settings.page import Page

Use = Literal["drafts", "sent", "junk", "trash", "archive"]
Language = Literal["en", "de", "fr", "es"]

NAMES: Final[dict[str, dict[Use, str]]] = {
    "en": {"drafts": "Drafts", "sent": "Sent", "junk": "Junk", "trash": "Trash", "archive": "Archive"},
    "de": {
        "drafts": "Entwürfe", "sent": "Gesendet", "junk": "Spam", "trash": "Papierkorb", "archive": "Archiv",
    },
    "fr": {
        "drafts": "Brouillons", "sent": "Envoyés", "junk": "Indésirables", "trash": "Corbeille",
        "archive": "Archives",
    },
    "es": {
        "drafts": "Borradores", "sent": "Enviados", "junk": "No deseados", "trash": "Papelera",
        "archive": "Archivo",
    },
}  # fmt: skip

WELL_KNOWN: Final[dict[Use, tuple[str, ...]]] = {
    # Outlook and Exchange, Apple Mail, Thunderbird, K-9, Gmail, in these languages.
    "drafts": ("drafts", "draft", "entwürfe", "brouillons", "borradores"),
    "sent": (
        "sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete elemente",
        "gesendete objekte", "envoyés", "éléments envoyés", "messages envoyés", "enviados",
        "elementos enviados", "mensajes enviados",
    ),
    "junk": (
        "junk", "junk e-mail", "junk email", "junk mail", "spam", "bulk mail", "junk-e-mail",
        "unerwünschte werbung", "indésirables", "courrier indésirable", "no deseados",
        "correo no deseado", "correo electrónico no deseado",
    ),
    "trash": (
        "trash", "deleted items", "deleted messages", "deleted", "bin", "papierkorb", "gelöschte elemente",
        "gelöschte objekte", "corbeille", "éléments supprimés", "papelera", "elementos eliminados",
    ),
    "archive": ("archive", "archives", "archiv", "archivo", "archived", "all mail"),
}  # fmt: skip
"""In any case."""


def use_of(name: str) -> str:
    """The special use that a name at the top of a tree stands for, "" for none: `\\Sent`."""
    folded = name.strip().casefold()
    return next(("\\" + use.capitalize() for use, names in WELL_KNOWN.items() if folded in names), "")


class Folders(Page):
    """Drafts, sent mail, junk, deleted items, archive: for clients to find them."""

    section = "folders"

    furnish: bool = Field(
        True,
        description="Whether a new mailbox gets folders for drafts, sent mail, junk, trash, archive",
    )
    language: Language = Field("en", description="In which language these are named")
    names: dict[Use, str] = Field(
        {}, description="Other names for them, by use: drafts, sent, junk, trash, archive"
    )
    recognise: bool = Field(
        True,
        description='Whether a folder that a client makes under a well-known name ("Sent Items") is marked '
        "with its special use where no folder has that use yet",
    )

    @field_validator("names")
    @classmethod
    def _usable(cls, value: dict[Use, str]) -> dict[Use, str]:
        for name in value.values():
            if not name.strip() or "/" in name or len(name) > 100 or name.upper() == "INBOX":
                raise ValueError(f"{name!r} is no name for a folder")
        if len({name.casefold() for name in value.values()}) != len(value):
            raise ValueError("names must differ")
        return value

    @property
    def furniture(self) -> tuple[tuple[str, str], ...]:
        """Name and special use of what a new mailbox gets."""
        if not self.furnish:
            return ()
        named = {**NAMES[self.language], **self.names}
        made = {name.casefold(): (name, "\\" + use.capitalize()) for use, name in named.items()}
        return tuple(made.values())
