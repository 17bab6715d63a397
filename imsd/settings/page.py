"""A property page: a frozen value of typed settings with defaults, bounds and help."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Page(BaseModel):
    """Base of all pages.

    Every field has a default, its bounds, and a `description`: the help text that
    `imsctl settings` shows. `section` is the page's name in dotted keys (`section.field`).
    `of_servers`: a server may have values of its own in place of the site's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    section: ClassVar[str]
    of_servers: ClassVar[bool] = False

    @classmethod
    def help(cls) -> dict[str, str]:
        """Field name to help text."""
        return {name: field.description or "" for name, field in cls.model_fields.items()}

    def changed(self, **values: Any) -> Page:
        """A validated copy with some fields replaced. Raises pydantic's ValidationError."""
        return type(self).model_validate({**self.model_dump(), **values})
