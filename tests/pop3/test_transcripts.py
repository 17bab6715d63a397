"""Conversations as scripts, named by the section they show.

`C:` what the client sends (with CRLF), `S:` a line of the reply, `...` at its end for "and so
on"; `#` a comment. The first comments may set the scene: `# peer: far`, `# tls`, `# delay: 60`.
`# again` begins another connection to the same maildrop, `# hang up` ends one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.pop3.fakes import FakeDoor, Talk

SCRIPTS = sorted((Path(__file__).parents[1] / "transcripts" / "pop3").glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_transcript(script: Path) -> None:
    text = script.read_text("utf-8")
    door = FakeDoor()
    if "# tls" in text:
        door.context = object()
    if "# delay: 60" in text:
        door.delay = 60
    host = "192.0.2.7" if "# peer: far" in text else "127.0.0.1"
    talk = Talk(door, host)
    heard = talk.greeting.decode().splitlines()
    for line in text.splitlines():
        kind, _, rest = (line + " ").partition(": ")
        rest = rest[:-1]
        if kind == "C":
            assert not heard, f"not expected before {line!r}: {heard}"
            heard = talk.say(rest.encode()).decode().splitlines()
        elif kind == "S":
            assert heard, f"nothing came for {line!r}"
            got = heard.pop(0)
            assert got.startswith(rest[:-3]) if rest.endswith("...") else got == rest, (line, got)
        elif line.startswith(("# again", "# hang up")):
            assert not heard
            talk.server.connectionLost(Failure(ConnectionLost()))
            if line == "# again":
                talk = Talk(door, host)
                heard = talk.greeting.decode().splitlines()
        elif line == "# closed":
            assert talk.closed
        else:
            assert not line or line.startswith("#"), line
    assert not heard
    assert SCRIPTS
