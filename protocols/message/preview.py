"""The PREVIEW of a message: at most 200 characters of its text (RFC 8970 3.1)."""

import re

from protocols.message.part import Part, Scan
from protocols.message.text import sample_text

LENGTH = 200
FIRST = 800

# No control characters, and none that change the direction or joining of what a client shows around it.
_UNWANTED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffd]+"
)


def preview(scan: Scan) -> str:
    """Preview of a freshly scanned message, from the samples the scan took."""
    best = ""
    for part, sample in sorted(scan.samples, key=_order):
        # Nearly always the beginning of plain text is enough.
        head = sample[:FIRST] if part.content.subtype == b"PLAIN" else sample
        best = clean(sample_text(part, head))
        if len(head) < len(sample) and len(best) < LENGTH - 5:
            best = clean(sample_text(part, sample))
        if best:
            break
    return best


def _order(pair: tuple[Part, bytes]) -> bool:
    # Plain text before HTML before anything else, otherwise as they stand.
    return pair[0].content.subtype != b"PLAIN"


def clean(text: str) -> str:
    """One line, white space collapsed, cut at 200 characters."""
    short = _clean(text[: LENGTH * 2])
    return short if len(short) >= LENGTH - 1 or len(text) <= LENGTH * 2 else _clean(text[: LENGTH * 8])


def _clean(text: str) -> str:
    text = " ".join(text.split())
    if not (text.isascii() and text.isprintable()):
        text = " ".join(_UNWANTED.sub(" ", text[: LENGTH * 2]).split())
    if len(text) < LENGTH:
        return text
    return text[:LENGTH].rstrip()
