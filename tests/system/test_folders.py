"""Folders with a special use, as clients find and make them."""

from __future__ import annotations

import imaplib

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


def listed(client: imaplib.IMAP4) -> bytes:
    return b"\n".join(line for line in client.list()[1] if isinstance(line, bytes))


def session(server: RunningServer, who: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    client.login(who, PASSWORD)
    return client


def test_new_mailboxes_in_the_site_s_language(server: RunningServer) -> None:
    server.ask("settings.set", key="folders.language", value="fr")
    server.ask("settings.set", key="folders.names", value='{"junk": "Pourriel"}')
    try:
        found = listed(session(server, server.add_user("jeanne")))
        assert b"\\Junk" in next(line for line in found.splitlines() if b"Pourriel" in line)
        assert b"\\Trash" in next(line for line in found.splitlines() if b"Corbeille" in line)
    finally:
        server.ask("settings.reset", key="folders.language")
        server.ask("settings.reset", key="folders.names")


def test_what_a_client_makes_is_marked_where_nothing_has_the_use_yet(server: RunningServer) -> None:
    server.ask("settings.set", key="folders.furnish", value="false")
    try:
        client = session(server, server.add_user("bare"))
    finally:
        server.ask("settings.reset", key="folders.furnish")
    assert len(listed(client).splitlines()) == 1
    for name in ('"Sent Items"', "Sent", '"Deleted Items"', "Other"):
        assert client.create(name)[0] == "OK"
    lines = {line.rpartition(b'"/" ')[2].strip(b'"'): line for line in listed(client).splitlines()}
    assert b"\\Sent" in lines[b"Sent Items"]
    assert b"\\Sent" not in lines[b"Sent"]
    assert b"\\Trash" in lines[b"Deleted Items"]
    assert b"\\Trash" not in lines[b"Other"]
    # Everybody else has a folder with that use.
    other = session(server, server.address("bob"))
    assert other.create('"Sent Items"')[0] == "OK"
    assert b"\\Sent" not in next(line for line in listed(other).splitlines() if b"Sent Items" in line)
