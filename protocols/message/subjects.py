"""The base subject: what a thread is about, whatever programs put around it (RFC 5256 2.1)."""

import re
from typing import NamedTuple

# subj-refwd    = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
# subj-blob     = "[" *BLOBCHAR "]" *WSP
# subj-leader   = (*subj-blob subj-refwd) / WSP
# Every repetition takes what no other could: nothing is tried twice for long.
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_REFWD = re.compile(r"(?:re|fwd?)\s*(?:\[[^\[\]]*\]\s*)?:", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]+")
_FORWARDED = "[fwd:"
_TRAILER = "(fwd)"


class Subject(NamedTuple):
    """base: the base subject. answer: taking it out showed a reply or a forward (RFC 5256 3)."""

    base: str
    answer: bool


def base_subject(text: str) -> Subject:
    """From the decoded subject; the steps are those of RFC 5256 2.1."""
    answer = False
    text = _SPACE.sub(" ", text)
    while True:
        # (2)
        text = text.rstrip(" ")
        while text[-5:].lower() == _TRAILER:
            answer = True
            text = text[:-5].rstrip(" ")
        at = blobs = 0
        while True:
            # (3); behind the blobs that lead up to `blobs` is no refwd, that was looked for.
            if at >= blobs:
                at, blobs, found = _leaders(text, at)
                answer = answer or found
            # (4)
            blob = _BLOB.match(text, at)
            if blob is None or blob.end() >= len(text):
                break
            at = blob.end()
        text = text[at:]
        # (6)
        if not (text[:5].lower() == _FORWARDED and text.endswith("]")):
            return Subject(text, answer)
        answer = True
        text = text[5:-1]


def _leaders(text: str, at: int) -> tuple[int, int, bool]:
    """Behind all leaders, behind the blobs that follow, and whether a leader was a refwd."""
    found = False
    while True:
        if text.startswith(" ", at):
            at += 1
            continue
        end = at
        while blob := _BLOB.match(text, end):
            end = blob.end()
        leader = _REFWD.match(text, end)
        if leader is None:
            return at, end, found
        found = True
        at = leader.end()
