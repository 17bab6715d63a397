"""The table of operations: what does not fit is refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import imsd.admin  # noqa: F401 - enters the operations
from imsd.admin.operations import OPERATIONS, call
from imsd.errors import ConstraintViolation, NoSuchEntry, Refusal


def refused(name: str, arguments: dict[str, Any]) -> Refusal:
    outcome: list[Any] = []
    Deferred.fromCoroutine(call(object(), name, arguments)).addBoth(outcome.append)
    assert isinstance(outcome[0], Failure)
    error = outcome[0].value
    assert isinstance(error, Refusal), error
    return error


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_argument_that_there_is_not_is_named(name: str) -> None:
    error = refused(name, {"nothing_like_it": 1})
    assert isinstance(error, ConstraintViolation)
    assert "nothing_like_it" in error.text


def test_a_missing_argument_is_named() -> None:
    assert "address" in refused("user.add", {}).text


def test_an_argument_of_another_type_is_named() -> None:
    assert "members" in refused("group.join", {"address": "a@b", "members": 3}).text


def test_an_unknown_operation_is_no_entry() -> None:
    assert isinstance(refused("user.fly", {}), NoSuchEntry)


def test_every_operation_says_what_it_does() -> None:
    assert all(operation.summary for operation in OPERATIONS.values())
