"""What a request says: its query and its body, and where each parameter is looked for (contract section 5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from adapters.rest_v2.request.v2_errors import Fault, required, wrong_type

MAX_BODY: Final = 262_144
"""Bytes: many times what anything that is taken here has. A body is read, and parsed, before it is known who asks."""
MAX_QUERY: Final = 256
"""Parameters in a query."""
FORM: Final = "application/x-www-form-urlencoded"
BODY_TYPES: Final = ("application/json", "application/x-json", FORM, "text/csv", "text/comma-separated-values")
_AROUND: Final = 40
_decode: Final = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Parameters:
    """The query as it came (names may repeat) and the body's envelope, its top-level names in lower case."""

    query: Sequence[tuple[str, str]] = ()
    envelope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> Mapping[str, Any]:
        """The body's `data`, if that is an object."""
        data = self.envelope.get("data")
        return data if isinstance(data, Mapping) else {}

    def in_query(self, name: str) -> str | None:
        """The last value of a name in the query."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def find(self, name: str) -> str | None:
        """A parameter as text: in `data`, in the query, or else in the envelope."""
        for value in (self.data.get(name), self.in_query(name), self.envelope.get(name)):
            if value is not None and not isinstance(value, Mapping | list):
                return value if isinstance(value, str) else str(value).lower()
        return None

    def body(self) -> Mapping[str, Any]:
        """The body's `data` as an object.

        Raises:
            Fault: there is none.
        """
        if "data" not in self.envelope:
            raise required("data")
        if not isinstance(self.envelope["data"], Mapping):
            raise wrong_type("data", "object", None)
        return self.data


def read_query(text: str) -> list[tuple[str, str]]:
    """The pairs of a query, empty values kept.

    Raises:
        Fault: there are too many.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY)
    except ValueError as error:
        raise Fault(400, "validation error", {"query": {"maxItems": {"message": f"at most {MAX_QUERY}"}}}) from error


def read_body(body: bytes, content_type: str) -> Mapping[str, Any]:
    """The envelope in a body; empty for an empty one. A form is taken as curl sends JSON by default, or as `data`.

    Raises:
        Fault: it is no JSON object, or its `data` is neither an object nor an array.
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
        raise wrong_type("data", "object, array", None)
    return found


def media_type(content_type: str) -> str:
    """A `Content-Type` without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def too_large() -> Fault:
    """400: the body is larger than any may be."""
    message = f"Payload or Files must not be more than {MAX_BODY} bytes"
    return Fault(400, "validation error", {"file": {"maxSize": {"message": message, "target": MAX_BODY}}})


def _decoded(text: bytes) -> Any:
    try:
        return _decode(text)
    except (ValueError, RecursionError) as error:
        # The decoder's message ends in "(byte N)".
        place = str(error).rpartition("(byte ")[2].rstrip(")")
        raise _bad_json(text, int(place) if place.isascii() and place.isdigit() else 0) from error


def _bad_json(text: bytes, at: int) -> Fault:
    around = text[max(0, at - _AROUND) : at + _AROUND].decode("utf-8", "replace")
    told = {"message": f"invalid json around {around!r}", "target": "body"}
    return Fault(400, "validation error", {"json": {"invalid": told}})
