"""Reports, receipts and notifications between real processes, read by real clients."""

from __future__ import annotations

import email
import json
import smtplib
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any

import pytest

from tests.support.clients import poll, texts
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


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
    change(one, "ims.delivery.smart_hosts", [f"127.0.0.1:{remote.port}"])
    change(one, "ims.delivery.mode", "smarthost")
    change(one, "ims.admin_mailbox", "boss@example.test")
    yield one
    one.stop()
    assert "Traceback" not in one.log


@pytest.fixture(autouse=True)
def as_it_was(server: RunningServer, remote: Remote) -> Iterator[None]:
    before = server.ask("settings.export")
    yield
    server.ask("settings.import", text=before)
    remote.rcpt = "250 2.1.5 fine"
    remote.taken.clear()


def change(server: RunningServer, key: str, value: Any) -> None:
    server.ask("settings.set", key=key, value=json.dumps(value))


def submit(server: RunningServer, to: str, subject: str, mail: list[str], rcpt: list[str]) -> None:
    bob = server.address("bob")
    with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=server.tls())
        smtp.login(bob, PASSWORD)
        text = f"From: {bob}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nthe body\r\n"
        smtp.sendmail(bob, [to], text, mail_options=mail, rcpt_options=rcpt)


def about(server: RunningServer, alias: str, subject: str) -> list[Message]:
    """Messages in the INBOX whose subject has this in it."""
    found = [email.message_from_bytes(text) for text in texts(server, alias)]
    return [one for one in found if subject in str(one["Subject"])]


def one_about(server: RunningServer, alias: str, subject: str) -> Message:
    poll(lambda: about(server, alias, subject))
    (found,) = about(server, alias, subject)
    return found


def groups(report: Message) -> list[Any]:
    assert report.get_content_type() == "multipart/report"
    return report.get_payload(1).get_payload()  # type: ignore[union-attr, return-value]


def test_a_refused_recipient_is_reported_and_the_administrator_notified(
    server: RunningServer, remote: Remote
) -> None:
    remote.rcpt = "550 5.1.1 no such user"
    change(server, "ims.notifications.kinds", ["protocol-error"])
    submit(server, "x@far.test", "refused there", ["ENVID=E+2B1", "RET=FULL"], ["NOTIFY=FAILURE"])
    report = one_about(server, "bob", "Not delivered: refused there")
    assert report["From"] == "Mail Delivery System <postmaster@example.test>"
    first, recipient = groups(report)
    assert first["Original-Envelope-Id"] == "E+1"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    said = report.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    for line in (
        "Your message did not reach some or all of the intended recipients.",
        "      Subject: refused there",
        "            There is nobody of this address.",
        "            MSEXCH:IMS:Example:Main:LOCALHOST 3550 550 5.1.1 no such user",
    ):
        assert line in said, said
    assert "the body" in str(report.get_payload(2))
    note = one_about(server, "boss", "Notification: ")
    assert note["Subject"] == "Notification: Outbound Mail Failure - A protocol error occurred."
    assert "the body" in str(note.get_payload(1))


def test_a_list_is_reported_as_expanded_and_its_members_inherit(
    server: RunningServer, remote: Remote
) -> None:
    server.ask("contact.add", address="guest@example.test", target="guest@far.test", name="Guest")
    members = ["carol@example.test", "guest@example.test"]
    server.ask("group.add", address="staff@example.test", name="Staff", members=members)
    mail, rcpt = ["ENVID=E2", "RET=HDRS"], ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;staff@example.test"]
    submit(server, "staff@example.test", "to all", mail, rcpt)
    report = one_about(server, "bob", "Delivered to a list: to all")
    assert [group["Action"] for group in groups(report)[1:]] == ["expanded"]
    poll(lambda: remote.taken)
    assert remote.taken[0].recipients == ("guest@far.test",)
    one_about(server, "carol", "to all")


def test_a_receipt_for_who_names_himself(server: RunningServer, remote: Remote) -> None:
    change(server, "ims.suppress_dr", False)
    for asked, subject in (("other@far.test", "for another"), ("s@far.test", "for me")):
        text = f"Return-Receipt-To: <{asked}>\r\nSubject: {subject}\r\n\r\nhi\r\n"
        server.deliver(text, ["carol@example.test"], sender="s@far.test")
    poll(lambda: remote.taken)
    (receipt,) = remote.taken
    assert (receipt.sender, receipt.recipients) == ("", ("s@far.test",))
    assert b"Subject: Delivered: for me" in receipt.data and b"Action: delivered" in receipt.data


def test_senders_elsewhere_are_told_nothing_if_so_chosen(server: RunningServer, remote: Remote) -> None:
    change(server, "ims.ndr.external", "admin_only")
    server.ask("contact.add", address="gone@example.test", target="gone@far.test", name="Gone")
    remote.rcpt = "550 5.1.1 gone"
    server.deliver("Subject: from outside\r\n\r\nhi\r\n", ["gone@example.test"], sender="s@far.test")
    report = one_about(server, "boss", "Not delivered: from outside")
    assert "Senders elsewhere are told nothing here" in str(report.get_payload(0))
    assert not remote.taken
    poll(lambda: not server.ask("queue.list"))
