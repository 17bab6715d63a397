"""VRFY and EXPN over a real directory: hidden people are nobody, hidden memberships are not told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sessions.test_smtp import MESSAGE, Site, site
from tests.support.stores import run

__all__ = ["site"]


@pytest.fixture
def asked(site: Site) -> Any:
    site.configure(smtp__vrfy='"on"', smtp__expn='"on"')
    return site.talk()


def test_addresses(asked: Any) -> None:
    asked.say(b"EHLO out.example")
    for text in (b"alice", b"ALICE@example.test", b"<alice@example.test>"):
        assert asked.say(b"VRFY " + text) == "250 2.1.5 <alice@example.test>\r\n"
    for text in (b"nobody", b"alice@example.org", b"a b c", b"<>"):
        assert asked.say(b"VRFY " + text).startswith("550 5.1.1 ")
    assert asked.say(b"EXPN alice") == "550 5.1.1 That is no mailing list\r\n"


def test_lists(site: Site, asked: Any) -> None:
    run(site.directory.add_group("all@example.test", members=["alice@example.test", "bob@example.test"]))
    assert asked.say(b"EXPN all") == "250-2.1.5 <alice@example.test>\r\n250 2.1.5 <bob@example.test>\r\n"
    assert asked.say(b"VRFY all") == "250 2.1.5 <all@example.test>\r\n"


def test_what_is_hidden_is_not_told(site: Site, asked: Any) -> None:
    run(site.directory.add_group("inner@example.test", members=["bob@example.test"]))
    run(site.directory.add_group("outer@example.test", members=["alice@example.test", "inner@example.test"]))
    run(site.directory.change("bob@example.test", {"Hide-From-Address-Book": ["TRUE"]}))
    assert asked.say(b"VRFY bob").startswith("550 5.1.1 ")
    assert asked.say(b"EXPN outer") == "250 2.1.5 <alice@example.test>\r\n"
    run(site.directory.change("inner@example.test", {"Hide-DL-Membership": ["TRUE"]}))
    for name in (b"inner", b"outer"):
        assert asked.say(b"EXPN " + name) == "550 5.7.1 Who is on that list is not told\r\n"


def test_solicitation_in_the_header_is_refused(site: Site) -> None:
    site.configure(smtp__no_soliciting='["net.example:ADV"]')
    talk = site.talk()
    talk.say(b"EHLO out.example")
    content = b"Solicitation: net.example:adv\r\n" + MESSAGE
    assert talk.send(b"x@example.org", content, b"alice@example.test").startswith(
        "550 5.7.1 SOLICIT=net.example:adv Solicitations"
    )
    assert talk.send(b"x@example.org", MESSAGE, b"alice@example.test").startswith("250 ")
