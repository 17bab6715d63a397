"""SEARCH with an index finds what SEARCH without one finds, at every stage of the index."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select as select_ids

from imsd.sessions.imap4 import narrowing, searching
from imsd.store import blob_rows, jobs, messages
from imsd.store.blobs import new_blob
from imsd.store.ids import INBOX
from imsd.store.search import embedded, filling, shared, texts
from imsd.store.search.grams import skeleton
from imsd.store.sql import sql
from imsd.store.tables import store
from protocols.imap4 import keys
from protocols.message.collation import COMPARATORS, DEFAULT, fold
from protocols.message.summary import summarize
from tests.support.imap import mailstore, select, session, uid_set
from tests.support.mail import ALICE, NOW, content, make_account, put
from tests.support.searching import ODD, Growing, mails
from tests.support.stores import open_store, run


@pytest.fixture
def growing(database: Any, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Growing]:
    monkeypatch.setattr(narrowing, "WORTH", 1)
    monkeypatch.setattr(shared.Horizon, "PATIENCE", -1.0)
    make_account(database)
    growing = Growing(database, database_url)
    yield growing
    growing.close()
    growing.index.close()


def append(database: Any, *items: bytes, prefix: bytes = b"") -> list[int]:
    return [
        run(
            database.write(
                messages.append, ALICE, INBOX, new_blob(data, summarize(data)), 0, (), NOW, NOW, prefix
            )
        ).uid
        for data in items
    ]


def found(database: Any, index: Any, key: Any, comparator: str = DEFAULT) -> list[int]:
    return [uid for uid, _ in scored(database, index, key, comparator)]


def scored(database: Any, index: Any, key: Any, comparator: str = DEFAULT) -> list[tuple[int, int]]:
    """UIDs with their relevancy, 0 where nothing is fuzzy."""
    held = mailstore(database)
    held.search = index
    view = select(session(held))
    try:
        answer = run(view.search(key, comparator))
        assert len(answer.scores) == (len(answer.uids) if keys.is_fuzzy(key) else 0)
        return list(zip(answer.uids, answer.scores or [0] * len(answer.uids), strict=True))
    finally:
        view.close()
        held.indexes.close()


terms = st.text(st.sampled_from(ODD), min_size=1, max_size=6)


@st.composite
def text_keys(draw: st.DrawFn, words: list[str]) -> keys.Key:
    """A key that asks for a piece of what is there, or for what may not be."""
    text = draw(terms)
    if words and draw(st.booleans()):
        word = draw(st.sampled_from(words))
        start = draw(st.integers(0, max(len(word) - 1, 0)))
        text = word[start : start + draw(st.integers(1, 8))]
    leaf = draw(
        st.sampled_from(
            (keys.Body(text), keys.Text(text), keys.Header("subject", text), keys.Header("x-odd", text))
        )
    )
    if draw(st.booleans()):
        leaf = keys.Fuzzy(leaf)
    match draw(st.integers(0, 4)):
        case 0:
            return keys.Not(leaf)
        case 1:
            return keys.Or(leaf, keys.Header("from", draw(terms)))
        case 2:
            return keys.And((leaf, keys.Not(keys.Body(draw(terms)))))
        case _:
            return leaf


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_no_stage_of_the_index_changes_an_answer(data: Any, growing: Growing, database: Any) -> None:
    new = data.draw(st.lists(mails(), min_size=1, max_size=4))
    append(database, *new)
    words = []
    for mail in new:
        scan = texts.Scan.unpack(summarize(mail).packed)
        words += [one for one in texts.body(scan, lambda start, stop, m=mail: m[start:stop]) if one]
        words.append(texts.readable(mail[: scan.header_size]))
    asked = data.draw(st.lists(text_keys(words), min_size=3, max_size=6))
    if data.draw(st.booleans()):
        growing.fill()
    comparator = data.draw(st.sampled_from(list(COMPARATORS)))
    for key in asked:
        indexed = scored(database, growing.index, key, comparator)
        assert indexed == scored(database, None, key, comparator), (key, comparator)
        if isinstance(key, keys.Fuzzy) and isinstance(key.key, keys.Header | keys.Body | keys.Text):
            # What is found exactly is found fuzzily.
            exact = keys.Body(key.key.text) if isinstance(key.key, keys.Text) else key.key
            assert set(found(database, None, exact)) <= set(found(database, None, key)), key


def _body(text: str) -> bytes:
    return f"Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("straße", "STRASSE"), ("straße", "straße"), ("İstanbul", "i\u0307stanbul"), ("cafe\u0301s", "café"),
        ("Größe", "gro\u0308ss"), ("a😀b😀c", "😀B😀"), ("ﬁnal", "final"), ("say \"quote\" it", 'y "quo'),
        ("nul\0in it", "in it"), ("ab\0cd", "b\0c"), ("x AND y OR z NEAR", "and y or"),
    ],
)  # fmt: skip
def test_what_case_folding_makes_equal_is_found_by_the_index(
    growing: Growing, database: Any, text: str, term: str
) -> None:
    append(database, _body("nothing here"), _body(text))
    growing.fill()
    expected = [2] if fold(term) in fold(text) else []
    for key in (keys.Body(term), keys.Text(term)):
        assert found(database, growing.index, key) == expected == found(database, None, key)


@pytest.mark.parametrize("text", ["<<ﬁA", "ªb c", "ǰx", "ŉo"])
def test_letters_of_which_one_is_several_are_found_fuzzily(
    growing: Growing, database: Any, text: str
) -> None:
    append(database, _body("nothing here"), _body(text))
    growing.fill()
    for key in (keys.Fuzzy(keys.Body(text)), keys.Fuzzy(keys.Text(text))):
        assert found(database, growing.index, key) == [2] == found(database, None, key)


def test_what_is_indexed_of_a_piece_is_a_piece_of_what_is_indexed() -> None:
    letters = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    assert [one for one in letters if skeleton(skeleton(one)) != skeleton(one)] == []


@pytest.mark.parametrize(
    ("comparator", "uids"), [("i;octet", [2]), ("i;ascii-casemap", [1, 2]), (DEFAULT, [1, 2, 3])]
)
def test_texts_are_compared_by_the_active_comparator(
    growing: Growing, database: Any, comparator: str, uids: list[int]
) -> None:
    append(database, _body("cRèME"), _body("crème"), _body("CRÈME"), _body("creme"))
    growing.fill()
    for key in (keys.Body("crème"), keys.Text("crème")):
        assert found(database, growing.index, key, comparator) == uids
        assert found(database, None, key, comparator) == uids
    # Names of fields have no case.
    append(database, b"sUBJECT: Z\r\n\r\n")
    assert found(database, growing.index, keys.Header("subject", "Z"), comparator) == [5]


def test_an_indexed_message_that_cannot_match_is_not_read(
    growing: Growing, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database, 30)
    append(database, _body("a needle"))
    growing.fill()
    looked: list[int] = []
    read = searching.read

    async def noted(view: Any, uids: Any, needs: Any) -> Any:
        looked.extend(uids)
        return await read(view, uids, needs)

    monkeypatch.setattr(searching, "read", noted)
    assert found(database, growing.index, keys.Body("NEEDLE")) == [31]
    assert found(database, growing.index, keys.Header("subject", "needle")) == []
    assert found(database, growing.index, keys.Not(keys.Body("needle"))) == list(range(1, 31))
    assert looked == [31, 31]
    append(database, _body("another needle"))
    assert found(database, growing.index, keys.Body("needle")) == [31, 32]


def test_text_before_the_content_is_found(growing: Growing, database: Any) -> None:
    append(database, _body("one"))
    append(database, _body("two"), prefix=b"Return-Path: <Someone@example.org>\r\nDelivered-To: x@y\r\n")
    growing.fill()
    assert found(database, growing.index, keys.Text("someone@example")) == [2]
    assert found(database, growing.index, keys.Header("return-path", "someone")) == [2]
    assert found(database, growing.index, keys.Header("x-none", "")) == []


def test_expunged_messages_are_found_until_they_are_told(growing: Growing, database: Any) -> None:
    append(database, *(_body(f"needle {n}") for n in range(5)))
    growing.fill()
    held = mailstore(database)
    held.search = growing.index
    view = select(session(held))
    run(jobs.expunge(database, (ALICE, INBOX), [2, 3], NOW, only_deleted=False))
    assert list(run(view.search(keys.Body("needle"))).uids) == [1, 2, 3, 4, 5]
    list(view.updates(True))
    assert list(run(view.search(keys.Body("needle"))).uids) == [1, 4, 5]
    assert list(run(view.search(keys.And((keys.Numbers(uid_set((4, 9))), keys.Body("needle"))))).uids) == [
        4,
        5,
    ]


def test_a_message_of_which_a_part_is_indexed_is_read(
    growing: Growing, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "LIMIT", 1000)
    append(database, _body("filler " * 2000 + "needle"), _body("short"))
    growing.fill()
    assert run(growing.index.state()).partial == 1
    assert found(database, growing.index, keys.Body("needle")) == [1]


def test_content_that_cannot_be_read_does_not_stop_the_filling(growing: Growing, database: Any) -> None:
    blob = content("lost")
    run(database.write(messages.append, ALICE, INBOX, blob, 0, (), NOW, NOW))
    run(database.write(lambda unit: unit.run(sql(blob_rows.content.delete()))))
    append(database, _body("a needle"))
    growing.fill()
    assert run(growing.index.state()).documents == 2
    assert 2 in found(database, growing.index, keys.Body("needle"))


def test_an_index_of_another_incarnation_says_nothing(growing: Growing, database: Any) -> None:
    append(database, _body("a needle"))
    growing.fill()
    other = sql(store.update().values(value="other").where(store.c.name == "incarnation"))
    run(database.write(lambda unit: unit.run(other)))
    growing.close()
    again = Growing(database, growing._url)
    try:
        assert run(again.index.state()).upto == 0
        assert found(database, again.index, keys.Body("needle")) == [1]
        again.fill()
        assert run(again.index.state()).documents == 1
        assert found(database, again.index, keys.Body("needle")) == [1]
    finally:
        again.close()
        again.index.close()


def test_the_index_is_there_after_a_restart(tmp_path: Any, store_reactor: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(narrowing, "WORTH", 1)
    database = open_store(tmp_path / "home")
    make_account(database)
    append(database, _body("a needle"), _body("hay"))
    growing = Growing(database)
    growing.fill()
    growing.close()
    growing.index.close()
    run(database.close())
    database = open_store(tmp_path / "home")
    growing = Growing(database)
    assert run(growing.index.state()).documents == 2
    assert found(database, growing.index, keys.Body("needle")) == [1]
    growing.index.close()
    run(database.close())


def test_a_damaged_file_is_noticed_and_answers_stay_right(
    sqlite_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "WORTH", 1)
    make_account(sqlite_database)
    append(sqlite_database, _body("a needle"), _body("hay"))
    growing = Growing(sqlite_database)
    growing.fill()
    growing.close()
    path = embedded.path_of(sqlite_database.home)
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.write_bytes(b"This is no database, and was one. " * 1000)
    assert found(sqlite_database, growing.index, keys.Body("needle")) == [1]
    assert growing.index.unusable
    with pytest.raises(embedded.Unusable):
        Growing(sqlite_database).step()
    run(growing.index.forget())
    assert not growing.index.unusable
    growing.fill()
    assert run(growing.index.state()).documents == 2
    assert run(growing.index.check()) == []
    assert found(sqlite_database, growing.index, keys.Body("needle")) == [1]
    growing.close()
    growing.index.close()


def test_a_shard_of_the_dead_is_made_anew(sqlite_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrowing, "WORTH", 1)
    monkeypatch.setattr(embedded, "SHARD", 8)
    monkeypatch.setattr(filling, "BATCH", 3)
    make_account(sqlite_database)
    append(sqlite_database, *(_body(f"needle {n}") for n in range(20)))
    growing = Growing(sqlite_database)
    growing.fill()
    dead = sql(blob_rows.blob.delete().where(blob_rows.blob.c.id.in_([*range(2, 8), *range(8, 16)])))
    run(sqlite_database.write(lambda unit: unit.run(dead)))
    for _ in range(3):
        growing.filler.tidy()
    assert run(growing.index.state()).documents == 1 + 5
    assert run(growing.index.check()) == []
    matches = run(growing.index.match([], ["needle"], 1, 100))
    assert matches.bodies["needle"] == {1, 16, 17, 18, 19, 20}
    growing.close()
    growing.index.close()


def test_dates_are_decided_by_columns(growing: Growing, database: Any) -> None:
    put(database, 3)
    key = keys.Sent(keys.When.ON, date(1994, 2, 7))
    assert found(database, growing.index, key) == [1, 2, 3]


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_a_check_finds_what_the_shared_index_lacks(database: Any, growing: Growing) -> None:
    append(database, *(b"Subject: one %d\r\n\r\nsome text of %d\r\n" % (n, n) for n in range(250)))
    growing.fill()
    assert run(growing.index.check()) == []

    def spoil(unit: Any) -> None:
        blobs = sorted(blob for (blob,) in unit.all(sql(select_ids(blob_rows.blob.c.id))))
        unit._execute(f"DELETE FROM search_document WHERE blob = {blobs[3]}", {})
        unit._execute(f"UPDATE search_document SET body = body[2:] WHERE blob = {blobs[240]}", {})
        spoiled.extend((blobs[3], blobs[240]))

    spoiled: list[int] = []
    run(database.write(spoil))
    assert run(growing.index.check()) == [
        f"content {spoiled[0]} is not in the index",
        f"the index lacks text of content {spoiled[1]}",
    ]
    run(growing.index.forget())
    assert run(growing.index.check()) == []
