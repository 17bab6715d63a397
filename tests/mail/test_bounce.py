"""Reports as they are written (RFC 3464, RFC 3461), read back by another parser."""

from __future__ import annotations

import email
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.mail.bounce import Action, Fate, Original, report, wanted
from imsd.store.ids import BlobId, QueueId
from imsd.store.spool import Queued, QueuedRecipient, State

MESSAGE = Queued("Q1", BlobId(1), 100, "a@b.test", 0, 1_000_000, id=QueueId(1))
RECIPIENT = QueuedRecipient(
    1, QueueId(1), "x@far.test", "far.test", "", "", "", State.WAITING, 0, 0, 0, "", False, 0
)
ORIGINAL = Original(b"Subject: Hi\r\n\r\n", False, "Hi", b"<1@b>")


def made(*fates: Fate, message: Queued = MESSAGE, original: Original = ORIGINAL, note: str = "") -> bytes:
    return report(
        message,
        list(fates),
        original,
        sender="postmaster@example.test",
        to="a@b.test",
        hostname="mx.example.test",
        token="token",
        seconds=0,
        note=note,
    )


def groups(data: bytes) -> list[Any]:
    return email.message_from_bytes(data).get_payload(1).get_payload()  # type: ignore[union-attr, return-value]


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ("", {Action.FAILED, Action.DELAYED}),
        ("NEVER", set()),
        ("FAILURE", {Action.FAILED}),
        ("DELAY", {Action.DELAYED}),
        ("SUCCESS", {Action.DELIVERED, Action.RELAYED}),
        ("SUCCESS,FAILURE,DELAY", set(Action)),
    ],
)
def test_who_is_told_what(notify: str, told: set[Action]) -> None:
    assert {action for action in Action if wanted(notify, action)} == told


def test_a_failure() -> None:
    fate = Fate(
        RECIPIENT,
        Action.FAILED,
        "5.1.1",
        "550 5.1.1 no\nsuch user",
        "mx.far.test[192.0.2.1]:25",
        "smtp; 550 no",
    )
    data = made(fate, message=replace(MESSAGE, envid="E"), note="A note.")
    message = email.message_from_bytes(data)
    assert message["Subject"] == "Not delivered: Hi"
    about, recipient = groups(data)
    assert dict(about.items()) == {
        "Reporting-MTA": "dns; mx.example.test",
        "Original-Envelope-Id": "E",
        "Arrival-Date": "Thu, 01 Jan 1970 00:00:00 +0000",
    }
    assert dict(recipient.items()) == {
        "Final-Recipient": "rfc822; x@far.test",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.far.test",
        "Diagnostic-Code": "smtp; 550 no",
        "Last-Attempt-Date": "Thu, 01 Jan 1970 00:00:00 +0000",
    }
    text = message.get_payload(0).get_payload()  # type: ignore[union-attr]
    assert "A note." in text and "<x@far.test>" in text and "said: such user" in text
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))


@pytest.mark.parametrize("smtputf8", [False, True])
def test_no_line_is_too_long_whatever_the_other_server_said(smtputf8: bool) -> None:
    word = "\u00fc" * 3000
    fate = Fate(RECIPIENT, Action.FAILED, "5.1.1", f"550 {word}", "mx.far.test", f"smtp; 550 {word}")
    data = made(fate, message=replace(MESSAGE, smtputf8=smtputf8))
    assert max(map(len, data.split(b"\r\n"))) <= 998


def test_original_recipients_and_several_fates() -> None:
    other = replace(RECIPIENT, address="y@far.test", orcpt_type="rfc822", orcpt="list@b.test")
    data = made(
        Fate(RECIPIENT, Action.DELAYED, "4.2.0", will_retry_until=1_000_000),
        Fate(other, Action.DELAYED, "4.4.1"),
    )
    _, one, two = groups(data)
    assert one["Will-Retry-Until"] == "Thu, 01 Jan 1970 00:00:01 +0000"
    assert (one["Original-Recipient"], two["Original-Recipient"]) == (None, "rfc822; list@b.test")


def test_internationalized_addresses_have_their_own_form() -> None:
    recipient = replace(RECIPIENT, address="jörg@far.test")
    data = made(Fate(recipient, Action.FAILED, "5.6.7"), message=replace(MESSAGE, smtputf8=True))
    part = email.message_from_bytes(data).get_payload(1)
    assert part.get_content_type() == "message/global-delivery-status"  # type: ignore[union-attr]
    assert "Final-Recipient: utf-8; jörg@far.test".encode() in data


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (ORIGINAL, "text/rfc822-headers"),
        (Original(b"Subject: Hi\r\n\r\nbody\r\n", True), "message/rfc822"),
        (Original("Subject: ü\r\n\r\n".encode(), False), "message/global-headers"),
    ],
)
def test_what_is_returned(original: Original, kind: str) -> None:
    data = made(Fate(RECIPIENT, Action.FAILED, "5.0.0"), original=original)
    assert email.message_from_bytes(data).get_payload(2).get_content_type() == kind  # type: ignore[union-attr]


@given(st.text(max_size=60), st.text(max_size=60), st.binary(max_size=80))
def test_what_others_say_cannot_break_a_report(text: str, peer: str, content: bytes) -> None:
    fate = Fate(
        replace(RECIPIENT, orcpt=text, orcpt_type="rfc822"),
        Action.FAILED,
        "5.0.0",
        text,
        peer,
        f"smtp; {text}",
    )
    data = made(fate, original=Original(b"Subject: x\r\n" + content, True, text))
    message = email.message_from_bytes(data)
    assert len(message.get_payload()) == 3
    about, recipient = groups(data)
    assert (about["Reporting-MTA"], recipient["Action"]) == ("dns; mx.example.test", "failed")
    assert set(recipient.keys()) <= {
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    }
