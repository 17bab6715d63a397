"""Failpoints: named places where a test kills the process, as power loss would.

`IMSD_FAILPOINT=name` arms the place `name`, `name:3` its third passing, `name@FILE` its first
passing once FILE exists, `*@FILE` the place that FILE names, once it does. The variable is read once,
when the store is opened; unarmed, a place costs one comparison with None.
"""

from __future__ import annotations

import os
import signal

ANY = "*"

_armed: str | None = None
_passes = 1
_file = ""


def arm(value: str | None) -> None:
    """Set, or with None clear, the place to die at."""
    global _armed, _passes, _file
    value, _, _file = (value or "").partition("@")
    name, _, count = value.partition(":")
    _armed, _passes = name or None, int(count or 1)


def reached(name: str) -> None:
    """Say that the place `name` was reached."""
    if _armed is not None and _armed in (name, ANY):
        _die(name)


def _die(name: str) -> None:
    global _passes
    if _file and not os.path.exists(_file):
        return
    if _armed == ANY:
        with open(_file, encoding="ascii") as file:
            if file.read() != name:
                return
    _passes -= 1
    if _passes <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
