"""Bytes to command frames and announced literals.

Theory of operation. `next` is pulled. It gives

- a `Frame`: one whole command, its lines joined, its literals aside;
- a `Frame` with `pending`: a literal was announced and the reader stands before it. The
  caller answers a synchronizing one with a continuation request and calls `collect`, or
  takes the octets itself (APPEND) and then asks for the `rest` of the command, or calls
  `refuse` when the command is not wanted;
- NEED_DATA.

1. The octets of all literals of one command and its lines together are bounded; a
   synchronizing literal over the bound is refused before it is sent, a non-synchronizing
   one is skipped up to SKIP_LIMIT octets, then the peer counts as a flood (RFC 7888 4).
2. A line over its limit is skipped and refused under its tag, if it had one; so is a line
   with a bare CR, LF or NUL. A non-synchronizing literal announced by what is refused is
   skipped with it, so that its octets are never taken for commands.
3. Nothing is consumed in part: any split of the input gives the same frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from protocols.errors import BadSyntax, BareLineEnding, Flood, LineTooLong
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.grammar import Announced, Cursor, announced_at_end
from protocols.lines import NEED_DATA, InputBuffer, NeedData

SKIP_LIMIT: Final = 64 * 1024 * 1024
"""Octets of a refused non-synchronizing literal that are read and thrown away."""

LITERALS_LIMIT: Final = 1000
"""Literals of one command."""

_LEADING_TAG = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,256}) ")


@dataclass(frozen=True, slots=True)
class Bounds:
    """line: octets of one line. command: octets of all lines and literals of a command."""

    line: int = 64 * 1024
    command: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One command, or its beginning up to a literal that is `pending`."""

    data: bytes
    literals: Mapping[int, bytes] = field(default_factory=dict)
    pending: Announced | None = None

    def cursor(self, dialect: Dialect = PLAIN) -> Cursor:
        return Cursor(self.data, 0, self.literals, dialect, self.pending)


class Refused(BadSyntax):
    """A command that could not be read whole; it has been skipped. tag: as far as known."""

    def __init__(self, what: str, tag: bytes, position: int = -1, code: bytes = b"") -> None:
        super().__init__(what, position, code)
        self.tag = tag


def leading_tag(data: bytes) -> bytes:
    """The tag at the start of a command, `*` if there is none."""
    found = _LEADING_TAG.match(data)
    return found[1] if found else b"*"


