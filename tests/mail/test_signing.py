"""Which messages are signed, and what becomes of keys that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imsd.mail.envelope import Envelope, Origin
from imsd.mail.signing import MOST_HEADER, Signer, author
from imsd.settings.dkim import Dkim
from imsd.store import spool
from imsd.store.blobs import BlobBuilder, Blobs, new_blob
from imsd.store.ids import AccountId
from imsd.store.keyring import Keyring
from imsd.trust import dkim
from tests.mail import test_delivery
from tests.mail.test_delivery import Post
from tests.support.stores import run

post = test_delivery.post
KEYS = {name: dkim.make_key(name) for name in ("rsa", "ed25519")}  # type: ignore[arg-type]
MESSAGE = b"From: Alice <alice@example.test>\r\nSubject: x\r\n\r\nhello\r\n"


def give_keys(post: Post, *domains: str, **more: Any) -> None:
    rows = [{"domain": each, "selector": "s", "key": KEYS["ed25519"], **more} for each in domains]
    post.settings.replace({"dkim.keys": Dkim(keys=rows).model_dump_json(include={"keys"})[8:-1]})  # type: ignore[arg-type]


@pytest.fixture
def signing(post: Post, tmp_path: Path) -> Post:
    post.delivery.signer = Signer(post.settings, Keyring(tmp_path), Blobs(post.db), lambda: 1_795_000_000.0)
    give_keys(post, "example.test")
    return post


def heads(post: Post) -> list[str]:
    """What stands before the content of each message that waits to leave."""
    return [each.prefix.decode() for each in run(post.db.read(spool.listed))]


def send(post: Post, data: bytes = MESSAGE, to: str = "x@far.test", **more: Any) -> None:
    envelope = Envelope("alice@example.test", post.to(to), **more)
    run(post.delivery.accept(envelope, new_blob(data)))


@pytest.mark.parametrize(
    ("more", "signed"),
    [
        ({"account": AccountId(7)}, True),
        ({"origin": Origin("pickup")}, True),
        ({}, True),
        ({"origin": Origin("ESMTP", "192.0.2.1")}, False),
        ({"origin": Origin("LMTP")}, False),
    ],
)
def test_what_was_written_here_is_signed(signing: Post, more: dict[str, Any], signed: bool) -> None:
    send(signing, **more)
    (head,) = heads(signing)
    assert head.startswith("DKIM-Signature:") is signed and bool(head) is signed


@pytest.mark.parametrize(
    ("keys", "domain"),
    [(("example.test", "test"), "example.test"), (("test",), "test"), (("other.test",), "")],
)
def test_the_nearest_domain_signs(signing: Post, keys: tuple[str, ...], domain: str) -> None:
    give_keys(signing, *keys)
    send(signing)
    (head,) = heads(signing)
    assert dkim.tags(head.partition(":")[2]).get("d", "") == domain


def test_local_copies_and_journals_are_as_they_were(signing: Post) -> None:
    signing.settings.replace({
        "dkim.keys": Dkim(keys=[{"domain": "example.test", "selector": "s", "key": KEYS["rsa"]}])  # type: ignore[arg-type]
        .model_dump_json(include={"keys"})[8:-1],
        "hooks.journal_out": '"journal@elsewhere.test"',
    })  # fmt: skip
    send(signing, to="bob@example.test")
    assert signing.inbox(signing.bob)[0].prefix.startswith(b"Return-Path:")
    send(signing)
    assert sorted(head.partition(":")[0] for head in heads(signing)) == ["DKIM-Signature", "X-Envelope-From"]


def test_a_list_that_leads_elsewhere_signs_what_its_member_wrote(signing: Post) -> None:
    signing.directory.add_contact("far", "far@elsewhere.test")
    signing.directory.add_list("all", "far@example.test")
    send(signing, to="all@example.test", account=AccountId(7))
    assert all(head.startswith("DKIM-Signature:") for head in heads(signing))


def test_large_content_is_signed_from_its_file(signing: Post) -> None:
    builder = BlobBuilder(signing.delivery.signer._blobs)  # type: ignore[union-attr]
    builder.write(MESSAGE + b"line of text\r\n" * 20_000)
    run(builder.drained())
    content = run(builder.finish(None))
    assert content.file
    run(signing.delivery.accept(Envelope("alice@example.test", signing.to("x@far.test")), content))
    (head,) = heads(signing)
    body = dkim.BodyHash()
    body.update(b"hello\r\n" + b"line of text\r\n" * 20_000)
    import base64

    assert dkim.tags(head.partition(":")[2])["bh"] == base64.b64encode(body.digest()).decode()


@pytest.mark.parametrize("key", ["file:not-there", "AAAA", "sealed:nonsense"])
def test_a_key_that_cannot_be_used_stops_no_mail(signing: Post, key: str) -> None:
    give_keys(signing, "example.test", key=key)
    send(signing)
    assert heads(signing) == [""]


def test_a_header_without_end_is_not_signed(signing: Post) -> None:
    send(signing, b"From: a@example.test\r\n" + b"X: y\r\n" * (MOST_HEADER // 4))
    assert heads(signing) == [""]


@pytest.mark.parametrize(
    ("header", "domain"),
    [
        (b"From: A <a@Example.TEST>\r\n", "example.test"),
        (b'From: "b@c.test" <a@x.test>, d@e.test\r\n', "x.test"),
        ("From: a@bücher.test\r\n".encode(), "xn--bcher-kva.test"),
        (b"From: nobody\r\n", ""),
        (b"From: <>\r\n", ""),
        (b"To: a@b.test\r\n", ""),
    ],
)
def test_the_author(header: bytes, domain: str) -> None:
    assert author(header) == domain
