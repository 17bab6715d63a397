"""NUL octets that are appended come back by BINARY, and never by BODY (RFC 3516 4.4, 6)."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.errors import UnknownEncoding
from imsd.store.blobs import THRESHOLD
from imsd.store.database import Database
from protocols.imap4.values import Needs
from protocols.message import transfer
from protocols.message.part import Part
from tests.support.imap import mailstore, session
from tests.support.mail import make_account
from tests.support.stores import run

BYTES = bytes(range(256)) * 3
WHOLE = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n" + BYTES
)
MIXED = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0"
    + BYTES
    + b"\r\n--b--\r\n"
)
PLAIN = b"Subject: x\r\n\r\na\0b\r\n"
INNER = b"Content-Type: message/rfc822\r\n\r\n" + WHOLE


async def appended(account: Any, *messages: bytes) -> Any:
    sink = await account.append("INBOX", [], None, len(messages[0]))
    try:
        for number, data in enumerate(messages):
            if number:
                await sink.another([], None, len(data))
            for at in range(0, len(data), 40_000):
                pause = sink.write(data[at : at + 40_000])
                if pause is not None:
                    await pause
        return await sink.finish()
    except BaseException:
        sink.abandon()
        raise


def fetched(database: Database, *messages: bytes) -> list[tuple[Any, bytes]]:
    make_account(database)
    account = session(mailstore(database))
    done = run(appended(account, *messages))
    found = []
    for uid in range(done.uid, done.uid + done.count):
        message = run(account.message("INBOX", 0, uid, Needs(header=True, scan=True, content=True)))
        found.append((message, run(message.read(0, message.size))))
    return found


def decoded(stored: bytes, part: Part) -> bytes:
    decoder = transfer.decoder(part.content.encoding)
    return decoder.feed(stored[part.body : part.stop]) + decoder.finish()


@pytest.mark.parametrize(
    ("data", "path", "octets"),
    [
        (WHOLE, (1,), BYTES),
        (MIXED, (2,), b"\0" + BYTES),
        (PLAIN, (1,), b"a\0b\r\n"),
        (INNER, (1, 1), BYTES),
        (WHOLE + b"\0" * (2 * THRESHOLD + 5), (1,), BYTES + b"\0" * (2 * THRESHOLD + 5)),
    ],
    ids=["whole", "mixed", "plain", "inner", "large"],
)
def test_nul_comes_back_by_binary_alone(
    database: Database, data: bytes, path: tuple[int, ...], octets: bytes
) -> None:
    ((message, stored),) = fetched(database, data)
    assert b"\0" not in stored
    assert len(stored) == message.size
    part = message.scan.part(path)
    assert part.content.encoding == b"BASE64"
    assert decoded(stored, part) == octets


def test_nothing_else_becomes_another(database: Database) -> None:
    ((message, stored),) = fetched(database, MIXED)
    assert b"binary\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--b\r\n" in stored
    assert message.scan.root.content.encoding == b"8BIT"
    assert stored.startswith(
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    )


def test_without_nul_every_octet_stays(database: Database) -> None:
    data = WHOLE.replace(b"\0", b"")
    ((_message, stored),) = fetched(database, data)
    assert stored == data


def test_each_of_several_messages_is_looked_at(database: Database) -> None:
    text = b"Subject: y\r\n\r\ntext\r\n"
    found = fetched(database, text, WHOLE, text)
    assert [stored == text for _message, stored in found] == [True, False, True]
    assert not any(b"\0" in stored for _message, stored in found)


@pytest.mark.parametrize(
    "data",
    [
        b"Subject: a\0b\r\n\r\ntext",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\0amble\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\nAA\0AA",
        b"Subject: a\0b\r\n\r\n" + b"x" * THRESHOLD,
    ],
    ids=["header", "preamble", "encoded", "large"],
)
def test_what_no_encoding_can_carry_is_refused_whole(database: Database, data: bytes) -> None:
    make_account(database)
    account = session(mailstore(database))
    with pytest.raises(UnknownEncoding):
        run(appended(account, WHOLE, data))
    assert run(account.status(["INBOX"]))["INBOX"].messages == 0
