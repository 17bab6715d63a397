"""How much room there is on the home's disk."""

from __future__ import annotations

import os
from pathlib import Path


def free(home: Path) -> int:
    """Octets that may still be written. Blocks. Raises OSError."""
    found = os.statvfs(home)
    return found.f_bavail * found.f_frsize
