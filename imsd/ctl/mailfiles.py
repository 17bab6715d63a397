"""Mail in files: Maildir trees, mbox files and folders of .eml files, read and written.

A Maildir tree is either Maildir++ (`.Sent.2026` beside `cur`, names in modified UTF-7) or nested
folders as they are named (`INBOX`, `Sent/2026`), which is what is written here. An mbox file holds
one folder; lines of a body that begin with "From " are quoted as mboxrd does, and flags stand in
Status, X-Status and X-Keywords fields, which are taken out again when it is read.
"""

from __future__ import annotations

import email.utils
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocols.imap4 import mailboxnames

INBOX: Final = "INBOX"

_MAILDIR: Final = {
    "S": "\\Seen",
    "R": "\\Answered",
    "F": "\\Flagged",
    "T": "\\Deleted",
    "D": "\\Draft",
    "P": "$Forwarded",
}
_STATUS: Final = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}
_BARE: Final = re.compile(rb"\r?\n|\r(?!\n)")
#: fields = 1*ftext ":" (RFC 5322 2.2, 3.6.8), white space before the colon as RFC 5322 4.5 has it
_HEADER: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_QUOTED: Final = re.compile(rb"^>*From ", re.MULTILINE)
_STATUS_FIELD: Final = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase):([^\n]*(?:\n[ \t][^\n]*)*)\n", re.I | re.M
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: its folder, octets with CRLF, flags by name, internal date in microseconds."""

    folder: str
    data: bytes
    flags: tuple[str, ...] = ()
    date: int | None = None


def with_crlf(data: bytes) -> bytes:
    """Every line end as it goes over the wire (RFC 5322 2.3)."""
    return _BARE.sub(b"\r\n", data)


# Reading ---------------------------------------------------------------------------------


def read(source: Path, folder: str = "") -> Iterator[Letter]:
    """Every message below `source`, whatever kind of tree or file it is.

    folder: where messages go that no folder is named for; INBOX when empty. Raises OSError, and
    ValueError for what holds no mail: a file that does not begin with a header is no message.
    """
    if source.is_file():
        yield from _file(source, folder or INBOX)
    elif (source / "cur").is_dir():
        yield from _maildir(source, folder or INBOX)
        for inner in sorted(source.iterdir()):
            if inner.name.startswith(".") and (inner / "cur").is_dir():
                name = mailboxnames.decode(inner.name[1:].replace(".", "/").encode(), utf8=False)
                yield from _maildir(inner, _below(folder, name))
    elif source.is_dir():
        yield from _tree(source, source, folder)
    else:
        raise ValueError(f"{source} does not exist")


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _tree(root: Path, here: Path, folder: str) -> Iterator[Letter]:
    for path in sorted(here.iterdir()):
        name = path.relative_to(root)
        if path.is_dir() and (path / "cur").is_dir():
            yield from _maildir(path, _below(folder, name.as_posix()))
        if path.is_dir() and path.name not in ("cur", "new", "tmp"):
            yield from _tree(root, path, folder)
        elif path.suffix == ".eml":
            yield from _file(path, folder or (name.parent.as_posix() if name.parent.name else INBOX))
        elif path.suffix == ".mbox":
            yield from _file(path, _below(folder, name.with_suffix("").as_posix()))


def _maildir(path: Path, folder: str) -> Iterator[Letter]:
    for state in ("cur", "new"):
        if not (path / state).is_dir():
            continue
        for entry in sorted(os.scandir(path / state), key=lambda one: one.name):
            if entry.name.startswith(".") or not entry.is_file():
                continue
            _, _, letters = entry.name.partition(":2,")
            flags = tuple(_MAILDIR[letter] for letter in letters if letter in _MAILDIR)
            data = Path(entry.path).read_bytes()
            yield Letter(folder, with_crlf(data), flags, int(entry.stat().st_mtime * 1_000_000))


def _file(path: Path, folder: str) -> Iterator[Letter]:
    with path.open("rb") as file:
        first = file.read(5)
    if first == b"From ":
        yield from _mbox(path, folder)
    elif first:
        data = path.read_bytes()
        if not _HEADER.match(data):
            raise ValueError(f"{path} is no message: it does not begin with a header")
        yield Letter(folder, with_crlf(data), (), _date_field(data))


def _mbox(path: Path, folder: str) -> Iterator[Letter]:
    """One message at a time: an mbox file may be larger than the memory."""
    lines: list[bytes] = []
    date: int | None = None
    blank = True
    with path.open("rb") as file:
        for line in file:
            if blank and line.startswith(b"From "):
                if lines:
                    yield _unquoted(folder, lines, date)
                lines, date = [], _separator_date(line)
            else:
                lines.append(line)
            blank = line in (b"\n", b"\r\n")
    if lines:
        yield _unquoted(folder, lines, date)


def _unquoted(folder: str, lines: list[bytes], date: int | None) -> Letter:
    if lines[-1] in (b"\n", b"\r\n"):
        lines.pop()  # what separates it from the next
    data = b"".join(line[1:] if re.match(rb">+From ", line) else line for line in lines)
    header, gap, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    flags: list[str] = []
    for name, value in _STATUS_FIELD.findall(header + b"\n"):
        text = value.decode("ascii", "replace")
        if name.lower() == b"x-keywords":
            flags += text.split()
        elif name.lower() in (b"status", b"x-status"):
            flags += [_STATUS[letter] for letter in text.strip() if letter in _STATUS]
    header = _STATUS_FIELD.sub(b"", header + b"\n")[:-1]
    whole = header + gap + body
    return Letter(folder, with_crlf(whole), tuple(dict.fromkeys(flags)), date or _date_field(whole))


def _separator_date(line: bytes) -> int | None:
    _, _, text = line.decode("latin-1").strip().partition(" ")
    _, _, moment = text.partition(" ")
    try:
        return int(time.mktime(time.strptime(moment.strip(), "%a %b %d %H:%M:%S %Y"))) * 1_000_000
    except (ValueError, OverflowError):
        return None


def _date_field(data: bytes) -> int | None:
    found = re.search(rb"^Date:[ \t]*([^\r\n]+)", data[:65_536], re.I | re.M)
    if found is None:
        return None
    try:
        return int(email.utils.parsedate_to_datetime(found[1].decode("latin-1")).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None


# Writing ---------------------------------------------------------------------------------


@dataclass(slots=True)
class MaildirTree:
    """A new tree of Maildirs, a folder each; nothing that is there is overwritten."""

    root: Path
    _made: set[str] = field(default_factory=set)
    _count: int = 0

    def folder(self, name: str) -> None:
        """Make the Maildir of a folder, also of one that stays empty."""
        if name not in self._made:
            for part in ("cur", "new", "tmp"):
                (_path(self.root, name) / part).mkdir(parents=True, exist_ok=True)
            self._made.add(name)

    def add(self, letter: Letter) -> None:
        self.folder(letter.folder)
        self._count += 1
        seconds, fraction = divmod(letter.date or 0, 1_000_000)
        unique = f"{seconds}.M{fraction}R{secrets.token_hex(4)}Q{self._count}.imsd"
        letters = "".join(sorted(key for key, flag in _MAILDIR.items() if flag in letter.flags))
        here = _path(self.root, letter.folder)
        temporary = here / "tmp" / unique
        temporary.write_bytes(letter.data)
        if letter.date is not None:
            os.utime(temporary, (seconds, seconds))
        temporary.rename(here / "cur" / f"{unique}:2,{letters}")


@dataclass(slots=True)
class MboxFiles:
    """An mbox file for each folder, `Sent/2026.mbox`; lines end with LF there."""

    root: Path
    _made: set[str] = field(default_factory=set)

    def folder(self, name: str) -> None:
        """Make the file of a folder; FileExistsError when there is one."""
        if name not in self._made:
            path = self._file(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("xb").close()
            self._made.add(name)

    def _file(self, name: str) -> Path:
        path = _path(self.root, name)
        return path.with_name(path.name + ".mbox")

    def add(self, letter: Letter) -> None:
        self.folder(letter.folder)
        moment = time.localtime((letter.date or 0) // 1_000_000)
        header, gap, body = letter.data.replace(b"\r\n", b"\n").partition(b"\n\n")
        text = (header.rstrip(b"\n") + _status(letter.flags) + (gap or b"\n\n") + body).removesuffix(
            b"\n"
        ) + b"\n"
        with self._file(letter.folder).open("ab") as file:
            file.write(b"From imsd " + time.strftime("%a %b %d %H:%M:%S %Y", moment).encode() + b"\n")
            file.write(_QUOTED.sub(lambda found: b">" + found[0], text) + b"\n")


def _status(flags: tuple[str, ...]) -> bytes:
    status = "RO" if "\\Seen" in flags else "O"
    other = "".join(key for key, flag in _STATUS.items() if key != "R" and flag in flags)
    words = " ".join(flag for flag in flags if not flag.startswith("\\"))
    lines = [f"Status: {status}"]
    lines += [f"X-Status: {other}"] if other else []
    lines += [f"X-Keywords: {words}"] if words else []
    return "".join("\n" + line for line in lines).encode()


def _path(root: Path, name: str) -> Path:
    """Where a folder's files are. A level that would lead elsewhere, or hide, is written otherwise."""
    levels = [re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), level) or "_" for level in name.split("/")]
    return root.joinpath(*(level.replace("\0", "_") for level in levels))
