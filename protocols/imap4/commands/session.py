"""CAPABILITY, NOOP, LOGOUT, ID, LANGUAGE, ENABLE, IDLE, COMPRESS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocols import languages
from protocols.errors import BadSyntax
from protocols.imap4 import responses
from protocols.imap4.channel import Channel
from protocols.imap4.grammar import Cursor, announced_at_end
from protocols.imap4.responses import Completed, No

ID_FIELDS: Final = 30
ID_NAME: Final = 30
ID_VALUE: Final = 1024
LANGUAGES: Final = 50


@dataclass(frozen=True, slots=True)
class Capability:
    """RFC 9051 6.1.1."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Capability:
        return cls()

    async def run(self, held: Any, channel: Channel) -> None:
        channel.send(responses.untagged(responses.capability(channel.capabilities())))


@dataclass(frozen=True, slots=True)
class Noop:
    """RFC 9051 6.1.2; what it is for, news of the mailbox, comes behind every command."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Noop:
        return cls()

    async def run(self, held: Any, channel: Channel) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Logout:
    """RFC 9051 6.1.3."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Logout:
        return cls()

    async def run(self, held: Any, channel: Channel) -> None:
        channel.select(None)
        channel.say(b"*", b"BYE", b"", "Logging out")
        channel.quit()


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971 3.1; at most 30 fields of 30 and 1024 octets."""

    fields: Mapping[str, str | None]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Id:
        cursor.space()
        if cursor.keyword(b"NIL"):
            return cls({})
        fields: dict[str, str | None] = {}
        for count in cursor.items():
            name = cursor.string()
            cursor.space()
            value = cursor.nstring()
            if count > ID_FIELDS or len(name) > ID_NAME or len(value or b"") > ID_VALUE:
                raise cursor.fail("fewer or shorter fields")
            fields[name.decode("utf-8", "replace")] = (
                None if value is None else value.decode("utf-8", "replace")
            )
        return cls(fields)

    async def run(self, held: Any, channel: Channel) -> None:
        answer = channel.door.id(self.fields)
        pairs = (
            b"%b %b" % (responses.string(name.encode()), responses.string(value.encode(), utf8=False))
            for name, value in answer.items()
        )
        channel.send(b"* ID %b\r\n" % (b"(%b)" % b" ".join(pairs) if answer else b"NIL"))
        channel.identified(self.fields)


@dataclass(frozen=True, slots=True)
class Language:
    """RFC 5255 3.2. ranges: none to list what there is."""

    ranges: tuple[str, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Language:
        ranges: list[str] = []
        while cursor.skip(b" "):
            ranges.append(cursor.astring().decode("ascii", "replace"))
            if len(ranges) > LANGUAGES:
                raise cursor.fail(f"at most {LANGUAGES} language ranges")
        return cls(tuple(ranges))

    async def run(self, held: Any, channel: Channel) -> Completed | None:
        if not self.ranges:
            tags = b" ".join(tag.encode() for tag in languages.NAMES)
            channel.send(b"* LANGUAGE (%b)\r\n" % tags)
            return None
        tag = languages.choose(self.ranges, channel.preferred_language)
        if tag is None:
            raise No(b"", "That language is not spoken here")
        channel.send(b"* LANGUAGE (%b)\r\n" % tag.encode())
        channel.speak(tag)
        if channel.account is not None:
            # RFC 5255 3.4: its prefixes have names in the language.
            channel.send(responses.namespace(await channel.account.namespaces(), channel.dialect))
        return Completed(b"", "Language changed")


ENABLES: Final[Mapping[bytes, Mapping[str, bool]]] = {
    b"IMAP4REV2": {"rev2": True, "utf8": True},
    b"UTF8=ACCEPT": {"utf8": True},
    b"CONDSTORE": {"condstore": True},
    b"QRESYNC": {"condstore": True, "qresync": True},
    b"UIDONLY": {"uidonly": True},
    b"METADATA": {"metadata": True},
    b"METADATA-SERVER": {"metadata": True},
}
_SPELLED: Final = {b"IMAP4REV2": b"IMAP4rev2"}


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 9051 6.3.1, RFC 5161; before a mailbox is selected only. What is not known is
    passed over."""

    names: tuple[bytes, ...]

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Enable:
        names: list[bytes] = []
        while not names or not cursor.at_end:
            cursor.space()
            names.append(cursor.word())
        return cls(tuple(dict.fromkeys(names)))

    async def run(self, account: Any, channel: Channel) -> None:
        if channel.view is not None:
            raise BadSyntax("ENABLE before a mailbox is selected")
        enabled = [name for name in self.names if name in ENABLES and name not in channel.dialect.off]
        if channel.raw_headers and b"UTF8=ACCEPT" in enabled:
            enabled.remove(b"UTF8=ACCEPT")
        for name in enabled:
            channel.enable(**ENABLES[name])
        if channel.dialect.metadata:
            await channel.follow_metadata()
        channel.send(
            responses.untagged(b" ".join([b"ENABLED", *(_SPELLED.get(name, name) for name in enabled)]))
        )


@dataclass(frozen=True, slots=True)
class Idle:
    """RFC 9051 6.3.13, RFC 2177: news as it happens, until DONE."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Idle:
        return cls()

    async def run(self, account: Any, channel: Channel) -> None:
        channel.send(b"+ idling\r\n")
        channel.idle(True)
        try:
            line = await channel.line()
        finally:
            channel.idle(False)
        if line.upper() != b"DONE":
            announced = announced_at_end(line)
            if announced is not None and not announced.synchronizing:
                # A command out of its place; its literal must not be taken for commands.
                await channel.discard(announced)
            raise BadSyntax("DONE")


@dataclass(frozen=True, slots=True)
class Compress:
    """RFC 4978 3; everything behind its tagged OK is packed."""

    @classmethod
    def parse(cls, cursor: Cursor, uid: bool) -> Compress:
        cursor.space()
        if not cursor.keyword(b"DEFLATE"):
            raise cursor.fail("DEFLATE")
        return cls()

    async def run(self, account: Any, channel: Channel) -> None:
        channel.compress()
