"""What a server had claimed that died is claimed by another; one that is only slow keeps what is its own."""

from __future__ import annotations

import pytest

from imsd.duties import LEASE, RENEWED, Duties
from imsd.mail.following import Following
from imsd.store import claims, duties, following
from imsd.store.database import Database
from imsd.store.tables import now
from tests.mail.test_delivery import Post
from tests.support.stores import run

pytestmark = pytest.mark.postgres

HERE, THERE = 3, 4
LONG = 600_000_000


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_died_is_followed(database: Database) -> None:
    post = Post(database)
    post.send("x@far.test", "y@far.test")
    (claim,) = run(database.write(claims.claim_due, now(), 10, LONG, THERE))
    freed: list[bool] = []
    ours = Duties(database, database.reactor, "here")
    one = Following(database, ours, HERE, database.reactor, lambda: freed.append(True))
    run(one.start())
    one.stop()
    # It is there: its lease runs.
    run(database.write(duties.take, following.presence(THERE), THERE, "there", now(), LONG))
    run(one.look())
    assert not freed and run(database.write(following.free, THERE, now())) == 0
    assert set(run(ours.holders())) == {"following", "server 3", "server 4"}
    # It is not.
    run(database.write(duties.free, [following.presence(THERE)], THERE))
    run(one.look())
    assert freed == [True]
    (again,) = run(database.write(claims.claim_due, now(), 10, LONG, HERE))
    assert {each.address for each in again.recipients} == {"x@far.test", "y@far.test"}
    # Should it be there after all, it finds out before it sends.
    assert not run(database.write(claims.extend, claim, now() + LONG))
    assert run(database.write(claims.extend, again, now() + LONG))
    # Nobody follows himself, and what nobody has claimed is not looked at.
    run(one.look())
    assert freed == [True]
    run(ours.stop())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_of_two_one_looks_and_the_other_follows(database: Database) -> None:
    post = Post(database)
    pair = [Duties(database, database.reactor, name) for name in ("one", "two")]
    for number, each in enumerate(pair):
        each.node = HERE + number
    looked: list[int] = []
    both = [
        Following(database, each, each.node, database.reactor, lambda each=each: looked.append(each.node))  # type: ignore[misc]
        for each in pair
    ]
    for each in both:
        run(each.start())
        each.stop()
        run(each.look())
    post.send("x@far.test")
    run(database.write(claims.claim_due, now(), 10, LONG, 99))
    run(both[1].look())
    assert not looked
    run(pair[0].stop())
    database.reactor.advance(RENEWED)
    run(both[1].look())
    assert looked == [HERE + 1]
    run(pair[1].stop())
    assert LEASE > 2 * RENEWED