class Reader:
    """Takes commands off an input buffer."""

    __slots__ = (
        "_bounds",
        "_buffer",
        "_data",
        "_extra",
        "_literals",
        "_pending",
        "_reading",
        "_refusal",
        "_skip",
    )

    def __init__(self, buffer: InputBuffer, bounds: Callable[[], Bounds] = Bounds) -> None:
        self._buffer = buffer
        self._bounds = bounds
        self._data = b""
        self._literals: dict[int, bytes] = {}
        self._pending: Announced | None = None
        self._reading = False  # the pending literal is being collected
        self._extra = False  # something stood behind a literal that the caller took
        self._skip = 0  # octets of a refused literal still to come
        self._refusal: Refused | None = None  # what is raised once the skipping is done

    def next(self) -> Frame | Literal[NeedData.NEED_DATA]:
        """The next frame. Raises Refused for a command that was skipped, and Flood."""
        bounds = self._bounds()
        while True:
            if self._skip and not self._skipped():
                return NEED_DATA
            if self._reading and not self._collected():
                return NEED_DATA
            try:
                line = self._buffer.line(bounds.line)
            except (LineTooLong, BareLineEnding) as error:
                self._turn_away(error)
                continue
            if line is NEED_DATA:
                return NEED_DATA
            announced = announced_at_end(line)
            if self._refusal is not None:
                # The rest of a refused command; another literal of it is skipped as well.
                self._skip_literal(announced)
                if announced is None or announced.synchronizing:
                    refusal, self._refusal = self._refusal, None
                    raise refusal
                continue
            if announced is None and not self._data:
                return Frame(line)
            self._data += line
            if announced is None:
                return self._whole()
            self._pending = announced
            held = len(self._data) + sum(map(len, self._literals.values()))
            if held > bounds.command or len(self._literals) >= LITERALS_LIMIT:
                self.refuse("a shorter command", code=b"TOOBIG")
                continue
            return Frame(self._data, dict(self._literals), announced)

    def _whole(self) -> Frame:
        frame = Frame(self._data, self._literals)
        self._forget()
        return frame

    def _forget(self) -> None:
        self._data = b""
        self._literals = {}
        self._pending = None
        self._reading = False

    # What the caller decides about a pending literal -----------------------------------------

    def collect(self) -> bool:
        """Read the pending literal as part of the command; `next` goes on with it. False:
        it is too big, the command was refused. Raises Refused when there is nothing to skip."""
        assert self._pending is not None
        held = len(self._data) + sum(map(len, self._literals.values()))
        if held + self._pending.size > self._bounds().command:
            self.refuse("a shorter literal", code=b"TOOBIG")
            return False
        self._reading = True
        return True

    def refuse(self, what: str, position: int = -1, code: bytes = b"") -> None:
        """Give up the command; the next `next` raises Refused once it has been skipped."""
        self._refusal = Refused(what, leading_tag(self._data), position, code)
        pending = self._pending
        self._forget()
        self._skip_literal(pending)
        if pending is None or pending.synchronizing:
            # The client has not sent it and, told so, will not.
            refusal, self._refusal = self._refusal, None
            raise refusal

    def taken(self) -> None:
        """The caller took the pending literal's octets itself; `rest` is next."""
        self._forget()

    def rest(self) -> bytes | Literal[NeedData.NEED_DATA]:
        """The end of a command whose last literal the caller took: nothing. Raises BadSyntax
        when there is more, which is skipped with its literals."""
        while True:
            if self._skip and not self._skipped():
                return NEED_DATA
            try:
                line = self._buffer.line(self._bounds().line)
                if line is NEED_DATA:
                    return NEED_DATA
            except (LineTooLong, BareLineEnding) as error:
                line = error.tail or b"?"
            self._extra = self._extra or bool(line)
            announced = announced_at_end(line)
            if announced is not None and not announced.synchronizing:
                self._skip_literal(announced)
                continue
            extra, self._extra = self._extra, False
            if extra:
                raise BadSyntax("the end of the command")
            return b""

    @property
    def pending(self) -> Announced | None:
        """The literal that was announced and is not taken yet."""
        return self._pending

    @property
    def between(self) -> bool:
        """No command has begun."""
        return not self._data and self._refusal is None

    # Skipping ----------------------------------------------------------------------------

    def _turn_away(self, error: LineTooLong | BareLineEnding) -> None:
        """A line that cannot be used was consumed; decides what to skip with it."""
        if self._refusal is None:
            self._refusal = Refused(error.what, leading_tag(self._data or error.start))
        self._forget()
        announced = announced_at_end(error.tail)
        self._skip_literal(announced)
        if announced is None or announced.synchronizing:
            refusal, self._refusal = self._refusal, None
            raise refusal

    def _skip_literal(self, announced: Announced | None) -> None:
        if announced is not None and not announced.synchronizing:
            if announced.size > SKIP_LIMIT:
                raise Flood
            self._skip = announced.size

    def _skipped(self) -> bool:
        while self._skip:
            piece = self._buffer.some(self._skip)
            if piece is NEED_DATA:
                return False
            self._skip -= len(piece)
        return True

    def _collected(self) -> bool:
        assert self._pending is not None
        octets = self._buffer.exactly(self._pending.size)
        if octets is NEED_DATA:
            return False
        self._literals[len(self._data)] = octets
        self._pending = None
        self._reading = False
        return True
