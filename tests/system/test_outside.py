"""Passwords that another directory knows, here another imsd's, over real connections."""

from __future__ import annotations

import imaplib
import json
import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import ldap3
import pytest

from tests.support.clients import poll
from tests.support.servers import PASSWORD, RunningServer, free_offset

pytestmark = pytest.mark.system

THEIRS = "their-own-secret"


class Lab:
    """there: the directory that knows who ann is; here: where her mailbox is, without a password."""

    def __init__(self, here: RunningServer, there: RunningServer) -> None:
        self.here, self.there = here, there
        self.closed = f"ldap://localhost:{free_offset() + 389}"
        self.url = f"ldap://localhost:{there.port('ldap')}"

    def page(self, **values: Any) -> None:
        given = {
            "outside.who": "without_password",
            "outside.servers": [self.closed, self.url],
            "outside.ca_file": str(self.there.home / "tls/server.crt"),
            "outside.name": "cn=%u,cn=Recipients,ou=Main,o=Example",
            **{f"outside.{key}": value for key, value in values.items()},
        }
        text = "".join(f"{key.partition('.')[2]} = {json.dumps(value)}\n" for key, value in given.items())
        self.here.ask("settings.import", text=f"[outside]\n{text}")

    def login(self, who: str, password: str) -> str:
        client = imaplib.IMAP4("127.0.0.1", self.here.port("imap"), timeout=20)
        try:
            client.login(self.here.address(who), password)
            return "OK"
        except imaplib.IMAP4.error as error:
            return str(error)
        finally:
            client.logout()


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer]) -> Iterator[Lab]:
    here, there = make_server(), make_server()
    there.ask("user.add", address=there.address("ann"), password=THEIRS)
    here.ask("user.add", address=here.address("ann"))
    here.add_user("bob")
    yield Lab(here, there)
    for server in (here, there):
        server.stop()
        assert "Traceback" not in server.log, server.log[-3000:]


def test_the_other_directory_decides_about_who_has_no_password_here(lab: Lab) -> None:
    assert "AUTHENTICATIONFAILED" in lab.login("ann", THEIRS)
    lab.page()
    assert lab.login("ann", THEIRS) == "OK"
    for wrong in ("wrong", "", PASSWORD):
        assert "AUTHENTICATIONFAILED" in lab.login("ann", wrong), wrong
    assert lab.login("bob", PASSWORD) == "OK"
    with smtplib.SMTP("127.0.0.1", lab.here.port("submission"), timeout=20) as smtp:
        smtp.ehlo()
        assert "SCRAM" not in smtp.esmtp_features["auth"] and "PLAIN" in smtp.esmtp_features["auth"]
        smtp.login(lab.here.address("ann"), THEIRS)
    where = ldap3.Server("127.0.0.1", lab.here.port("ldap"), get_info=ldap3.NONE)
    with ldap3.Connection(where, "ann", THEIRS, auto_bind=True) as client:
        assert not client.extend.standard.modify_password(None, THEIRS, "another-" + THEIRS)
        assert "kept in another directory" in client.result["message"]


def test_somebody_is_searched_for(lab: Lab) -> None:
    name, secret = "cn=administrator,cn=Recipients,ou=Main,o=Example", PASSWORD
    lab.page(name="", base="o=Example", filter="(&(objectClass=Mailbox)(mail=%a))",
             search_name=name, search_password=secret)  # fmt: skip
    assert lab.login("ann", THEIRS) == "OK"
    assert secret not in lab.here.imsctl("settings", "export").stdout
    lab.page(
        name="", base="o=Example", filter="(objectClass=Mailbox)", search_name=name, search_password=secret
    )
    assert "AUTHENTICATIONFAILED" in lab.login("ann", THEIRS), "it finds several"
    lab.page(name="", base="o=Example", filter="(uid=nobody)", search_name=name, search_password=secret)
    assert "AUTHENTICATIONFAILED" in lab.login("ann", THEIRS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"servers": ["CLOSED"]},
        {"ca_file": ""},
        {"ca_file": "/not/there"},
        {"name": "", "base": "o=Example", "search_name": "cn=x,o=Example", "search_password": "no"},
    ],
)
def test_what_cannot_be_asked_is_no_wrong_password(lab: Lab, wrong: dict[str, Any]) -> None:
    if wrong.get("servers"):
        wrong = {"servers": [lab.closed]}
    lab.page(**wrong)
    assert "UNAVAILABLE" in lab.login("ann", THEIRS) or "INUSE" in lab.login("ann", THEIRS)
    assert "nobody says whether a password is right" in lab.here.log
    for unknown in ("ann", "nobody-at-all", "bob"):
        answer = lab.login(unknown, "wrong")
        assert "UNAVAILABLE" in answer or "INUSE" in answer, "an outage tells nobody who is verified where"
    lab.page()
    assert lab.login("ann", THEIRS) == "OK", "nobody is held back for it"


@pytest.mark.parametrize(
    "says",
    [
        None,
        b"",
        b"220 this is no LDAP\r\n" * 100,
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x0c\x02\x01\x09\x61\x07" * 50,
    ],
    ids=["silence", "nothing", "text", "huge", "others"],
)
def test_a_server_that_is_none_keeps_nobody_out(lab: Lab, says: bytes | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                while True:
                    wire, _ = listening.accept()
                    kept.append(wire)
                    if says is not None:
                        wire.sendall(says)
                        wire.close()
            except OSError:
                pass  # closed by the test

        kept: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        bad = f"ldap://127.0.0.1:{listening.getsockname()[1]}"
        lab.page(servers=[bad, lab.url], seconds=1, cleartext=True)
        assert lab.login("ann", THEIRS) == "OK"
        assert kept
        for wire in kept:
            wire.close()


def test_everybody_but_administrators_with_a_password_here(lab: Lab) -> None:
    lab.page(who="everybody")
    assert lab.login("ann", THEIRS) == "OK"
    poll(lambda: "AUTHENTICATIONFAILED" in lab.login("bob", PASSWORD))
    assert lab.login("administrator", PASSWORD) == "OK"
    lab.here.ask("settings.reset", key="outside.who")
    poll(lambda: lab.login("bob", PASSWORD) == "OK")
