"""`imsd-sendmail -bs`: SMTP on standard input and output, for programs that want to be answered.

1. Who starts it may write into the pickup folder, and that is all there is to trust: nobody logs in, and
   any sender and recipient is taken. What is acknowledged is on the disk.
2. Lines may end with LF alone: it is a program on this machine that talks, and it knows no other end.
3. What is offered is what a file of the folder can say (imsd.mail.pickup): reports (RFC 3461), 8-bit content
   and international addresses. Whether a recipient exists is found out later, and reported.
4. As without -bs, a name without a domain is one of the first domain, and text without a header all body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

from protocols.errors import BadSyntax
from protocols.smtp import responses
from protocols.smtp.grammar import (
    BadPath,
    Cursor,
    Path,
    parse_forward_path,
    parse_hello,
    parse_parameters,
    parse_reverse_path,
)
from protocols.smtp.parameters import MailParameters, RcptParameters, UnknownParameter
from protocols.smtp.responses import Reply

LONGEST: Final = 4096
"""Octets of a command."""
MOST: Final = 1000
"""Recipients of one message."""
OFFERED: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")

_OF_MAIL: Final = frozenset((b"SIZE", b"BODY", b"SMTPUTF8", b"AUTH", b"RET", b"ENVID"))
_OF_RCPT: Final = frozenset((b"NOTIFY", b"ORCPT"))
_TOLD: Final = (b"RET", b"ENVID", b"NOTIFY", b"ORCPT")
"""What the file says again, as it was given."""

_NAME: Final = re.compile(rb"<([A-Za-z0-9._+-]+)>")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:|\r?\n")

_NO_MAIL: Final = Reply(503, "5.5.1", "MAIL first")
_NO_RCPT: Final = Reply(503, "5.5.1", "RCPT first")
_NO_HELLO: Final = Reply(503, "5.5.1", "EHLO or HELO first")
_NESTED: Final = Reply(503, "5.5.1", "Sender already specified")
_MANY: Final = Reply(452, "4.5.3", "Too many recipients")
_NOT_OURS: Final = Reply(451, "4.3.0", "The message cannot be handed over now")
_OURS: Final = Reply(250, "2.0.0", "Ok: the message is in the pickup folder")


class Standalone:
    """One conversation. own: what stands before the header of each message, such as Received.

    drop puts a file into the folder and raises OSError where it cannot.
    """

    def __init__(
        self, source: BinaryIO, sink: BinaryIO, host: str, own: bytes, drop: Callable[[bytes], None]
    ) -> None:
        self._source = source
        self._sink = sink
        self._host = host
        self._own = own
        self._drop = drop
        self._hello = False
        self._sender: bytes | None = None
        self._recipients: list[bytes] = []

    def run(self) -> None:
        """Until QUIT, or the end of the input: what is not acknowledged by then is no message."""
        self._say(Reply(220, "", f"{self._host} ESMTP ready"))
        while line := self._source.readline(LONGEST + 1):
            if not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = self._source.readline(LONGEST)
                self._say(responses.LINE_TOO_LONG)
                continue
            verb, _, rest = line.rstrip(b"\r\n").partition(b" ")
            if verb.upper() == b"QUIT":
                self._say(responses.BYE)
                return
            try:
                self._say(self._answer(verb.upper(), rest))
            except UnknownParameter as error:
                self._say(Reply(555, "5.5.4", str(error)))
            except BadPath as error:
                self._say(
                    Reply(501, "5.1.7" if verb.upper() == b"MAIL" else "5.1.3", f"Bad address: {error}")
                )
            except BadSyntax as error:
                self._say(Reply(501, "5.5.4", f"Syntax error: {error}"))

    def _say(self, reply: Reply) -> None:
        self._sink.write(reply.wire)
        self._sink.flush()

    def _answer(self, verb: bytes, rest: bytes) -> Reply:
        """Raises BadSyntax."""
        match verb:
            case b"EHLO" | b"HELO":
                parse_hello(rest.strip())
                self._hello = True
                self._reset()
                return Reply(250, "", "\n".join((self._host, *OFFERED) if verb == b"EHLO" else (self._host,)))
            case b"MAIL":
                return self._mail(Cursor(rest))
            case b"RCPT":
                return self._rcpt(Cursor(rest))
            case b"DATA":
                return self._data()
            case b"RSET":
                self._reset()
                return responses.RESET
            case b"NOOP":
                return responses.OK
            case b"VRFY":
                return responses.CANNOT_VERIFY
        return responses.UNKNOWN_COMMAND

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []

    def _mail(self, cursor: Cursor) -> Reply:
        if not self._hello:
            return _NO_HELLO
        if self._sender is not None:
            return _NESTED
        path = _path(cursor, b"FROM:", parse_reverse_path)
        self._sender = b"X-Sender: " + _said(path, cursor, _OF_MAIL, MailParameters.parse)
        return responses.ORIGINATOR_OK

    def _rcpt(self, cursor: Cursor) -> Reply:
        if self._sender is None:
            return _NO_MAIL
        if len(self._recipients) >= MOST:
            return _MANY
        path = _path(cursor, b"TO:", parse_forward_path)
        self._recipients.append(b"X-Receiver: " + _said(path, cursor, _OF_RCPT, RcptParameters.parse))
        return responses.RECIPIENT_OK

    def _data(self) -> Reply:
        if self._sender is None or not self._recipients:
            return _NO_MAIL if self._sender is None else _NO_RCPT
        self._say(responses.START_INPUT)
        lines = [self._sender, *self._recipients, self._own]
        begun = len(lines)
        self._reset()
        while (line := self._source.readline()).rstrip(b"\r\n") != b".":
            if not line:
                return _NOT_OURS  # The input ended in the middle.
            if len(lines) == begun and not _FIELD.match(line):
                lines.append(b"\n")
            lines.append(line[1:] if line.startswith(b".") else line)
        try:
            self._drop(b"".join(lines))
        except OSError:
            return _NOT_OURS
        return _OURS


def _path(cursor: Cursor, word: bytes, parse: Callable[[Cursor], Path]) -> Path:
    if not cursor.literal(word):
        raise BadSyntax(f"{word.decode()} expected")
    cursor.spaces()
    bare = cursor.take(_NAME)
    return parse(cursor) if bare is None else Path(bare[1].decode("ascii"), "")


def _said(
    path: Path, cursor: Cursor, offered: frozenset[bytes], parse: Callable[[Mapping[bytes, bytes]], object]
) -> bytes:
    """The address and what was said with it, as a line of the folder's envelope."""
    given = parse_parameters(cursor)
    if unknown := given.keys() - offered:
        raise UnknownParameter(f"{min(unknown).decode()} is not supported")
    if given.get(b"BODY", b"").upper() == b"BINARYMIME":
        raise UnknownParameter("BINARYMIME is not supported")
    parse(given)
    said = b"".join(b" %b=%b" % (name, given[name]) for name in _TOLD if name in given)
    return b"<%b>%b\n" % (str(path).encode(), said)
