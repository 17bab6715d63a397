"""Conversations as scripts, named by the section they show.

`C:` what the client sends (with CRLF), `S:` a line of the reply, `...` at its end for "and so
on"; `#` a comment. The first comments may set the scene: `# role: submission`, `# peer: loopback`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.smtp.interfaces import Limits, Role
from tests.smtp.fakes import FakeDoor, Talk

SCRIPTS = sorted((Path(__file__).parents[1] / "transcripts" / "smtp").glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_transcript(script: Path) -> None:
    text = script.read_text("utf-8")
    role = next((each for each in Role if f"# role: {each.value}\n" in text), Role.MX)
    door = FakeDoor(role, Limits(etrn="# etrn" in text, atrn="# atrn" in text, turn="# turn" in text))
    if "# tls" in text:
        door.context = object()
    talk = Talk(door, "127.0.0.1" if "# peer: loopback" in text else "192.0.2.7")
    heard = talk.greeting.decode().splitlines()
    for line in text.splitlines():
        kind, _, rest = (line + " ").partition(": ")
        rest = rest[:-1]
        if kind == "C":
            assert not heard, f"not expected before {line!r}: {heard}"
            heard = talk.say(rest.encode() + b"\r\n").decode().splitlines()
        elif kind == "S":
            assert heard, f"nothing came for {line!r}"
            got = heard.pop(0)
            assert got.startswith(rest[:-3]) if rest.endswith("...") else got == rest, script.name
        else:
            assert not line or line.startswith("#"), line
    assert not heard
