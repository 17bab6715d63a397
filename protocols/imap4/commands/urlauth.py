"""GENURLAUTH, RESETKEY and URLFETCH (RFC 4467 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.imap4 import responses, urls
from protocols.imap4.channel import Channel
from protocols.imap4.commands import content
from protocols.imap4.commands.mailboxes import named
from protocols.imap4.grammar import Cursor
from protocols.imap4.responses import Completed, No
from protocols.imap4.urls import AuthorizedUrl

URLS: Final = 100
"""URLs of one command."""
OCTETS: Final = 256 * 1024 * 1024
"""Octets that one URLFETCH gives; its first URL may name more."""
TOKEN: Final = 128
"""Octets that mechanism and token add to a URL, at most: the whole must still be one that is taken."""
_INTERNAL: Final = b"INTERNAL"


def _mechanism(cursor: Cursor) -> None:
    start = cursor.position
    if cursor.atom().upper() != _INTERNAL:
        cursor.position = start
        raise cursor.fail("INTERNAL")


@dataclass(frozen=True, slots=True)
class GenUrlAuth:
    """genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)"""

    urls: tuple[AuthorizedUrl, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> GenUrlAuth:
        found: list[AuthorizedUrl] = []
        while not found or cursor.skip(b" "):
            if not found:
                cursor.space()
            if len(found) == URLS:
                raise cursor.fail(f"at most {URLS} URLs")
            found.append(urls.authorized(_url(cursor, urls.MAX_URL - TOKEN), False))
            cursor.space()
            _mechanism(cursor)
        return cls(tuple(found))

    async def run(self, account: Any, channel: Channel) -> None:
        tokens = await account.sign_urls(self.urls)
        if tokens is None:
            # RFC 4467 7: BAD, whatever it is that does not hold.
            raise BadSyntax("URLs of messages in mailboxes of your own")
        signed = [
            responses.string(url.rump + b":internal:" + token.encode("ascii"))
            for url, token in zip(self.urls, tokens, strict=True)
        ]
        channel.send(b"* GENURLAUTH " + b" ".join(signed) + b"\r\n")


@dataclass(frozen=True, slots=True)
class ResetKey:
    """resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]. name: None for all mailboxes."""

    name: str | None = None

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> ResetKey:
        if not cursor.at(b" "):
            return cls()
        name = named(cursor)
        while cursor.skip(b" "):
            _mechanism(cursor)
        return cls(name)

    async def run(self, account: Any, channel: Channel) -> Completed | None:
        await account.reset_url_keys(self.name)
        return None if self.name is None else Completed(b"URLMECH INTERNAL", "The key is another now")


@dataclass(frozen=True, slots=True)
class UrlFetch:
    """urlfetch = "URLFETCH" 1*(SP url-full). What is not a URL at all gives NIL as others do."""

    urls: tuple[bytes, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> UrlFetch:
        cursor.space()
        found = [_url(cursor)]
        while cursor.skip(b" "):
            if len(found) == URLS:
                raise cursor.fail(f"at most {URLS} URLs")
            found.append(_url(cursor))
        return cls(tuple(found))

    async def run(self, account: Any, channel: Channel) -> None:
        given = 0
        for url in self.urls:
            name = b"* URLFETCH " + responses.string(url)
            found = await self._open(account, url)
            if found is None:
                channel.send(name + b" NIL\r\n")
                continue
            item, message = found
            size = content.size(item, message)
            if given and given + size > OCTETS:
                raise No(b"LIMIT", f"At most {OCTETS} octets in one command")
            given += size
            await content.send(content.Item(name, item.section, partial=item.partial), message, channel)
            channel.send(b"\r\n")
            await channel.breathe()

    @staticmethod
    async def _open(account: Any, url: bytes) -> tuple[content.Item, Any] | None:
        try:
            given = urls.authorized(url, True)
        except BadSyntax:
            return None
        item = content.Item(b"", given.target.section, partial=given.target.partial)
        message = await account.url_message(given, content.needs([item]))
        return None if message is None else (item, message)


def _url(cursor: Cursor, most: int = urls.MAX_URL) -> bytes:
    url = cursor.astring()
    if len(url) > most:
        raise cursor.fail(f"a URL of at most {most} ASCII characters")
    return url
