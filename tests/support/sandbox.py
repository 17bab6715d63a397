"""What etc/imsd.service forbids, without systemd: `python sandbox.py UNIT PROGRAM ARGUMENTS...`.

Of the unit's sandbox, what programs meet as errors or sudden death and no test would meet
otherwise: SystemCallFilter= (systemd.exec(5); the sets are what systemd-analyze says of them),
SystemCallErrorNumber=, MemoryDenyWriteExecute= and RestrictAddressFamilies=. The rest of it is about
files and capabilities.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

LIBRARY: Final = "libseccomp.so.2"
KILL: Final = 0x80000000
ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL: Final = 4
_MASKED_EQUAL: Final = 7
_FAMILIES: Final = 46
_SHM_EXEC: Final = 0o100000


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class _Filter:
    """A filter of libseccomp under construction."""

    def __init__(self, otherwise: int) -> None:
        self._library = library = ctypes.CDLL(LIBRARY, use_errno=True)
        library.seccomp_init.restype = ctypes.c_void_p
        library.seccomp_init.argtypes = [ctypes.c_uint32]
        library.seccomp_load.argtypes = [ctypes.c_void_p]
        library.seccomp_rule_add_array.argtypes = [
            *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
        ]
        self._filter = library.seccomp_init(otherwise)
        assert self._filter

    def add(self, action: int, call: str, *comparisons: _Comparison) -> None:
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return  # This machine has none of that name.
        array = (_Comparison * len(comparisons))(*comparisons)
        failed = self._library.seccomp_rule_add_array(self._filter, action, number, len(comparisons), array)
        assert not failed, (call, failed)

    def load(self) -> None:
        failed = self._library.seccomp_load(self._filter)
        assert not failed, failed


def settings(unit: Path) -> dict[str, list[str]]:
    """The settings of a unit, each with the values of its lines."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        name, given, value = line.partition("=")
        if given and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def members(names: Iterable[str]) -> set[str]:
    """The system calls of a list of calls and @sets."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        told = subprocess.run(
            ["systemd-analyze", "--no-pager", "syscall-filter", name],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = (line.strip() for line in told.stdout.splitlines()[1:])
        calls |= members(line for line in lines if line and not line.startswith("#"))
    return calls


def allowed(lines: Iterable[str]) -> set[str]:
    """What SystemCallFilter= lets through: a list of what is allowed, later lines add to it or take away."""
    calls = members(["@default"])
    for line in lines:
        named = members(line.removeprefix("~").split())
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def _forbidden(error: int, kept: dict[str, list[str]]) -> _Filter:
    """What is an error whatever the list says."""
    made = _Filter(ALLOW)
    if kept.get("MemoryDenyWriteExecute") == ["yes"]:
        both, execute = mmap.PROT_WRITE | mmap.PROT_EXEC, mmap.PROT_EXEC
        made.add(error, "mmap", _Comparison(2, _MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            made.add(error, call, _Comparison(2, _MASKED_EQUAL, execute, execute))
        made.add(error, "shmat", _Comparison(2, _MASKED_EQUAL, _SHM_EXEC, _SHM_EXEC))
    families = {int(getattr(socket, name)) for name in kept["RestrictAddressFamilies"][0].split()}
    for family in sorted(set(range(1, _FAMILIES)) - families):
        made.add(_ERRNO | errno.EAFNOSUPPORT, "socket", _Comparison(0, _EQUAL, family, 0))
    return made


def confine(unit: Path) -> None:
    """Be confined from here on, and all that is started."""
    kept = settings(unit)
    number = kept.get("SystemCallErrorNumber")
    refusal = KILL if number is None else _ERRNO | getattr(errno, number[0])
    calls = _Filter(refusal)
    for call in sorted(allowed(kept["SystemCallFilter"])):
        calls.add(ALLOW, call)
    forbidden = _forbidden(_ERRNO | errno.EPERM, kept)
    forbidden.load()
    calls.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
