"""Rows that a store has read but not decoded, and how their fields become members of JSON objects."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from recordings.model.fields import RecordingRow


class Form(Enum):
    """How JSON shows the value of a field."""

    TEXT = auto()
    INTEGER = auto()
    """An integer of 32 bits."""
    INSTANT = auto()
    """An instant, as `recordings.model.instants.to_iso` shows it."""
    CHOICE = auto()
    BASE64 = auto()
    CONSTANT = auto()


@dataclass(frozen=True, slots=True)
class Written:
    """The values that a member may have. A row with any other value is not encoded.

    `choices` are the texts of a `CHOICE`, each with the text that JSON shows. `text` is the text of a `CONSTANT`. In
    `BASE64` it is before the text of the field.
    """

    form: Form
    is_nullable: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object: its key, and the field of the row. A constant has no field."""

    key: str
    field: str | None
    written: Written


@dataclass(frozen=True, slots=True, eq=False)
class JsonObject:
    """The members of the JSON objects of rows, in their order. It is compared by identity, so that it is a fast key."""

    members: tuple[Member, ...]


class RawRows(Sequence[RecordingRow]):
    """The rows of a page, which are decoded only when they are read as a sequence.

    They contain no decision about access: the query that selected them made it.
    """

    @abstractmethod
    def columns(self, *fields: str) -> list[tuple[Any, ...]]:
        """Return the values of these fields, for each row."""

    @abstractmethod
    def to_json(self, shown: JsonObject) -> list[bytes | None]:
        """Return each row as a JSON object, or `None` for a row that must be decoded."""
