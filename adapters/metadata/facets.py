"""The facets of a recording: its fields with few different values, as one text with one index.

A large account has some dozens of different facets. A store lists them, tests a condition on each, and reads the index
ranges of those that meet it. So one index serves every combination of conditions on these fields.
"""

from collections.abc import Mapping
from typing import Any, Final

from recordings.model.fields import value_of

CHOICES: Final = ("state", "reason", "end_cause", "direction", "delivery_state")
OBJECTS: Final = ("media", "hold")
"""Objects of which a facet has only whether they exist."""
LAST: Final = "format"
"""The last part, because it is a text that may contain the separator."""
FACET_FIELDS: Final = frozenset((*CHOICES, LAST))
SEPARATOR: Final = "|"
_PARTS: Final = len(CHOICES) + len(OBJECTS)


def facets_of(row: Mapping[str, Any]) -> str:
    """Return the facets of a row."""
    choices = (value_of(row, name) or "" for name in CHOICES)
    objects = ("0" if row[name] is None else "1" for name in OBJECTS)
    return SEPARATOR.join((*choices, *objects, row[LAST]))


def row_of(facets: str) -> dict[str, Any]:
    """Return a row with the fields of facets, for `matches`."""
    *values, last = facets.split(SEPARATOR, _PARTS)
    row: dict[str, Any] = {name: value or None for name, value in zip(CHOICES, values, strict=False)}
    row |= {name: {} if value == "1" else None for name, value in zip(OBJECTS, values[len(CHOICES) :], strict=True)}
    state = row.pop("delivery_state")
    return {**row, "delivery": None if state is None else {"state": state}, LAST: last}
