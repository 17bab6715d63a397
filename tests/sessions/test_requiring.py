"""REQUIRETLS and TLS-Required (RFC 8689 4.1) from the wire to what waits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imsd.mail import pickup
from imsd.store import spool
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import Site, Talk, site
from tests.support.stores import run

__all__ = ["site"]


def tags(site: Site) -> list[str]:
    return [each.tls for each in run(site.db.read(spool.listed))]


def under_tls(talk: Talk) -> Talk:
    talk.server.security = replace(talk.server.security, encrypted=True)
    return talk


@pytest.mark.parametrize(
    ("parameter", "field", "tag"),
    [
        (b"", b"TLS-Required: No\r\n", "optional"),
        (b" REQUIRETLS", b"TLS-Required: No\r\n", "required"),
        (b" REQUIRETLS", b"", "required"),
        (b"", b"", ""),
    ],
)
def test_what_is_asked_of_the_way_waits_with_the_message(
    site: Site, parameter: bytes, field: bytes, tag: str
) -> None:
    talk = under_tls(site.submission())
    talk.say(b"MAIL FROM:<alice@example.test>" + parameter, b"RCPT TO:<carol@far.test>", b"DATA")
    header = b"From: alice@example.test\r\n" + field + b"Subject: x\r\n\r\nx\r\n."
    assert talk.say(header).startswith("250 ")
    assert tags(site) == [tag]


def test_it_stays_with_what_the_filter_takes_out(site: Site) -> None:
    site.configure(ims__filter__action=json.dumps("turf"), ims__filter__senders=json.dumps(["spammer"]))
    talk = under_tls(site.talk(Role.MX, "192.0.2.7"))
    talk.say(b"EHLO out.example", b"MAIL FROM:<spammer@x.example> REQUIRETLS")
    talk.say(b"RCPT TO:<alice@example.test>", b"DATA")
    assert talk.say(b"From: a@x.example\r\n\r\nx\r\n.").startswith("250 ")
    (file,) = (site.db.home / "turf").glob("*.eml")
    assert pickup.parse(file.read_bytes()).required
