"""One conversation by SMTP, as it goes into the protocol log (ims_spec 3.9).

    2026-11-25T14:30:01.123Z 1F A connection was accepted from 192.0.2.1.
    2026-11-25T14:30:01.124Z 1F >>> 220 mail.example.org ESMTP ready
    2026-11-25T14:30:01.201Z 1F <<< EHLO client.example

`>>>` is what we say, `<<<` what the other end says, whoever of both is the client. What proves who somebody
is never gets here: neither what follows the mechanism of AUTH, nor challenges and answers, nor a line
that is no command, for that may be a password of a client which did not wait for its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LONGEST: Final = 4_096
"""Octets of one line."""

_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127)}
_HIDDEN: Final = "(hidden)"


class Trace:
    """write: takes the lines. level: that of the log when the connection was made."""

    def __init__(self, write: Callable[[str], None], level: int) -> None:
        self._write = write
        self._conversation = level >= 3
        self.whole = level >= 5
        self._asked = False

    def note(self, text: str) -> None:
        """What happens to the connection."""
        self._write(text)

    def heard(self, line: bytes, known: bool = True) -> None:
        """A line of the other end's. known: whether it is a command, or a reply."""
        if not self._conversation:
            return
        self._asked = line[:3] == b"334"
        if known:
            self._write(f"<<< {_without_secrets(line)}")
        else:
            self._write(f"<<< (no command, {len(line)} octets)")

    def said(self, data: bytes) -> None:
        """Lines of ours."""
        if not self._conversation:
            return
        asked, self._asked = self._asked, False
        for line in data.rstrip(b"\r\n").split(b"\r\n"):
            self._write(f">>> {_HIDDEN if asked else _without_secrets(line)}")

    def header(self, block: bytes) -> None:
        """The header of a message that comes."""
        if self._conversation and not self.whole:
            self._lines(block)

    def content(self, data: bytes) -> None:
        """Some of the text of a message that comes."""
        if self.whole:
            self._lines(data)

    def _lines(self, data: bytes) -> None:
        for line in data.rstrip(b"\r\n").split(b"\n"):
            self._write(f"<<< {_text(line)}")


def _without_secrets(line: bytes) -> str:
    if line[:5].upper() == b"AUTH ":
        words = line.split(None, 2)
        return _text(b" ".join(words[:2])) + (f" {_HIDDEN}" if len(words) > 2 else "")
    if line[:4] in (b"334 ", b"334-"):
        return f"334 {_HIDDEN}"
    return _text(line)


def _text(line: bytes) -> str:
    return line[:LONGEST].rstrip(b"\r").decode("utf-8", "backslashreplace").translate(_CONTROL)
