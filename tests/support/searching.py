"""Messages of odd charsets, encodings and characters, and an index that is filled step by step."""

from __future__ import annotations

import base64
import quopri
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from imsd.store.database import Database
from imsd.store.search.index import SearchIndex
from imsd.store.search.indexer import Filler, make_filler
from imsd.store.sql import SQLITE
from tests.support.stores import run

ODD = "abcdefxyzABCXYZ  ,.-\"'\tßẞİıÅÅÅéèÉEE\u0301\u0308ﬁſςσΣǅ中文字日本かな𝔸😀\u200d\ufffd<>&"
CHARSETS = ("utf-8", "iso-8859-1", "utf-16", "utf-7", "iso-2022-jp", "gb18030", "windows-1252", "x-unknown")

texts = st.text(st.sampled_from(ODD), min_size=1, max_size=60)


def _word(text: str, charset: str, kind: str) -> bytes:
    octets = text.encode(charset, "replace")
    if kind == "b":
        return b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(octets))
    return b"=?%b?Q?%b?=" % (charset.encode(), b"".join(b"=%02X" % octet for octet in octets))


@st.composite
def header_values(draw: st.DrawFn) -> bytes:
    """Text as encoded words, cut anywhere and folded, or as raw UTF-8."""
    text = draw(texts)
    if draw(st.booleans()):
        return text.replace("\t", " ").encode("utf-8", "replace")
    cut = draw(st.integers(0, len(text)))
    charset, kind = draw(st.sampled_from(("utf-8", "iso-8859-1", "gb18030"))), draw(st.sampled_from("bq"))
    return b"\r\n ".join(_word(piece, charset, kind) for piece in (text[:cut], text[cut:]))


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    """A text part with its header."""
    charset = draw(st.sampled_from(CHARSETS))
    encoding = draw(st.sampled_from(("base64", "quoted-printable", "8bit")))
    kind = draw(st.sampled_from(("plain", "html")))
    text = "\r\n".join(draw(st.lists(texts, min_size=1, max_size=4)))
    octets = text.encode("utf-8" if charset == "x-unknown" else charset, "replace")
    if encoding == "base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        octets = quopri.encodestring(octets, quotetabs=True).replace(b"\n", b"\r\n")
    return (
        f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode() + octets


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """A message of one part, of several, or with another one enclosed."""
    header = b"From: %b <a@b.example>\r\nSubject: %b\r\nX-Odd: %b\r\nMIME-Version: 1.0\r\n" % (
        draw(header_values()), draw(header_values()), draw(header_values()),
    )  # fmt: skip
    match draw(st.integers(0, 2)):
        case 0:
            return header + draw(parts())
        case 1:
            several = draw(st.lists(parts(), min_size=1, max_size=3))
            inside = b"".join(b"--b\r\n%b\r\n" % each for each in several)
            return header + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + inside + b"--b--\r\n"
        case _:
            return header + b"Content-Type: message/rfc822\r\n\r\n" + draw(mails())


class Growing:
    """The index of an open store, filled a few blobs at a time."""

    def __init__(self, database: Database, url: str = "sqlite") -> None:
        self._database = database
        self._url = url
        self.index = SearchIndex(database)
        run(self.index.start())
        self._filler: Filler | None = None

    @property
    def home(self) -> Path:
        return self._database.home

    @property
    def filler(self) -> Filler:
        if self._filler is None:
            self._filler = make_filler(self._url, self.home, self.index.incarnation)
            assert self._filler is not None
        return self._filler

    def fill(self) -> None:
        """Index everything."""
        top = run(self.index.newest())
        for _ in range(1000):
            more: Any = self.filler.step()
            if not more and self.filler.upto >= top:
                return
        raise AssertionError("the index does not catch up")

    def step(self) -> None:
        self.filler.step()

    def close(self) -> None:
        """As if the process had ended."""
        if self._filler is not None:
            self._filler.close()
            self._filler = None

    @property
    def embedded(self) -> bool:
        return self._database.dialect == SQLITE
