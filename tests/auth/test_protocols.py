"""Site, server, mailbox: who decides what holds in a protocol."""

from __future__ import annotations

import pytest

from imsd.auth.protocols import Methods, check, explain, methods, page_for
from imsd.directory.protocols import Format, ProtocolSettings
from imsd.errors import NoSuchEntry, ProtocolOff
from imsd.settings import PAGES, LiveSettings
from imsd.settings.imap import Imap
from imsd.settings.logins import Logins
from imsd.settings.pop3 import Pop3

HERE = "mail.example.test"


def settings(**rows: str) -> LiveSettings:
    live = LiveSettings(PAGES, HERE)
    live.replace(
        {key.replace("__", ".").replace("_at_here", f"@{HERE}"): value for key, value in rows.items()}
    )
    assert not live.rejected
    return live


def decided(live: LiveSettings, protocol: str, own: ProtocolSettings) -> dict[str, tuple[object, str]]:
    return {each.name: (each.value, each.level) for each in explain(live, protocol, [own])}


@pytest.mark.parametrize(
    ("site", "server", "mailbox", "served", "level"),
    [
        (None, None, True, True, "default"),
        ("false", None, True, False, "site"),
        ("false", "true", True, True, "server"),
        ("true", "false", True, False, "server"),
        (None, None, False, False, "mailbox"),
        ("true", "true", False, False, "mailbox"),
        # Off at the server is off, whatever the mailbox says.
        (None, "false", False, False, "server"),
    ],
)
def test_enabled(site: str | None, server: str | None, mailbox: bool, served: bool, level: str) -> None:
    rows = {"imap__enabled": site, "imap__enabled_at_here": server}
    live = settings(**{key: value for key, value in rows.items() if value})
    own = ProtocolSettings("IMAP4", enabled=mailbox)
    assert decided(live, "imap", own)["imap.enabled"] == (served, level)
    assert page_for(live, Imap, [own]).enabled is served
    if served:
        check(live, "IMAP4", [own])
    else:
        with pytest.raises(ProtocolOff):
            check(live, "IMAP4", [own])


def test_a_mailbox_decides_only_when_it_does_not_use_the_defaults() -> None:
    live = settings(imap__list_public="false")
    own = ProtocolSettings("IMAP4", use_defaults=True, list_public=True, delegate=False)
    assert decided(live, "imap4", own)["imap.list_public"] == (False, "site")
    own = ProtocolSettings("IMAP4", use_defaults=False, list_public=True)
    assert decided(live, "imap4", own)["imap.list_public"] == (True, "mailbox")
    # What it leaves open is the site's.
    assert decided(live, "imap4", own)["imap.delegate"] == (True, "default")
    assert page_for(live, Imap, [own]).list_public


def test_what_is_off_for_a_mailbox_and_who_may_connect_are_explained() -> None:
    live = settings(imap__capabilities_off='["NOTIFY"]', protocols__connections='["reject 192.0.2.0/24"]')
    found = {each.name: each for each in explain(live, "imap", [], ("SORT", "NOTIFY"))}
    off = found["imap.capabilities_off"]
    assert (off.value, off.level) == (("NOTIFY", "SORT"), "mailbox") and "SORT" in off.why
    assert decided(live, "imap", ProtocolSettings("IMAP4"))["imap.capabilities_off"] == (("NOTIFY",), "site")
    for protocol in ("imap", "pop3", "ldap"):
        value, level = decided(live, protocol, ProtocolSettings("IMAP4"))["protocols.connections"]
        assert "192.0.2.0/24" in str(value) and level == "site"
    assert decided(settings(), "pop3", ProtocolSettings("POP3"))["protocols.connections"][1] == "default"


def test_the_format_of_messages() -> None:
    live = settings(pop3__format='"html"', pop3__charset='"ISO-8859-1"')
    assert page_for(live, Pop3, []).format == "html"
    own = ProtocolSettings("POP3", use_defaults=False, form=Format.UUENCODE)
    page = page_for(live, Pop3, [own])
    assert (page.format, page.charset) == ("uuencode", "ISO-8859-1")
    with pytest.raises(NoSuchEntry):
        explain(live, "nntp", [])


@pytest.mark.parametrize(
    ("logins", "listed", "expected"),
    [
        (Logins(), None, Methods(False, True, True, True, True)),
        (Logins(allow_cleartext=True), None, Methods(True, True, True, True, True)),
        (Logins(), ("basic",), Methods(False, True, False, False)),
        (Logins(), ("clear", "certificates"), Methods(True, False, False, True)),
        (Logins(basic=False, challenge=False), ("basic", "challenge"), Methods(False, False, False, False)),
        (Logins(), ("tokens",), Methods(False, False, False, False, True)),
        (Logins(tokens=False), ("tokens",), Methods(False, False, False, False)),
        (Logins(), (), Methods(False, False, False, False)),
    ],
)
def test_methods(logins: Logins, listed: tuple[str, ...] | None, expected: Methods) -> None:
    assert methods(logins, listed) == expected
