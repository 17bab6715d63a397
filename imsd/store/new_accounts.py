"""The mailboxes of many new people, written together.

What `mailboxes.create_account_mailboxes` and `quotas.limit` do for one. Nobody can watch an account whose
entry comes in the same unit: its counter begins behind what it was born with, and nothing is told of that.
"""

from __future__ import annotations

from collections.abc import Sequence

from imsd.store import mailbox_tables as t
from imsd.store import names
from imsd.store.ids import INBOX, AccountId
from imsd.store.quotas import Bounds, quota
from imsd.store.sql import insertion
from imsd.store.transaction import Unit

_PUT_ACCOUNT = insertion(t.account)
_PUT_MAILBOX = insertion(t.mailbox)
_PUT_SUBSCRIPTION = insertion(t.subscription)
_PUT_QUOTA = insertion(quota)


def create(
    unit: Unit,
    accounts: Sequence[tuple[AccountId, Bounds, bool]],
    now: int,
    furniture: Sequence[tuple[str, str]],
) -> None:
    """Give accounts that never were their INBOX and folders (name, special use), and their limits: bounds,
    and whether they are the entry's own."""
    first = now // 1_000_000
    folders = [(names.canonical(name), special) for name, special in ((names.INBOX, ""), *furniture)]
    made = [
        (INBOX + at, name, first + at, 1, 1, special, 1, 0, 0, 0, 0, 0, now)
        for at, (name, special) in enumerate(folders)
    ]
    subscribed = sorted(name for name, _ in folders)
    last = first + len(folders) - 1
    unit.put_all(
        _PUT_ACCOUNT,
        [
            (account, INBOX + len(folders), last, 1, 0, 0, bounds.most, bounds.messages)
            for account, bounds, _ in accounts
        ],
    )
    unit.put_all(_PUT_MAILBOX, [(account, *row) for account, _, _ in accounts for row in made])
    unit.put_all(_PUT_SUBSCRIPTION, [(account, name) for account, _, _ in accounts for name in subscribed])
    unit.put_all(
        _PUT_QUOTA, [(account, 1, bounds.warn, bounds.send, 0, 0) for account, bounds, own in accounts if own]
    )
