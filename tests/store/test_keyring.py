"""The key that seals secrets: made once, whole, on stable storage, and the server's to read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from imsd.settings.secrets import SEALED
from imsd.store.keyring import Keyring


def key(home: Path) -> Path:
    return home / "tls/settings.key"


def test_what_is_sealed_is_opened_by_the_key_on_the_disk(tmp_path: Path) -> None:
    sealed = Keyring(tmp_path).seal("hush")
    assert "hush" not in sealed
    assert Keyring(tmp_path).open(SEALED + sealed) == "hush"
    assert stat.S_IMODE(key(tmp_path).stat().st_mode) == 0o600
    assert [entry.name for entry in (tmp_path / "tls").iterdir()] == ["settings.key"]


def test_the_key_is_on_stable_storage_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def linked(*names: Any) -> None:
        order.append("named")
        link(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    Keyring(tmp_path).seal("hush")
    assert order == ["file", "named", "folder"]


def test_of_two_that_make_one_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other: list[str] = []
    link = os.link

    def late(*names: Any) -> None:
        if not other:
            other.append("")
            other[0] = Keyring(tmp_path).seal("first")
        link(*names)

    monkeypatch.setattr(os, "link", late)
    mine = Keyring(tmp_path)
    sealed = mine.seal("second")
    assert len(list((tmp_path / "tls").iterdir())) == 1
    fresh = Keyring(tmp_path)._key()
    assert fresh.decrypt(sealed.encode()) == b"second"
    assert fresh.decrypt(other[0].encode()) == b"first"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_a_key_that_root_makes_is_the_home_s_owner_s(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_534, 65_534)
    Keyring(tmp_path).seal("hush")
    assert (key(tmp_path).stat().st_uid, key(tmp_path).stat().st_gid) == (65_534, 65_534)
