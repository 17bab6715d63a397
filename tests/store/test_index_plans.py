"""What is read of large mailboxes is found by an index, never by walking all of it."""

import re

import pytest

from imsd.store import contents, counting, entries, entry_index, messages
from imsd.store.sql import SQLITE
from tests.support.mail import make_account
from tests.support.stores import open_store, run


@pytest.mark.parametrize(
    ("statement", "found_by"),
    [
        (messages._AFTER_MODSEQ, "INDEX message_modseq (account=? AND mailbox=? AND modseq>?)"),
        (messages._VANISHED, "INDEX expunged_modseq (account=? AND mailbox=? AND modseq>?)"),
        (messages._AFTER_UID, "PRIMARY KEY (account=? AND mailbox=? AND uid>?)"),
        (messages._INDEX_ROWS, "PRIMARY KEY (account=? AND mailbox=? AND uid=?)"),
        (messages._ROWS, "PRIMARY KEY (account=? AND mailbox=? AND uid=?)"),
        (entries._CHILDREN, "INDEX ix_entry_parent (parent=? AND id>?)"),
        (entries._LOAD_MANY, "INTEGER PRIMARY KEY (rowid=?)"),
        (entries._DESCENDANT[3], "INDEX sqlite_autoindex_entry_1 (parent=? AND rdn_normal=?)"),
        (entry_index._VALUES, "PRIMARY KEY (attribute=? AND (value,entry)>(?,?))"),
        (entry_index._VALUES_OF, "INDEX ix_entry_value_entry (entry=?)"),
        (counting._BETWEEN, "PRIMARY KEY (account=? AND mailbox=? AND uid>? AND uid<?)"),
        (
            contents._statement(contents.t.message, True, True, True, True, True),
            "PRIMARY KEY (account=? AND mailbox=? AND uid=?)",
        ),
    ],
)
def test_plan(sqlite_database, statement, found_by):
    make_account(sqlite_database)

    def plan(tx):
        text = statement.compile(SQLITE).text
        lists = re.finditer(r"json_each\(\?\)|\?", text)
        params = [1 if found[0] == "?" else "[1]" for found in lists]
        return [row[3] for row in tx._execute(f"EXPLAIN QUERY PLAN {text}", params)]

    steps = run(sqlite_database.read(plan))
    assert any(found_by in step for step in steps), steps
    assert not any(re.match(r"SCAN (message|expunged|blob|entry)", step) for step in steps), steps


def test_nothing_is_planned_by_what_a_small_store_was_like(tmp_path):
    database = open_store(tmp_path / "home")
    run(database.write(lambda unit: unit._execute("ANALYZE")))
    run(database.close())
    database = open_store(tmp_path / "home")
    found = run(database.read(lambda tx: tx._execute("SELECT name FROM sqlite_schema").fetchall()))
    run(database.close())
    assert found and not [name for (name,) in found if name.startswith("sqlite_stat")]
