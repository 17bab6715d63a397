"""The operation that copies a home in use: its store, its configuration, its certificates."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from imsd import config
from imsd.admin.operations import Json, operation
from imsd.errors import InvalidName
from imsd.store.backup import backup


@operation("backup")
async def back_up(core: Any, folder: str) -> Json:
    """Copy the home into a new folder, consistently, while it is in use."""
    target = Path(folder)
    if not target.is_absolute():
        raise InvalidName(f"{folder} is not the full name of a folder")
    files = await backup(core.db, core.blobs, target)
    await core.db.in_thread(copy_settings, core.config.home, target)
    return {"folder": folder, "content_files": files}


def copy_settings(home: Path, target: Path) -> None:
    """What lies beside the store: imsd.toml and the folder tls. What is there already stays."""
    if (home / config.FILE).exists() and not (target / config.FILE).exists():
        shutil.copy2(home / config.FILE, target / config.FILE)
    if (home / "tls").is_dir() and not (target / "tls").exists():
        shutil.copytree(home / "tls", target / "tls")
