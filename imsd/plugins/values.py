"""What a plug-in is told: plain values, that last longer than what they are about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred


@dataclass(frozen=True, slots=True)
class Connection:
    """An SMTP connection. service: the listener, "smtp", "submission", "submissions", "lmtp" or "odmr".
    client, server: IP addresses, "" where there is none. hello: what the client calls itself, ""
    before it said so. login: the address of who has logged in, "" for nobody."""

    service: str
    client: str
    server: str
    encrypted: bool
    hello: str = ""
    login: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """MAIL. sender: the reverse-path, "" for the null one. size: as announced, 0 if it was not."""

    connection: Connection
    sender: str
    size: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """RCPT, of somebody who would be accepted."""

    connection: Connection
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message that has come whole, and is not ours yet.

    protocol: as in Received, "ESMTPSA", or "local", "pickup". account: the number of who submitted it, None
    for what came from outside. size: octets. header: the header block as it will be stored.
    """

    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    client: str
    hello: str
    protocol: str
    account: int | None
    size: int
    header: bytes
    _pieces: Callable[[], Iterator[bytes]] = field(repr=False)
    _read: Callable[[], Deferred[bytes]] = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The whole text, header and all, in pieces. It reads a file: not for coroutines."""
        return self._pieces()

    def read(self) -> Deferred[bytes]:
        """The whole text, for coroutines to await."""
        return self._read()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message is about to be sent. host: what it goes to, a domain or a host."""

    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    host: str
    size: int


@dataclass(frozen=True, slots=True)
class Login:
    """name: as it was typed. address: of the account, "" where it has none or the login failed. protocol:
    smtp, imap, pop3 or ldap. reason: why it failed, "" for one that did not."""

    name: str
    address: str
    protocol: str
    client: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient. peer: the host it was sent to, or that was refused. reason: what is to be
    said of it. time: microseconds since the epoch."""

    time: int
    queue_id: str
    sender: str
    recipient: str
    reason: str
    peer: str
    size: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Entries of the directory that were added or changed, by distinguished name, and how many are gone.
    everything: it may be any of them; another server made the change."""

    entries: tuple[str, ...] = ()
    gone: int = 0
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of docs/events.md."""

    number: int
    text: str
