"""HOME/routes.txt: the routing table as text, for people (ims_spec 1.3). The one before is routes.old."""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAME: Final = "routes.txt"
OLD: Final = "routes.old"


def write(home: Path, text: str) -> bool:
    """Replace the file if it says something else; whether it did. Raises OSError. Blocks."""
    file, new = home / NAME, home / f".{NAME}.new"
    data = text.encode()
    try:
        if file.read_bytes() == data:
            return False
        file.replace(home / OLD)
    except FileNotFoundError:
        pass
    new.write_bytes(data)
    new.replace(file)
    return True
