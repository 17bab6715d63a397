"""Replies: a code, an enhanced code, text lines; the fixed ones ready for the wire.

The enhanced code stands on every 2xx, 4xx and 5xx reply but the greeting and those to EHLO and
HELO (RFC 2034 4). A line of a reply is at most 512 octets (RFC 5321 4.5.3.1.5): text is cut.
"""

from dataclasses import field

from protocols.values import value

MAX_TEXT = 480


@value(frozen=True, slots=True)
class Reply:
    """code 200 to 599; enhanced "2.1.0" or "" for none; text may have several lines."""

    code: int
    enhanced: str
    text: str
    wire: bytes = field(init=False, repr=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", self._encode())

    def _encode(self) -> bytes:
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if len(self.text) <= MAX_TEXT // 4 and self.text.isprintable():
            # One line, that fits whatever its characters are.
            return f"{self.code} {prefix}{self.text}\r\n".encode()
        lines = [prefix + _cut(plain(line)) for line in self.text.split("\n")]
        head = "".join(f"{self.code}-{line}\r\n" for line in lines[:-1])
        return f"{head}{self.code} {lines[-1]}\r\n".encode()

    @property
    def positive(self) -> bool:
        return self.code < 400

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"


def plain(line: str) -> str:
    """A line without characters that steer terminals, or that end lines elsewhere."""
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


def _cut(line: str) -> str:
    """What fits in MAX_TEXT octets, at the end of a character."""
    return line if len(line) <= MAX_TEXT // 4 else line.encode()[:MAX_TEXT].decode("utf-8", "ignore")


OK = Reply(250, "2.0.0", "OK")
ORIGINATOR_OK = Reply(250, "2.1.0", "Originator OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
RESET = Reply(250, "2.0.0", "Reset")
CHUNK_OK = Reply(250, "2.0.0", "Chunk received")
START_INPUT = Reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")
CANNOT_VERIFY = Reply(252, "2.1.5", "Send some mail, I will try my best")
BYE = Reply(221, "2.0.0", "Closing transmission channel")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
AUTHENTICATED = Reply(235, "2.7.0", "Authentication successful")

SHUTTING_DOWN = Reply(421, "4.3.2", "Service shutting down, closing transmission channel")
IDLE_TOO_LONG = Reply(421, "4.4.2", "Idle too long, closing transmission channel")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "Too many connections")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many bad commands")
TOO_MANY_TRANSACTIONS = Reply(421, "4.7.0", "Too many transactions on this connection")
OUT_OF_ORDER = Reply(421, "4.5.0", "Not my turn to hear, closing transmission channel")

TALKED_EARLY = Reply(554, "5.5.0", "You talked before the greeting")
NOT_SYNCHRONIZED = Reply(554, "5.5.0", "Wait for the answer (RFC 2920)")

UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognized")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
BARE_NEWLINE = Reply(500, "5.5.2", "Lines end with CRLF, nothing else")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
BAD_SEQUENCE = Reply(503, "5.5.1", "Bad sequence of commands")
NEED_MAIL = Reply(503, "5.5.1", "MAIL first")
NEED_RCPT = Reply(503, "5.5.1", "RCPT first")
NEED_HELLO = Reply(503, "5.5.1", "EHLO or HELO first")
NESTED_MAIL = Reply(503, "5.5.1", "Sender already specified")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
ALREADY_AUTHENTICATED = Reply(503, "5.5.1", "Already authenticated")
ALREADY_ENCRYPTED = Reply(503, "5.5.1", "TLS is active already")
NO_TLS = Reply(454, "4.7.0", "TLS not available")
CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
BAD_RESPONSE = Reply(501, "5.5.2", "Cannot decode response")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "Unrecognized authentication mechanism")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Encryption required for requested authentication mechanism")
AUTH_TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line is too long")
NEED_TLS = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
REQUIRETLS_NEEDS_TLS = Reply(530, "5.7.10", "REQUIRETLS needs TLS: issue a STARTTLS command first")
NEED_AUTH = Reply(530, "5.7.0", "Authentication required")
BINARY_NEEDS_BDAT = Reply(503, "5.6.1", "BODY=BINARYMIME needs BDAT")
BDAT_BROKEN = Reply(503, "5.5.1", "RSET first")
NEED_SMTPUTF8 = Reply(553, "5.6.7", "Non-ASCII address needs SMTPUTF8")
BARE_CR_OR_LF = Reply(554, "5.6.0", "Message has bare CR or LF")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
NOT_OFFERED = Reply(555, "5.5.4", "A parameter that is not offered here")
TOO_SOON = Reply(555, "5.4.7", "The message cannot be delivered in so short a time")
LATER_THAN_ITS_END = Reply(501, "5.5.4", "Release time is later than the time of delivery")
TOO_LATE = Reply(501, "5.5.4", "Release time is further away than the longest that is offered")
TOO_MANY_DOMAINS = Reply(452, "4.5.3", "Too many domains among the recipients")
TOO_BIG = Reply(552, "5.3.4", "Message size exceeds fixed limit")
LOCAL_ERROR = Reply(451, "4.3.0", "Requested action aborted: local error in processing")
