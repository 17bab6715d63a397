"""The table of what an administrator can ask for.

An operation is a plain coroutine over the core with JSON arguments and a JSON answer. The
control socket, the HTTP API and `imsctl` without a running server all call the same ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError, validate_call

from imsd.errors import ConstraintViolation, NoSuchEntry, Refusal

Json = Any
Run = Callable[..., Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Operation:
    """name: dotted, as in the API's path. needs_server: has no meaning in a store at rest."""

    name: str
    run: Run
    needs_server: bool = False

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip().partition("\n")[0]


OPERATIONS: Final[dict[str, Operation]] = {}


def operation(name: str, needs_server: bool = False) -> Callable[[Run], Run]:
    """Enter a coroutine function into the table; its arguments are checked by their types."""

    def enter(function: Run) -> Run:
        checked = validate_call(config={"arbitrary_types_allowed": True})(function)
        OPERATIONS[name] = Operation(name, checked, needs_server)
        return function

    return enter


async def call(core: Any, name: str, arguments: dict[str, Json]) -> Json:
    """Run an operation by name. Raises refusals; arguments that do not fit are one."""
    found = OPERATIONS.get(name)
    if found is None:
        raise NoSuchEntry(f"There is no operation {name}")
    try:
        return await found.run(core, **arguments)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConstraintViolation(reasons) from None


def describe_refusal(refusal: Refusal) -> dict[str, Json]:
    """A refusal as the API gives it."""
    return {"kind": type(refusal).__name__, "text": refusal.text, "temporary": refusal.temporary}
