"""What mailboxes and domains have sent: counted over an hour and a day, whoever counts."""

from __future__ import annotations

from imsd.store import sent
from imsd.store.database import Database
from imsd.store.sent import Over, Used
from tests.support.stores import run

NOW = 1_900_000_000.0
HOUR = 3_600.0
NONE = dict.fromkeys(
    ("messages_per_hour", "messages_per_day", "recipients_per_hour", "recipients_per_day"), None
)


def take(database: Database, who: str, recipients: int, now: float = NOW, **limits: int) -> Over | None:
    return run(database.write(sent.take, [(who, {**NONE, **limits})], recipients, now))


def used(database: Database, who: str, now: float = NOW) -> Used:
    return run(database.read(sent.used, who, now))


def test_an_hour_and_a_day_pass(database: Database) -> None:
    for number in range(3):
        assert take(database, "a@x.test", 2, NOW + number * 600) is None
    assert used(database, "a@x.test", NOW + 1_200) == Used(3, 3, 6, 6)
    assert used(database, "a@x.test", NOW + HOUR + 300) == Used(2, 3, 4, 6)
    assert used(database, "a@x.test", NOW + 24 * HOUR + 300) == Used(0, 2, 0, 4)
    assert used(database, "a@x.test", NOW + 25 * HOUR) == Used() == used(database, "b@x.test")
    assert run(database.write(sent.expire, NOW + 23 * HOUR)) == 0
    assert run(database.write(sent.expire, NOW + 25 * HOUR)) == 3
    assert used(database, "a@x.test", NOW) == Used()


def test_what_goes_beyond_is_not_counted_and_noted(database: Database) -> None:
    limits = {"messages_per_hour": 5, "recipients_per_day": 3}
    assert take(database, "a@x.test", 2, **limits) is None
    assert take(database, "a@x.test", 2, **limits) == Over("a@x.test", "recipients_per_day", 3)
    assert take(database, "a@x.test", 1, NOW + 2 * HOUR, **limits) is None
    assert take(database, "a@x.test", 1, NOW + 23 * HOUR, **limits) == Over(
        "a@x.test", "recipients_per_day", 3
    )
    assert take(database, "a@x.test", 1, NOW + 25 * HOUR, **limits) is None
    assert used(database, "a@x.test", NOW + 23 * HOUR).refused == 1


def test_a_domain_counts_with_its_mailboxes_or_neither(database: Database) -> None:
    def both(who: str) -> Over | None:
        asked = [(who, NONE), ("@x.test", {**NONE, "messages_per_day": 2})]
        return run(database.write(sent.take, asked, 1, NOW))

    assert both("a@x.test") is None and both("b@x.test") is None
    assert both("a@x.test") == Over("@x.test", "messages_per_day", 2)
    assert used(database, "a@x.test").messages_per_day == 1
    first, *others = run(database.read(sent.busy, NOW))
    assert (first, sorted(others)) == ("@x.test", ["a@x.test", "b@x.test"])
    assert run(database.write(sent.forget, "@x.test")) and not run(database.write(sent.forget, "@x.test"))
    assert both("b@x.test") is None


def test_of_many_at_once_no_more_than_the_limit_go(database: Database) -> None:
    asked = [("a@x.test", {**NONE, "messages_per_hour": 10})]
    waiting = [
        database.write(sent.take, asked, 1, NOW, account=number) for number in range(30)
    ]  # With several writers they run beside each other.
    taken = [run(each) for each in waiting]
    assert sum(each is None for each in taken) == 10
    assert used(database, "a@x.test").messages_per_hour == 10
