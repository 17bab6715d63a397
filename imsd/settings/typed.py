"""JSON as people and LDAP clients type it into a setting."""

from __future__ import annotations

import json
from typing import Any, Final

MOST_LEVELS: Final = 32
"""Lists and objects within each other; no setting needs more than a handful."""


def from_json(text: str) -> Any:
    """Raises ValueError, with words for who typed it, for what is no JSON or nested too deeply."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    within = [(value, 1)]
    while within:
        each, level = within.pop()
        if level > MOST_LEVELS:
            raise ValueError(_TOO_DEEP)
        if isinstance(each, (dict, list)):
            inner = each.values() if isinstance(each, dict) else each
            within.extend((one, level + 1) for one in inner)
    return value


_TOO_DEEP: Final = f"JSON of at most {MOST_LEVELS} levels is wanted"
