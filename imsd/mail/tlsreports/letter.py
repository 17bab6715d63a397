"""A report on TLS as a message (RFC 8460 5.3)."""

from __future__ import annotations

from imsd.mail.requiring import FIELD
from imsd.trust.tlsrpt import Heading
from protocols.message import compose, dates


def letter(heading: Heading, to: str, packed: bytes, seconds: float, token: str) -> bytes:
    """packed: the report, compressed. token: random, for the id and the boundary."""
    domain, submitter = heading.domain, heading.submitter
    text = (
        f"This is a report on TLS with the mail exchangers of {domain}, by {heading.organization}.\n"
        f"The attached file is for programs (RFC 8460). Questions: {heading.contact}\n"
    )
    name = compose.parameter("filename", heading.filename)
    attached = (
        b"Content-Transfer-Encoding: base64\r\n",
        compose.raw_field("Content-Disposition", b"attachment" + name),
    )
    parts = [
        compose.text(text),
        compose.entity("application/tlsrpt+gzip", compose.base64(packed), fields=attached),
    ]
    subject = f"Report Domain: {domain} Submitter: {submitter} Report-ID: <{heading.report_id}>"
    fields = [
        compose.raw_field("From", compose.mailbox(heading.contact, heading.organization)),
        compose.raw_field("To", compose.mailbox(to)),
        compose.raw_field("Subject", subject.encode("ascii", "replace")),
        compose.raw_field("Date", dates.format(seconds)),
        compose.raw_field("Message-ID", compose.message_id(submitter, token)),
        compose.raw_field("TLS-Report-Domain", domain.encode("ascii", "replace")),
        compose.raw_field("TLS-Report-Submitter", submitter.encode("ascii", "replace")),
        # RFC 8460 3: it is delivered despite any failure of TLS.
        compose.raw_field(FIELD, b"No"),
        compose.raw_field("Auto-Submitted", b"auto-generated"),
    ]
    kind = b'; report-type="tlsrpt"'
    body = compose.multipart("report", parts, compose.boundary_for(parts, token), parameters=kind)
    return compose.message(fields, body)
