"""A file of LDIF records on its way to the server, in pieces, with a journal of how far it came.

The journal (FILE.imsd-import, beside the file) has a line for each piece the server has taken.
An import that was stopped finds it and goes on behind the last of them; the next piece may have
been taken without having been noted, and is sent as one that may be a repetition.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from protocols.ldap import ldif

PIECE: Final = 480
"""Entries in one piece: while the server works on them it waits for nobody."""
PIECE_OF_CHANGES: Final = 60
"""Changes in one piece, each of which the server writes by itself."""
PIECE_OCTETS: Final = 4 << 20
ENTRIES: Final = "entries"
REFERENCES: Final = "references"


class RecordFile:
    """The records of a file, by number. Content records stand parents first."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.path = path
        self._file = path.open("rb")
        starts, sizes, lines, depths = array("Q"), array("L"), array("Q"), array("H")
        self.has_changes = False
        for chunk in ldif.chunks(self._file):
            starts.append(chunk.start)
            sizes.append(len(chunk.text))
            lines.append(chunk.line)
            depths.append(min(_depth(chunk.text), 999))
            self.has_changes = self.has_changes or b"\nchangetype:" in chunk.text.lower()
        self._starts, self._sizes, self._lines = starts, sizes, lines
        self._order = (
            range(len(starts)) if self.has_changes else sorted(range(len(starts)), key=depths.__getitem__)
        )

    def __len__(self) -> int:
        return len(self._starts)

    def text(self, number: int) -> bytes:
        at = self._order[number]
        self._file.seek(self._starts[at])
        return self._file.read(self._sizes[at])

    def line(self, number: int) -> int:
        """The line in the file where a record starts, from 1."""
        return self._lines[self._order[number]]

    def pieces(self, numbers: Iterable[int]) -> Iterator[dict[int, bytes]]:
        """The records of these numbers, some at a time."""
        piece: dict[int, bytes] = {}
        size, most = 0, PIECE_OF_CHANGES if self.has_changes else PIECE
        for number in numbers:
            text = self.text(number)
            if piece and (len(piece) >= most or size + len(text) > PIECE_OCTETS):
                yield piece
                piece, size = {}, 0
            piece[number] = text
            size += len(text)
        if piece:
            yield piece

    def close(self) -> None:
        self._file.close()


def _depth(text: bytes) -> int:
    """RDNs of a record's name, about: one that is in base64 is as deep as anything may be."""
    name = (
        text[text.lower().find(b"dn:") + 3 :].replace(b"\r\n", b"\n").replace(b"\n ", b"").partition(b"\n")[0]
    )
    return 64 if name.startswith(b":") else name.count(b",") - name.count(b"\\,")


# How far it came -------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """step, next: the record to go on with. later: records whose references are put in at the end."""

    step: str = ENTRIES
    next: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    later: set[int] = field(default_factory=set)
    refused: list[tuple[int, str, str]] = field(default_factory=list)

    def take(self, piece: dict[str, Any]) -> None:
        self.step, self.next = piece["step"], piece["next"]
        for name, count in piece["counts"].items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.later.update(piece["later"])
        self.refused.extend((number, kind, reason) for number, kind, reason in piece["refused"])


class Journal:
    """The standing of an import of a file, kept beside it."""

    def __init__(self, source: Path, options: str, afresh: bool) -> None:
        """options: under others the journal does not count. Raises OSError."""
        self.path = source.with_name(source.name + ".imsd-import")
        with source.open("rb") as file:
            self._mark = f"{hashlib.file_digest(file, 'sha256').hexdigest()} {options}"
        self.standing = Standing()
        lines = [] if afresh or not self.path.exists() else self.path.read_text("utf-8").splitlines()
        self.resumed = bool(lines) and lines[0] == self._mark
        for line in lines[1:] if self.resumed else ():
            try:
                self.standing.take(json.loads(line))
            except ValueError:
                continue  # cut off in the writing: that piece was sent again, and has a line further down
        self._file = self.path.open("r+" if self.path.exists() else "x", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{source} is being imported already") from None
        if not self.resumed:
            self._file.truncate()
        self._file.seek(0, os.SEEK_END)
        self._file.write("\n" if self.resumed else self._mark + "\n")

    def take(self, piece: dict[str, Any]) -> None:
        self._file.write(json.dumps(piece) + "\n")
        self._file.flush()
        # One piece at most may have been taken without a line, whatever has stopped.
        os.fsync(self._file.fileno())
        self.standing.take(piece)

    def close(self, finished: bool) -> None:
        self._file.close()
        if finished:
            self.path.unlink(missing_ok=True)


# Sending ---------------------------------------------------------------------------------


def send(
    records: RecordFile,
    ask: Callable[..., Any],
    standing: Standing,
    took: Callable[[dict[str, Any]], object],
    advance: Callable[..., object],
    repeated: bool,
) -> None:
    """Send what is left. ask: `directory.import`. took: hears of each piece, and moves `standing`.
    advance: told how many are done, and of how many more there are.

    Raises what `ask` does.
    """
    if standing.step == ENTRIES:
        for piece in records.pieces(range(standing.next, len(records))):
            _send(piece, ENTRIES, ask, took, repeated)
            advance(len(piece))
            repeated = False
        standing.step, standing.next = REFERENCES, 0
    left = sorted(number for number in standing.later if number >= standing.next)
    advance(0, further=len(left))
    for piece in records.pieces(left):
        _send(piece, REFERENCES, ask, took, repeated)
        advance(len(piece))
        repeated = False


def _send(
    piece: dict[int, bytes],
    step: str,
    ask: Callable[..., Any],
    took: Callable[[dict[str, Any]], object],
    repeated: bool,
) -> None:
    numbers = list(piece)
    answer = ask(records=[text.decode("latin-1") for text in piece.values()], step=step, repeated=repeated)
    took(
        {
            "step": step,
            "next": numbers[-1] + 1,
            "counts": answer["counts"] if step == ENTRIES else {},
            "later": [numbers[at] for at in answer["later"]],
            "refused": [[numbers[at], kind, reason] for at, kind, reason in answer["refused"]],
        }
    )
