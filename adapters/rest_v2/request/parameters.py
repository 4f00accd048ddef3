"""The query and the body of a request, and the search for a parameter in them (`docs/v2_contract.md`, section 5.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from adapters.rest_v2.request.v2_errors import V2Error, required, wrong_type

MAX_BODY: Final = 262_144
"""Bytes, many times more than any operation needs. A body is parsed before the client is authenticated."""
MAX_QUERY: Final = 256
"""Parameters in a query."""
FORM: Final = "application/x-www-form-urlencoded"
BODY_TYPES: Final = ("application/json", "application/x-json", FORM, "text/csv", "text/comma-separated-values")
_AROUND: Final = 40
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Parameters:
    """The pairs of the query (names may repeat), and the body's envelope with its top-level names in lower case."""

    query: Sequence[tuple[str, str]] = ()
    envelope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Mapping[str, Any]:
        """The body's `data`. Empty if it is not an object."""
        data = self.envelope.get("data")
        return data if isinstance(data, Mapping) else {}

    def in_query(self, name: str) -> str | None:
        """Return the last value of a name in the query."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def find(self, name: str) -> str | None:
        """Return a parameter as text. It is searched in `data`, then in the query, then in the envelope."""
        for value in (self.data.get(name), self.in_query(name), self.envelope.get(name)):
            if value is not None and not isinstance(value, Mapping | list):
                return value if isinstance(value, str) else str(value).lower()
        return None

    def body(self) -> Mapping[str, Any]:
        """Return the body's `data`.

        Raises:
            V2Error: there is no `data`, or it is not an object.
        """
        if "data" not in self.envelope:
            raise required("data")
        if not isinstance(self.envelope["data"], Mapping):
            raise wrong_type("data", "object", self.envelope["data"])
        return self.data


def read_query(text: str) -> list[tuple[str, str]]:
    """Return the pairs of a query, including empty values.

    Raises:
        V2Error: the query has more than `MAX_QUERY` parameters.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY)
    except ValueError as error:
        message = f"at most {MAX_QUERY}"
        raise V2Error(400, "validation error", {"query": {"maxItems": {"message": message}}}) from error


def read_body(body: bytes, content_type: str) -> Mapping[str, Any]:
    """Return the envelope of a body. An empty body has an empty one.

    A form that begins with `{` is JSON, because curl sends JSON with the type of a form by default. Any other form is
    the envelope's `data`.

    Raises:
        V2Error: the body is not a JSON object, or its `data` is neither an object nor an array.
    """
    text = body.strip()
    if not text:
        return {}
    if media_type(content_type) == FORM and not text.startswith(b"{"):
        return {"data": dict(read_query(text.decode("utf-8", "replace")))}
    envelope = _decoded(text)
    if not isinstance(envelope, Mapping):
        raise _bad_json(text, 0)
    found = {name.lower(): value for name, value in envelope.items()}
    if not isinstance(found.get("data", {}), Mapping | list):
        raise wrong_type("data", "object, array", found["data"])
    return found


def media_type(content_type: str) -> str:
    """Return a `Content-Type` without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def too_large() -> V2Error:
    """400: the body is too large."""
    message = f"Payload or Files must not be more than {MAX_BODY} bytes"
    return V2Error(400, "validation error", {"file": {"maxSize": {"message": message, "target": MAX_BODY}}})


def _decoded(text: bytes) -> Any:
    try:
        return _decode(text)
    except (ValueError, RecursionError) as error:
        # The decoder's message ends in "(byte N)".
        position = str(error).rpartition("(byte ")[2].rstrip(")")
        raise _bad_json(text, int(position) if position.isascii() and position.isdigit() else 0) from error


def _bad_json(text: bytes, at: int) -> V2Error:
    around = text[max(0, at - _AROUND) : at + _AROUND].decode("utf-8", "replace")
    broken_rule = {"message": f"invalid json around {around!r}", "target": "body"}
    return V2Error(400, "validation error", {"json": {"invalid": broken_rule}})
