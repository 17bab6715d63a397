"""Reports as they are written (RFC 3464, RFC 3461), read back by another parser."""

from __future__ import annotations

import email
import email.policy
import quopri
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.mail.bounce import Action, Fate, Frame, Original, report, wanted
from imsd.mail.explaining import WORDS, Words, words_for
from imsd.mail.reasons import Reason, kind_of, product_line, reason_of
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
        Frame("mx.example.test", "token", 0, "Example:Main:MX"),
        sender="postmaster@example.test",
        to="a@b.test",
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
        ("SUCCESS", {Action.DELIVERED, Action.RELAYED, Action.EXPANDED}),
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
        "X-Exch-Diagnostic": "MSEXCH:IMS:Example:Main:MX 3550 550 no",
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


@pytest.mark.parametrize("complete", [False, True])
def test_what_is_beyond_ascii_reaches_who_takes_none(complete: bool) -> None:
    """RFC 6533 4.5: the server of who sent it may not take SMTPUTF8, though he could send it."""
    recipient = replace(RECIPIENT, address="jörg@far.test")
    octets = "Subject: übel\r\nX: =3D\r\n\r\n".encode() + ("größer\r\n".encode() if complete else b"")
    message = replace(MESSAGE, smtputf8=True)
    fates = [Fate(recipient, Action.FAILED, "5.6.7", "550 für dich nicht")]
    data = report(
        message,
        fates,
        Original(octets, complete, "übel"),
        Frame("mx", "t", 0),
        sender="p@example.test",
        to="a@b.test",
        utf8=False,
    )
    assert data.isascii()
    _, about, back = email.message_from_bytes(data).get_payload()  # type: ignore[misc]
    assert about.get_content_type() == "message/global-delivery-status"
    assert back.get_content_type() == ("message/global" if complete else "message/global-headers")
    parts = data.split(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n")
    assert "Final-Recipient: utf-8; jörg@far.test".encode() in quopri.decodestring(parts[-2])
    assert quopri.decodestring(parts[-1]).startswith(octets.rstrip(b"\r\n"))


def test_what_is_ascii_after_all_has_the_form_that_everybody_knows() -> None:
    data = made(Fate(RECIPIENT, Action.FAILED, "5.1.1"), message=replace(MESSAGE, smtputf8=True))
    assert email.message_from_bytes(data).get_payload(1).get_content_type() == "message/delivery-status"  # type: ignore[union-attr]


def test_octets_beyond_ascii_are_announced() -> None:
    """RFC 2045 6.1: what says nothing of its encoding is 7bit."""
    recipient = replace(RECIPIENT, address="jörg@far.test")
    data = made(Fate(recipient, Action.FAILED, "5.6.7"), message=replace(MESSAGE, smtputf8=True))
    part = email.message_from_bytes(data).get_payload(1)
    assert part["Content-Transfer-Encoding"] == "8bit"  # type: ignore[union-attr, index]


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


def test_no_more_recipients_are_named_than_set() -> None:
    fates = [Fate(replace(RECIPIENT, address=f"x{n}@far.test"), Action.FAILED, "5.1.1") for n in range(12)]
    data = report(
        MESSAGE, fates, ORIGINAL, Frame("mx", "t", 0, most=10), sender="p@example.test", to="a@b.test"
    )
    assert len(groups(data)) == 1 + 10
    assert b"x9@far.test" in data and b"x10@far.test" not in data and b"... and 2 more recipients." in data


def test_addresses_beyond_ascii_in_a_report_that_must_be_ascii() -> None:
    recipient = replace(RECIPIENT, address="jörg+x@far.test", orcpt_type="utf-8", orcpt="jürg@far.test")
    data = made(Fate(recipient, Action.FAILED, "5.1.1"))
    group = groups(data)[1]
    assert group["Final-Recipient"] == r"utf-8; j\x{F6}rg\x{2B}x@far.test"
    assert group["Original-Recipient"] == r"utf-8; j\x{FC}rg@far.test"


@pytest.mark.parametrize(
    ("language", "subject", "sentence"),
    [
        ("", "Not delivered: Hi", "Check the spelling"),
        ("de-AT, en;q=0.5", "Nicht zugestellt: Hi", "Schreibweise"),
        ("fr", "Non remis: Hi", "orthographe"),
        ("xx", "Not delivered: Hi", "There is nobody of this address."),
    ],
)
def test_people_read_their_own_language(language: str, subject: str, sentence: str) -> None:
    data = report(
        MESSAGE,
        [Fate(RECIPIENT, Action.FAILED, "5.1.1")],
        ORIGINAL,
        Frame("mx", "t", 0, words=words_for(language)),
        sender="p@example.test",
        to="a@b.test",
    )
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert message["Subject"] == subject
    assert sentence in message.get_payload(0).get_content()  # type: ignore[union-attr]


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_every_language_has_every_word(words: Words) -> None:
    assert set(words.reasons) == set(Reason)
    actions = {action.value for action in Action}
    assert set(words.subjects) == set(words.opening) == set(words.listing) == actions
    assert "{0}" in words.until and "{0}" in words.more


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
        "X-Exch-Diagnostic",
    }


@pytest.mark.parametrize(
    ("status", "text", "diagnostic", "kind", "line"),
    [
        ("5.1.1", "No such recipient", "", "address-not-found", "0 (000C05A6) Unknown Recipient"),
        ("5.1.1", "", "smtp; 550 5.1.1 no", "protocol-error", "3550 550 5.1.1 no"),
        ("5.1.4", "", "", "multiple-matches", "0 (000C0595) Ambiguous Recipient"),
        ("5.6.3", "bad", "", "conversion-failed", "0 bad"),
        ("5.1.2", "", "", "host-not-found", "3902 Host unknown"),
        ("5.1.10", "", "", "host-not-found", "3902 Host unknown"),
        ("4.4.7", "late", "smtp; 450 busy", "timeout", "0 late"),
        ("4.4.7", "late", "", "timeout", "0 late"),
        ("5.3.4", "", "", None, "3903 (000B099C) Message exceeds size limit."),
        ("5.4.6", "", "", None, "0 (00120270) Too Many Hops"),
        ("5.1.8", "", "", None, "0 (000D06B5) No proxy for recipient"),
        ("5.5.3", "", "", None, "0 (00010256) Too many recipients"),
        ("5.7.1", "not you", "", None, "0 not you"),
        ("5.7.1", "", "smtp; 554 5.7.1 no", "protocol-error", "3554 554 5.7.1 no"),
        ("5.0.0", "", "", None, "0 5.0.0"),
    ],
)
def test_codes_are_sorted(status: str, text: str, diagnostic: str, kind: str | None, line: str) -> None:
    assert kind_of(status, diagnostic) == kind
    assert product_line(status, text, diagnostic) == line


@given(st.text(max_size=12))
def test_any_code_has_a_reason(status: str) -> None:
    assert reason_of(status) in Reason
