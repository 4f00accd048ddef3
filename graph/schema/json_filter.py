"""A filter as JSON text, for requests that cannot send GraphQL: the JSON of the variable of a `RecordingFilter`."""

from typing import Any, Final

import msgspec
from graphql import GraphQLInputType, coerce_input_value, validate_input_value
from strawberry.types.arguments import convert_argument

from graph.schema.build import schema
from graph.schema.filter_input import RecordingFilter, to_condition
from recordings.model.errors import InvalidInput
from recordings.model.query import Condition

_TYPE: Final[GraphQLInputType] = schema.core.type_map["RecordingFilter"]  # type: ignore[assignment]
MAX_FILTER: Final = 16_384
"""Maximum length of the text, in characters."""


def condition_of(text: str | None, name: str = "filter") -> Condition:
    """Return the condition of a parameter with a filter. `None` matches everything.

    Raises:
        InvalidInput: the text is not JSON, or not a `RecordingFilter`.
    """
    return to_condition(None if text is None else filter_of(text, name))


def filter_of(text: str, name: str = "filter") -> RecordingFilter:
    """Return the filter of a parameter. Raises as `condition_of`."""
    if len(text) > MAX_FILTER:
        raise InvalidInput.of((name,), "maxLength", len(text), f"at most {MAX_FILTER} characters")
    try:
        given = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        allowed = 'a JSON object such as {"state": {"equal": "STORED"}}'
        raise InvalidInput.of((name,), "type", text[:100], allowed) from error
    problems: list[str] = []
    validate_input_value(given, _TYPE, lambda error, _path: problems.append(error.message))
    if problems or not isinstance(given, dict):
        allowed = f"a RecordingFilter of the GraphQL schema ({'; '.join(problems[:3]) or 'a JSON object'})"
        raise InvalidInput.of((name,), "type", text[:100], allowed)
    coerced = coerce_input_value(given, _TYPE)
    converter = schema.schema_converter
    converted: Any = convert_argument(coerced, RecordingFilter, converter.scalar_registry, converter.config)
    if not isinstance(converted, RecordingFilter):
        raise TypeError(converted)
    return converted
