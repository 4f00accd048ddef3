"""Values that a client may leave out: they have no default in the schema, and are `None` in Python."""

from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from strawberry import UNSET

T = TypeVar("T")


def value_or_none(value: T | None) -> T | None:
    """Return an argument, or `None` if the client left it out."""
    return None if value is UNSET else value


class PartialInput:
    """An input type in which a field that the client left out is `None`.

    The fields in `NULL_IS_A_VALUE` stay `UNSET` if they were left out, because null has a meaning of its own in them.
    """

    NULL_IS_A_VALUE: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Replace `UNSET` with `None`."""
        own: Any = self
        for field in fields(own):
            if getattr(self, field.name) is UNSET and field.name not in self.NULL_IS_A_VALUE:
                setattr(self, field.name, None)
