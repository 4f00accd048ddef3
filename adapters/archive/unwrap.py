"""Take documents out of the objects that CouchDB, its tools and the v2 API put around them, without I/O."""

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

_ARRAYS: Final = ("rows", "docs", "results", "data")
_HINT: Final = "export with include_docs=true, so that the file has the documents and not only their ids"


class Deleted(Enum):
    """A deleted document."""

    DELETED = "deleted"


class Design(Enum):
    """A design document or a local document of CouchDB."""

    DESIGN = "design"


Wrapped = dict[str, Any] | Deleted | Design | str
"""A document, a document to skip, or the problem with an object."""


def parse(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is not JSON, or not in UTF-8.
    """
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise ValueError(message) from error


def _reject_constant(text: str) -> None:
    message = f"{text} is not a JSON number"
    raise ValueError(message)


def unwrap(value: Any) -> Iterator[Wrapped]:
    """Yield the documents in a value of an export: a document, a row of a view, a change, or an object around these."""
    if not isinstance(value, dict):
        yield "not a JSON object"
    elif (found := _skipped(value)) is not None:
        yield found
    elif _is_document(value):
        yield value
    elif (inner := _inner(value)) is not None:
        for item in inner:
            yield from unwrap(item)
    elif not _is_of_a_tool(value):
        yield _problem(value)


def _inner(value: Mapping[str, Any]) -> list[Any] | None:
    """Return the objects inside an object that is not a document; `None` if it has none."""
    for name in ("doc", "ok"):
        if isinstance(value.get(name), dict):
            return [value[name]]
    for name in ("value", "data"):
        if isinstance(value.get(name), dict) and _is_document(value[name]):
            return [value[name]]
    return next((value[name] for name in _ARRAYS if isinstance(value.get(name), list)), None)


def _is_document(value: Mapping[str, Any]) -> bool:
    return "_id" in value or "pvt_type" in value or "media_source" in value


def _skipped(value: Mapping[str, Any]) -> Wrapped | None:
    name = value.get("_id", value.get("id"))
    if isinstance(name, str) and name.startswith(("_design/", "_local/")):
        return Design.DESIGN
    row = value.get("value")
    is_deleted_row = isinstance(row, dict) and row.get("deleted") is True and not isinstance(value.get("doc"), dict)
    if is_deleted_row or (value.get("deleted") is True and "changes" in value):
        return Deleted.DELETED
    return None


def _is_of_a_tool(value: Mapping[str, Any]) -> bool:
    """Return true for the lines that export tools add: a header, a progress mark, the end of a change feed."""
    names = set(value)
    return (
        names <= {"last_seq", "pending"}
        or names <= {"seq"}
        or "db_type" in names
        or str(value.get("name", "")).endswith("couchbackup")
    )


def _problem(value: Mapping[str, Any]) -> str:
    """Return a text that says what an object is, although it is not a document, and what to do."""
    if value.get("status") == "error":
        return f"an error response of the v2 API: {_short(value.get('message'))}; export again"
    if "error" in value and "reason" in value:
        return f"an error response of CouchDB: {_short(value['error'])}, {_short(value['reason'])}; export again"
    if "error" in value and "key" in value:
        return f"CouchDB has no document {_short(value['key'])}: {_short(value['error'])}"
    if {"id", "key", "value"} <= set(value) or {"seq", "changes"} <= set(value):
        return f"a row without its document: {_HINT}"
    names = ", ".join(list(value)[:5])
    return f"an object without _id and pvt_type is not a document of CouchDB (its keys: {names[:80] or 'none'})"


def _short(value: Any) -> str:
    return str(value)[:80]
