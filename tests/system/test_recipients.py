"""Who gets mail and who may send it, as entries that an LDAP client writes say: with real mail."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Callable, Iterator
from email import message_from_bytes
from typing import Any

import ldap3
import pytest

from tests.support.clients import poll, subjects, texts
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

DATA = "application/octet-stream"


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    one = Remote()
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer], remote: Remote) -> Iterator[RunningServer]:
    one = make_server()
    for alias in ("bob", "boss", "carol"):
        one.add_user(alias)
    for key, value in (
        ("ims.delivery.smart_hosts", [f"127.0.0.1:{remote.port}"]),
        ("ims.delivery.mode", "smarthost"),
        ("addressing.domains", ["second.test"]),
    ):
        one.ask("settings.set", key=key, value=json.dumps(value))
    one.ask("contact.add", address="friend@example.test", target="friend@far.test", name="Friend")
    one.ask("group.add", address="inner@example.test", name="Inner", members=["carol@example.test"])
    one.ask("group.add", address="outer@example.test", name="Outer", members=["inner@example.test"])
    yield one
    one.stop()
    assert "Traceback" not in one.log


@pytest.fixture(autouse=True)
def quiet(remote: Remote) -> Iterator[None]:
    remote.taken.clear()
    yield
    remote.rcpt = "250 2.1.5 fine"


def name_of(server: RunningServer, address: str) -> str:
    with connection(server) as client:
        client.search("o=Example", f"(mail={address})", attributes=["cn"])
        return str(client.entries[0].entry_dn)


def connection(server: RunningServer) -> ldap3.Connection:
    where = ldap3.Server(
        "127.0.0.1", server.port("ldaps"), use_ssl=True, tls=ldap3.Tls(validate=ssl.CERT_NONE)
    )
    return ldap3.Connection(where, "administrator@example.test", PASSWORD, auto_bind=True)


def write(server: RunningServer, address: str, **values: list[str]) -> None:
    """Attributes of an entry; names of entries by their address."""
    changes = {}
    for key, given in values.items():
        dns = [name_of(server, each) if "@" in each else each for each in given]
        changes[key.replace("_", "-")] = [(ldap3.MODIFY_REPLACE, dns)]
    name = name_of(server, address)
    with connection(server) as client:
        assert client.modify(name, changes), client.result


def submit(server: RunningServer, alias: str, to: str, subject: str) -> dict[str, Any]:
    """What was refused."""
    sender = server.address(alias)
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(sender, PASSWORD)
        text = f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhi\r\n"
        try:
            smtp.sendmail(sender, [to], text)
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients
    return {}


def test_what_is_forwarded_comes_back_to_its_sender_when_it_fails(
    server: RunningServer, remote: Remote
) -> None:
    server.deliver("Subject: on it goes\r\n\r\nhi\r\n", ["friend@example.test"], sender="s@away.test")
    poll(lambda: remote.taken)
    (taken,) = remote.taken
    path = taken.sender
    assert path.startswith("SRS0=") and path.endswith("=away.test=s@example.test")
    remote.taken.clear()
    # The other server reports to the path, and the report goes on to the sender.
    server.deliver("Subject: it failed\r\n\r\n", [path], sender="")
    poll(lambda: remote.taken)
    assert (remote.taken[0].sender, remote.taken[0].recipients) == ("", ("s@away.test",))
    for forged, sender in ((path.replace("away", "other"), ""), (path, "spammer@bad.test")):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            server.deliver("Subject: no\r\n\r\n", [forged], sender=sender)
        assert caught.value.recipients[forged][0] == 550


BOTH = """\
From: bob@example.test\r
Subject: both\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=m\r
\r
--m\r
Content-Type: multipart/alternative; boundary=a\r
\r
--a\r
Content-Type: text/plain; charset=utf-8\r
\r
Grüße\r
--a\r
Content-Type: text/html; charset=utf-8\r
\r
<b>Grüße</b>\r
--a--\r
--m\r
Content-Type: application/octet-stream; name=data.bin\r
Content-Transfer-Encoding: base64\r
\r
AAECAw==\r
--m--\r
""".encode()


def parts(data: bytes) -> list[str]:
    return [part.get_content_type() for part in message_from_bytes(data).walk()]


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("1310720", ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", DATA]),
        ("393216", ["multipart/mixed", "text/plain", DATA]),
        ("917504", ["multipart/mixed", "text/html", DATA]),
        ("2228224", ["text/plain"]),
        ("131072", ["text/plain"]),
    ],
    ids=["as composed", "plain", "HTML", "uuencode", "BinHex"],
)
def test_a_contact_has_what_people_here_write_in_the_form_that_it_asks_for(
    server: RunningServer, remote: Remote, encoding: str, expected: list[str]
) -> None:
    write(server, "friend@example.test", Internet_Encoding=[encoding])
    try:
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=server.tls())
            smtp.login("bob@example.test", PASSWORD)
            to = ["friend@example.test", "carol@example.test", "other@far.test"]
            smtp.sendmail("bob@example.test", to, BOTH, ["BODY=8BITMIME"])
        poll(lambda: sum(len(taken.recipients) for taken in remote.taken) == 2)
        found = {address: taken.data for taken in remote.taken for address in taken.recipients}
        assert parts(found["friend@far.test"]) == expected
        assert "Grüße".encode() in found["friend@far.test"]
        marks = {"2228224": b"begin 644 data.bin", "131072": b"(This file must be converted with BinHex"}
        assert marks.get(encoding, b"") in found["friend@far.test"]
        # Nobody else has it in another form, and what comes from elsewhere keeps its own.
        assert len(parts(found["other@far.test"])) == len(parts(texts(server, "carol")[-1])) == 5
        remote.taken.clear()
        server.deliver(BOTH, ["friend@example.test"], sender="s@away.test")
        poll(lambda: remote.taken)
        assert len(parts(remote.taken[0].data)) == 5
    finally:
        write(server, "friend@example.test", Internet_Encoding=[])


def test_through_a_list_the_form_is_the_lists(server: RunningServer, remote: Remote) -> None:
    server.ask("group.add", address="afar@example.test", name="Afar", members=["friend@example.test"])
    write(server, "friend@example.test", Internet_Encoding=["2228224"])
    for encoding, expected in (("393216", ["multipart/mixed", "text/plain", DATA]), ("1310720", None)):
        write(server, "afar@example.test", Internet_Encoding=[encoding])
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=server.tls())
            smtp.login("bob@example.test", PASSWORD)
            smtp.sendmail("bob@example.test", ["afar@example.test"], BOTH, ["BODY=8BITMIME"])
        poll(lambda: remote.taken)
        assert parts(remote.taken[0].data) == (expected or parts(BOTH))
        remote.taken.clear()
    write(server, "friend@example.test", Internet_Encoding=[])


def test_a_failure_that_we_see_ourselves_is_told_to_the_sender(server: RunningServer, remote: Remote) -> None:
    sender = Remote()
    rows = [{"domain": "away.test", "route": f"host:127.0.0.1:{sender.port}"}]
    server.ask("settings.set", key="ims.domains", value=json.dumps(rows))
    try:
        remote.rcpt = "550 5.1.1 gone"
        server.deliver("Subject: no friend\r\n\r\nhi\r\n", ["friend@example.test"], sender="s@away.test")
        poll(lambda: sender.taken)
        (report,) = sender.taken
        assert (report.sender, report.recipients) == ("", ("s@away.test",))
        assert b"Not delivered: no friend" in report.data
    finally:
        server.ask("settings.set", key="ims.domains", value="[]")
        sender.close()


def test_a_mailbox_accepts_from_members_of_nested_lists_alone(server: RunningServer) -> None:
    write(server, "boss@example.test", DL_Mem_Submit_Perms=["outer@example.test"])
    try:
        refused = submit(server, "bob", "boss@example.test", "bob asks")
        code, text = refused["boss@example.test"]
        assert (code, text[:5]) == (550, b"5.7.1")
        assert not submit(server, "carol", "boss@example.test", "carol asks")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            # Anybody can write carol's address.
            server.deliver("Subject: forged\r\n\r\n", ["boss@example.test"], sender="carol@example.test")
        poll(lambda: subjects(server, "boss") == ["carol asks"])
    finally:
        write(server, "boss@example.test", DL_Mem_Submit_Perms=[])


def test_a_list_rejects_some_and_lets_others(server: RunningServer) -> None:
    write(server, "outer@example.test", Unauth_Orig=["bob@example.test"])
    assert "outer@example.test" in submit(server, "bob", "outer@example.test", "from bob")
    assert not submit(server, "boss", "outer@example.test", "from boss")
    poll(lambda: "from boss" in subjects(server, "carol"))
    assert "from bob" not in subjects(server, "carol")


def test_mail_goes_to_the_alternate_and_a_copy_stays_if_wanted(server: RunningServer) -> None:
    write(server, "boss@example.test", Alt_Recipient=["carol@example.test"])
    server.deliver("Subject: for boss\r\n\r\n", ["boss@example.test"])
    poll(lambda: "for boss" in subjects(server, "carol"))
    assert "for boss" not in subjects(server, "boss")
    write(server, "boss@example.test", Deliver_And_Redirect=["TRUE"])
    server.deliver("Subject: for both\r\n\r\n", ["boss@example.test"])
    poll(lambda: "for both" in subjects(server, "carol") and "for both" in subjects(server, "boss"))
    write(server, "boss@example.test", Alt_Recipient=[], Deliver_And_Redirect=[])


def test_the_owner_of_a_list_hears_of_failures_and_the_members_stay_hidden(
    server: RunningServer, remote: Remote
) -> None:
    members = ["friend@example.test", "carol@example.test"]
    server.ask("group.add", address="club@example.test", name="Club", members=members)
    write(server, "club@example.test", owner=["boss@example.test"], Hide_DL_Membership=["TRUE"])
    remote.rcpt = "550 5.1.1 gone"
    assert not submit(server, "bob", "club@example.test", "to the club")
    poll(lambda: "Not delivered: to the club" in subjects(server, "boss"))
    (copy,) = (text for text in texts(server, "carol") if b"to the club" in text)
    assert copy.startswith(b"Return-Path: <boss@example.test>")
    assert not any("to the club" in each for each in subjects(server, "bob"))


@pytest.mark.parametrize("local", ["postmaster", "Abuse"])
@pytest.mark.parametrize("domain", ["example.test", "second.test"])
def test_postmaster_and_abuse_of_every_domain_reach_somebody(
    server: RunningServer, local: str, domain: str
) -> None:
    server.deliver(f"Subject: {local} {domain}\r\n\r\n", [f"{local}@{domain}"], sender="")
    poll(lambda: f"{local} {domain}" in subjects(server, "administrator"))
