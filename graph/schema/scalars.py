"""The scalars that this schema adds to those of GraphQL."""

import re
from collections.abc import Callable
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition

from recordings.model.errors import shorten
from recordings.model.instants import EARLIEST, LATEST, Millis, from_iso, to_iso

DateTime = NewType("DateTime", Millis)
URL = NewType("URL", str)
Sha256 = NewType("Sha256", str)
JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)

_BIG_INT: Final = 2**53
# RFC 3339 allows less than Python's parser of ISO 8601.
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)


def parse_date_time(text: Any) -> Millis:
    """Return the milliseconds of an RFC 3339 text.

    Raises:
        GraphQLError: the value is no such text, or is out of range.
    """
    if isinstance(text, str) and _RFC_3339.fullmatch(text):
        try:
            at = from_iso(text.upper())
        except (ValueError, OverflowError):
            at = LATEST + 1
        if EARLIEST <= at <= LATEST:
            return at
    message = f"DateTime must be like 2026-11-22T08:19:00.123Z, with an offset, not {shorten(repr(text))}"
    raise GraphQLError(message)


def _output_only(_value: Any) -> Any:
    raise GraphQLError("this scalar cannot be used as an input")


def parse_big_int(value: Any) -> int:
    """Return an integer.

    Raises:
        GraphQLError: the value is no integer, or some JSON readers would change it.
    """
    if type(value) is int and abs(value) < _BIG_INT:
        return value
    message = f"BigInt must be an integer between -2^53 and 2^53, not {shorten(repr(value))}"
    raise GraphQLError(message)


def _of_literal(parse: Callable[[Any], int]) -> Callable[..., int]:
    """Return the parser of a value in a document. Unlike the default one, its error has the place in the document."""

    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> int:
        try:
            return parse(value_from_ast_untyped(node, variables))
        except GraphQLError as error:
            raise GraphQLError(error.message, node) from error

    return parse_literal


def _as_given(value: Any) -> Any:
    return value


def _output(name: str, specified_by_url: str, description: str) -> ScalarDefinition:
    return strawberry.scalar(
        name=name, specified_by_url=specified_by_url, description=description, parse_value=_output_only
    )


SCALARS: Final[dict[object, ScalarDefinition]] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A time in RFC 3339. Output is in UTC with milliseconds (`2026-11-22T08:19:00.123Z`). Input may "
        "have any UTC offset; digits after the milliseconds are ignored.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=to_iso,
        parse_value=parse_date_time,
        parse_literal=_of_literal(parse_date_time),
    ),
    URL: _output("URL", "https://www.rfc-editor.org/rfc/rfc3986", "An absolute URL."),
    Sha256: _output(
        "Sha256", "https://csrc.nist.gov/pubs/fips/180-4/upd1/final", "A SHA-256 digest: 64 lower-case hex digits."
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        parse_value=_as_given,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer that may need more than 32 bits. It is a JSON number of at most 2^53 - 1.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259#section-6",
        parse_value=parse_big_int,
        parse_literal=_of_literal(parse_big_int),
    ),
}
