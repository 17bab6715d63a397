"""A mail server elsewhere that takes what comes: the one of tests.support.faulty, by what it was given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support import faulty
from tests.support.faulty import Faulty


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it was given to us: addresses without brackets, content without the dots stuffed in."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    encrypted: bool
    mail: str = ""


class Remote(Faulty):
    """Listens on 127.0.0.1; `rcpt` and `end` are its replies to RCPT and to the final dot ("": none),
    `offered` its extensions.

    pair: a PEM file with key and certificate; with it, STARTTLS is offered.
    """

    taken: list[Taken]  # type: ignore[assignment]

    def __init__(self, pair: Path | None = None) -> None:
        super().__init__(pair=pair, offered=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 50000000"])
        self.rcpt = "250 2.1.5 fine"
        self.end = "250 2.0.0 taken"

    def reply(self, key: str, otherwise: str) -> str:
        if key == ".":
            return self.end or faulty.HANG
        return self.rcpt if key == "RCPT" else otherwise

    def took(self, taken: faulty.Taken) -> None:
        data = re.sub(rb"(?m)^\.", b"", taken.data)
        recipients = tuple(map(_path, taken.rcpt))
        self.taken.append(Taken(_path(taken.mail), recipients, data, taken.encrypted, taken.mail))


def _path(argument: str) -> str:
    """The address in "FROM:<a@b> ..."."""
    return argument.partition("<")[2].partition(">")[0]
