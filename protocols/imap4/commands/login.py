"""STARTTLS, AUTHENTICATE, LOGIN: from the door to an account; UNAUTHENTICATE: back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed, No
from protocols.sasl import EncryptionNeeded, NoSuchMechanism, begin, converse

#: 1*("\" *ASTRING-CHAR)
_REST: Final = re.compile(rb"(?:\\[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]*)+")


@dataclass(frozen=True, slots=True)
class StartTls:
    """RFC 9051 6.2.1; what was sent before the handshake is thrown away (11.1)."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> StartTls:
        return cls()

    async def run(self, door: Any, channel: Channel) -> None:
        if not channel.tls_available:
            raise No(b"CANNOT", "TLS is not available")
        channel.say(channel.tag, b"OK", b"", "Begin TLS negotiation")
        await channel.begin_tls()


@dataclass(frozen=True, slots=True)
class Authenticate:
    """RFC 9051 6.2.2, with an initial response (RFC 4959)."""

    mechanism: bytes
    initial: bytes | None = field(repr=False)

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Authenticate:
        cursor.space()
        mechanism = cursor.word()
        if cursor.at_end:
            return cls(mechanism, None)
        cursor.need(b"SASL-IR")
        cursor.space()
        start, cursor.position = cursor.position, len(cursor.data)
        return cls(mechanism, cursor.data[start:])

    async def run(self, door: Any, channel: Channel) -> Completed:
        try:
            exchange = begin(self.mechanism, door.authenticator, channel.security)
        except EncryptionNeeded as refusal:
            raise No(b"PRIVACYREQUIRED", refusal.text) from None
        except NoSuchMechanism as refusal:
            raise No(b"CANNOT", refusal.text) from None
        success = await converse(channel.ask, exchange, self.initial)
        return _in(await door.admit(success.identity, channel.security), channel)


@dataclass(frozen=True, slots=True)
class Login:
    """RFC 9051 6.2.3; not in clear text over a network (LOGINDISABLED, 11.2)."""

    name: bytes
    password: bytes = field(repr=False)

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Login:
        cursor.space()
        name = _name(cursor)
        cursor.space()
        return cls(name, cursor.astring())

    async def run(self, door: Any, channel: Channel) -> Completed:
        if not door.takes_login(channel.security) and not channel.security.private:
            raise No(b"PRIVACYREQUIRED", "Encryption is required")
        try:
            name, password = self.name.decode("utf-8"), self.password.decode("utf-8")
        except UnicodeDecodeError:
            raise No(b"AUTHENTICATIONFAILED", "Authentication failed") from None
        return _in(await door.login(name, password, channel.security), channel)


def _name(cursor: Cursor) -> bytes:
    """userid = astring. Also `DOMAIN\\user` as an atom, which no atom may be: imaplib and IMAPClient
    send a name as it is, and nothing else can be meant by it."""
    start = cursor.position
    name = cursor.astring()
    if cursor.at(b"\\") and not cursor.data.startswith(b'"', start):
        found = _REST.match(cursor.data, cursor.position)
        assert found is not None
        cursor.position = found.end()
        name += found[0]
    return name


def _in(account: Any, channel: Channel) -> Completed:
    channel.logged_in(account)
    capability = responses.capability(channel.capabilities())
    if account.referral and b"LOGIN-REFERRALS" not in channel.dialect.off:
        # RFC 2221 4.1: OK, for there are mailboxes here that others share.
        channel.send(responses.untagged(capability))
        code = b"REFERRAL " + account.referral.encode("ascii")
        return Completed(code, "Your mailboxes are on another server")
    return Completed(capability, "Logged in")


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """RFC 8437 3: only TLS and what ID said stay. It is never answered NO."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Unauthenticate:
        return cls()

    async def run(self, account: Any, channel: Channel) -> None:
        channel.logged_out()
