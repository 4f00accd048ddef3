"""What a client left out: without a default in the schema, and `None` here."""

from dataclasses import fields
from typing import Any, ClassVar, TypeVar

from strawberry import UNSET

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """An argument; `None` if it was left out."""
    return None if value is UNSET else value


class Given:
    """An input whose left-out fields are `None`, but for those in which null is a value of its own."""

    NULL_IS_A_VALUE: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Take `UNSET` out."""
        own: Any = self
        for field in fields(own):
            if getattr(self, field.name) is UNSET and field.name not in self.NULL_IS_A_VALUE:
                setattr(self, field.name, None)
