"""What ends an account ends its sessions, over all four protocols, within a second."""

from __future__ import annotations

import imaplib
import poplib
import select
import smtplib
import socket
import time
from collections.abc import Callable

import ldap3
import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

WITHIN = 1.0


def sessions(server: RunningServer, who: str) -> dict[str, tuple[object, socket.socket]]:
    """Logged in everywhere, by protocol."""
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    imap.login(who, PASSWORD)
    imap.select()
    pop3 = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
    pop3.user(who)
    pop3.pass_(PASSWORD)
    smtp = smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=20)
    smtp.login(who, PASSWORD)
    ldap = ldap3.Connection(
        ldap3.Server("127.0.0.1", server.port("ldap"), get_info=None), who, PASSWORD, auto_bind=True
    )
    assert smtp.sock is not None
    return {
        "imap": (imap, imap.socket()),
        "pop3": (pop3, pop3.sock),
        "smtp": (smtp, smtp.sock),
        "ldap": (ldap, ldap.socket),
    }


def still_open(held: dict[str, tuple[object, socket.socket]]) -> set[str]:
    """Those that the server has not closed in time."""
    give_up = time.monotonic() + WITHIN
    left = {wire: name for name, (_, wire) in held.items()}
    while left and (wait := give_up - time.monotonic()) > 0:
        for wire in select.select(list(left), [], [], wait)[0]:
            try:
                over = not wire.recv(4096)
            except OSError:
                over = True
            if over:
                del left[wire]
    return set(left.values())


@pytest.mark.parametrize(
    "how",
    [
        lambda server, who: server.ask("user.passwd", who=who, password="another-" + PASSWORD),
        lambda server, who: server.ask("user.disable", who=who),
        lambda server, who: server.ask("user.delete", who=who, delete_mailbox=True),
    ],
    ids=["password", "disabled", "deleted"],
)
def test_every_session_ends(
    server: RunningServer, how: Callable[[RunningServer, str], object], request: pytest.FixtureRequest
) -> None:
    who = server.add_user(request.node.callspec.id)
    held = sessions(server, who)
    how(server, who)
    assert still_open(held) == set()


def test_who_changes_his_own_password_over_ldap_stays_and_his_others_end(server: RunningServer) -> None:
    who = server.add_user("selfmade")
    held = sessions(server, who)
    mine = ldap3.Connection(
        ldap3.Server("127.0.0.1", server.port("ldap"), get_info=None), who, PASSWORD, auto_bind=True
    )
    assert mine.extend.standard.modify_password(None, PASSWORD, "another-" + PASSWORD)
    assert still_open(held) == set()
    assert mine.search("dc=example,dc=test", "(uid=selfmade)")
    server.ask("user.disable", who=who)
    assert still_open({"mine": (mine, mine.socket)}) == set()
