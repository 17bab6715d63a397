"""A file of records on its way to the server, and what a stop leaves of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imsd.ctl import recordfile
from imsd.ctl.recordfile import Journal, RecordFile, Standing, send


class Server:
    """Takes pieces and says that each record was added; stops before one of them."""

    def __init__(self, stop: int = 0) -> None:
        self.pieces: list[tuple[str, list[str], bool]] = []
        self._stop = stop

    def __call__(self, records: list[str], step: str, repeated: bool) -> Any:
        if self._stop and len(self.pieces) + 1 == self._stop:
            raise ConnectionError
        self.pieces.append((step, [name(text) for text in records], repeated))
        lists = [number for number, text in enumerate(records) if "member:" in text]
        later = lists if step == recordfile.ENTRIES else []
        refused = [[number, "Bad", "it is bad"] for number, text in enumerate(records) if "bad" in text]
        return {"counts": {"added": len(records) - len(refused)}, "later": later, "refused": refused}


def ignore(count: int, further: int = 0) -> None:
    pass


def name(text: str) -> str:
    return text.partition("\n")[0].partition("=")[2].partition(",")[0].strip()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recordfile, "PIECE", 2)
    file = tmp_path / "all.ldif"
    file.write_text(
        "version: 1\n\ndn: cn=deep,cn=a,o=x\nmember: cn=b\n\n"
        + "".join(f"dn: cn={each},o=x\nsn: 1\n\n" for each in ("a", "bad", "c"))
        + "dn: o=x\no: x\n"
    )
    return file


def test_parents_come_first_and_lists_once_more(source: Path) -> None:
    records, server, standing = RecordFile(source), Server(), Standing()
    told: list[tuple[int, int]] = []
    send(
        records, server, standing, standing.take,
        lambda count, further=0: told.append((count, further)), repeated=False,
    )  # fmt: skip
    done, more = (sum(each) for each in zip(*told, strict=True))
    assert done == len(records) + more
    assert server.pieces == [
        ("entries", ["x", "a"], False),
        ("entries", ["bad", "c"], False),
        ("entries", ["deep"], False),
        ("references", ["deep"], False),
    ]
    assert standing.counts == {"added": 4}
    ((number, kind, reason),) = standing.refused
    assert (name(records.text(number).decode()), records.line(number), kind, reason) == (
        "bad",
        9,
        "Bad",
        "it is bad",
    )


def test_changes_keep_their_order(source: Path) -> None:
    source.write_text("dn: cn=deep,cn=a,o=x\nchangetype: delete\n\ndn: cn=a,o=x\nchangetype: delete\n")
    records = RecordFile(source)
    assert [name(records.text(number).decode()) for number in range(2)] == ["deep", "a"]


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_an_import_that_was_stopped_goes_on(source: Path, stop: int) -> None:
    first, second = Server(stop), Server()
    journal = Journal(source, "options", afresh=False)
    with pytest.raises(ConnectionError):
        send(RecordFile(source), first, journal.standing, journal.take, ignore, journal.resumed)
    journal.close(finished=False)
    with journal.path.open("a") as file:
        file.write('{"step": "entr')  # the stop was in the midst of a line
    again = Journal(source, "options", afresh=False)
    assert again.resumed
    send(RecordFile(source), second, again.standing, again.take, ignore, again.resumed)
    done = [*first.pieces, *second.pieces]
    assert [piece[:2] for piece in done] == [
        ("entries", ["x", "a"]),
        ("entries", ["bad", "c"]),
        ("entries", ["deep"]),
        ("references", ["deep"]),
    ]
    # What follows the stop may have been taken already; nothing else may.
    assert [piece[2] for piece in second.pieces] == [True] + [False] * (4 - stop)
    assert again.standing.counts == {"added": 4} and len(again.standing.refused) == 1
    again.close(finished=True)
    assert not again.path.exists()


def test_an_import_that_was_stopped_again_and_again_goes_on(source: Path) -> None:
    later: list[bool] = []
    for _ in range(10):
        journal = Journal(source, "options", afresh=False)
        server = Server(2)
        try:
            send(RecordFile(source), server, journal.standing, journal.take, ignore, journal.resumed)
        except ConnectionError:
            later += [piece[2] for piece in server.pieces]
            journal.close(finished=False)
            continue
        break
    assert journal.standing.counts == {"added": 4} and len(journal.standing.refused) == 1
    assert later == [False, True, True]


def test_one_import_of_a_file_at_a_time(source: Path) -> None:
    journal = Journal(source, "options", afresh=False)
    with pytest.raises(OSError, match="being imported already"):
        Journal(source, "options", afresh=False)
    journal.close(finished=True)


def test_another_file_or_other_options_begin_at_the_start(source: Path) -> None:
    journal = Journal(source, "options", afresh=False)
    journal.take({"step": "entries", "next": 2, "counts": {}, "later": [], "refused": []})
    journal.close(finished=False)
    assert Journal(source, "options", afresh=False).standing.next == 2
    assert Journal(source, "others", afresh=False).standing.next == 0
    journal = Journal(source, "options", afresh=False)
    journal.take({"step": "entries", "next": 2, "counts": {}, "later": [], "refused": []})
    journal.close(finished=False)
    assert Journal(source, "options", afresh=True).standing.next == 0
