"""Values that are made for each message: frozen to the type checker, made quickly.

    @value(frozen=True, slots=True)
    class Event: ...

To mypy this is `dataclasses.dataclass` and an assignment to a field is an error. As the program runs
nothing stands in the way of one: a frozen dataclass calls object.__setattr__ for each field, nine of
which take 1.3 microseconds and here 0.3; a message through SMTP has about a hundred. For all that is
not made for each message, `dataclass` itself is the better choice.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool, eq: bool = True) -> Any:
        assert frozen
        return dataclass(slots=slots, eq=eq, unsafe_hash=eq)


__all__ = ["value"]
