"""What a grammar or a reader says of input it cannot accept."""


class BadSyntax(Exception):
    """Input that does not fit the grammar.

    what: what was expected, in the protocol's terms, printable ASCII, shown to the peer.
    position: offset in the command where it was expected, or -1 where that has no meaning.
    code: a word of the protocol that says which input that was, where there is one.
    """

    def __init__(self, what: str, position: int = -1, code: bytes = b"") -> None:
        super().__init__(what)
        self.what = what
        self.position = position
        self.code = code


class LineTooLong(BadSyntax):
    """A line went over its limit; it has been skipped to its end.

    start, tail: its first and last octets, for a reader that must stay in step (a tag at
    the start, a literal announced at the end).
    """

    def __init__(self, limit: int, start: bytes = b"", tail: bytes = b"") -> None:
        super().__init__(f"line of at most {limit} octets")
        self.start = start
        self.tail = tail


class BareLineEnding(BadSyntax):
    """A line ended in LF alone, or had a CR or a NUL inside; it has been consumed.

    start, tail: its first and last octets, as for LineTooLong.
    """

    def __init__(self, start: bytes = b"", tail: bytes = b"") -> None:
        super().__init__("CRLF at the end of the line")
        self.start = start
        self.tail = tail


class Flood(BadSyntax):
    """More input than can be skipped in good faith; the connection is to be closed."""

    def __init__(self) -> None:
        super().__init__("less input")
