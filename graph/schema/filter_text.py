"""A filter as JSON text: the JSON of the variable that the client sent."""

import json
from dataclasses import fields
from enum import Enum
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from graph.schema.filter_input import RecordingFilter
from graph.schema.filter_types import DateTimeRange
from recordings.model.instants import to_iso


def text_of(filter: RecordingFilter | None) -> str:
    """Return a filter as JSON text, without the conditions that are absent. `None` is an empty text."""
    return "" if filter is None else json.dumps(_plain(filter), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.name
    if not hasattr(value, "__dataclass_fields__"):
        return value
    given = {to_camel_case(each.name.rstrip("_")): getattr(value, each.name) for each in fields(value)}
    is_time = isinstance(value, DateTimeRange)
    return {
        name: to_iso(item) if is_time and type(item) is int else _plain(item)
        for name, item in given.items()
        if item is not None
    }
