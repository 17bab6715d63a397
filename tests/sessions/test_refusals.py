"""Every refusal has words in every protocol."""

from __future__ import annotations

import inspect
import re

import pytest

from imsd import errors
from imsd.sessions import refusals

CLASSES = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.Refusal)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_class_has_a_row_that_agrees_with_its_permanence(kind: type[errors.Refusal]) -> None:
    row = refusals.TABLE[kind]
    assert re.fullmatch(r"[45]\.\d\.\d+", row.enhanced)
    assert row.enhanced[0] == str(row.code)[0]
    if kind.temporary:
        assert row.code < 500, "a temporary refusal may be tried again"


def test_table_has_no_other_rows() -> None:
    assert set(refusals.TABLE) == set(CLASSES)


def test_subclass_takes_the_row_of_its_parent() -> None:
    class Special(errors.OverQuota):
        pass

    reply = refusals.smtp(Special("Full"))
    assert reply is not None
    assert reply.wire == b"552 5.2.2 Full\r\n"


def test_bug_has_no_reply() -> None:
    assert refusals.smtp(ZeroDivisionError()) is None
