"""What a sender asks of the way of his message: REQUIRETLS and TLS-Required (RFC 8689).

1. REQUIRED: by the parameter of MAIL. The message goes only to hosts that were verified and that promise the
   same; else it comes back (imsd.mail.relay). OPTIONAL: by the header field `TLS-Required: No`. What the
   other domain asks for (MTA-STS, DANE) does not keep it from going; what the administrator asks for does.
2. The parameter wins over the field (4.1). The field counts where it stands once (3).
3. Whatever is made of a message, or sent because of it, is tagged as it is: copies for the members of
   lists and for who follows (4.1, 6), reports (5). Local mailboxes hold it like any other (4.4).
4. A report has the null reverse-path: it goes as it is required where that can be had, and else as others
   do, for it must not be lost (5). It returns the header alone.
"""

from __future__ import annotations

import re
from typing import Final

from protocols.message import headers

REQUIRED: Final = "required"
OPTIONAL: Final = "optional"
REPORT: Final = "report"
"""OPTIONAL, of a report on TLS: what becomes of its connection is counted nowhere (RFC 8460 3)."""

FIELD: Final = "TLS-Required"

# requiretls-field = "TLS-Required:" [FWS] "No" CRLF (RFC 8689 3)
_THERE = re.compile(rb"^tls-required[ \t]*:", re.IGNORECASE | re.MULTILINE)


def tag(header: bytes, required: bool) -> str:
    """What is asked for. header: of the message; required: by the parameter."""
    if required:
        return REQUIRED
    if not _THERE.search(header):
        return ""
    said = [field.text for field in headers.fields(header) if field.name.lower() == b"tls-required"]
    return OPTIONAL if len(said) == 1 and said[0].strip().lower() == b"no" else ""
