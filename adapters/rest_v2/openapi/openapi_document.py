"""The OpenAPI 3.1 document of the shim, made of the tables that answer requests."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.rest_v2.listing.list_query import MAX_CHUNK, MAX_SPAN, PAGE_SIZE
from adapters.rest_v2.openapi.json_schemas import INTEGER, SCHEMAS, TEXT, Schema, of, reference
from adapters.rest_v2.request.wanted_type import Kind
from adapters.rest_v2.v2_routes import OPERATIONS, Operation

BARE: Final = frozenset({204, 304, 406, 412, 415})
"""Statuses without a body."""
_TRUTH: Final[Schema] = {**TEXT, "default": "false", "examples": ["true"]}
"""Exactly `true` is true; all else is false and no error."""
_TITLES: Final = {
    200: "Success.", 201: "Success.", 204: "Nothing to put into the table.", 206: "A part of the audio.",
    304: "As the client has it.", 400: "Something in the request is not valid; `data` says what.",
    401: "No token, or one that does not hold.", 403: "Not within reach of the token, or not within its scopes.",
    404: "There is no such thing, or no such page.", 406: "Nothing of that type is here.",
    409: "Not in the state that it is in.", 412: "It is not the revision that was asked for.",
    415: "The body is of a type that is not read.", 416: "More than is given out at once, or behind the end.",
    429: "Too many requests without a token that holds.", 500: "A fault of the service or of a storage provider.",
    503: "The metadata store or the switch does not answer, or too much is being converted.",
}  # fmt: skip

PARAMETERS: Final[Mapping[str, Schema]] = {
    "page_size": {**INTEGER, "minimum": 1, "default": PAGE_SIZE, "description": "Items of a page; no maximum."},
    "start_key": {**TEXT, "description": "`next_start_key` of the page before."},
    "end_key": {**TEXT, "description": "Taken, and without effect."},
    "paginate": {**TEXT, "default": "true", "description": "Anything but true: everything at once."},
    "ascending": {**TEXT, "description": "Oldest first, unless false."},
    "descending": {**TEXT, "description": "Newest first, whatever `ascending` says, if true."},
    "created_from": {**TEXT, "description": f"Gregorian seconds; {MAX_SPAN} before `created_to` by default."},
    "created_to": {**TEXT, "description": "Gregorian seconds; now by default."},
    "modified_from": {**TEXT, "description": "Gregorian seconds."},
    "modified_to": {**TEXT, "description": "Gregorian seconds."},
    "has_key": {**TEXT, "description": "Keep what has this key."},
    "key_missing": {**TEXT, "description": "Keep what does not."},
    "has_value": {**TEXT, "description": "Keep what has a value that is not empty there."},
    "value_missing": {**TEXT, "description": "Keep what has none."},
    "missing_value": {**TEXT, "description": "The same."},
    "accept": {**TEXT, "description": "A media type, in place of the header Accept."},
    "inline": {**_TRUTH, "description": "To be shown instead of saved."},
    "file_name": {**TEXT, "description": "The name of a table that is downloaded."},
    "is_chunked": {**_TRUTH, "description": "Send it while it is read."},
    "chunk_size": {**INTEGER, "minimum": 1, "maximum": MAX_CHUNK, "default": MAX_CHUNK},
    "pretty_print": {**_TRUTH, "description": "Indented JSON."},
}
HEADERS: Final = ("Range", "If-Range", "If-Match", "If-None-Match")
KEYED: Final[Mapping[str, str]] = {
    "filter_": "`filter_{KEY}=V`: keep what has the value V there.",
    "filter_not_": "`filter_not_{KEY}=V`: keep what has not.",
}
_SECURITY: Final[Schema] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "query": {"type": "apiKey", "in": "query", "name": "auth_token"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}


def openapi(version: str = "0") -> dict[str, Any]:
    """The document. Paths begin behind `/v2`."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Call recordings, the Kazoo v2 paths", "version": version},
        "servers": [{"url": "/v2"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": _SECURITY},
        "security": [{name: []} for name in _SECURITY],
    }


def _operation(operation: Operation) -> Schema:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": _argument(name)} for name in names]
    parameters += [_parameter(name) for name in operation.parameters]
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {str(status): _response(operation, status) for status in statuses(operation)},
    }
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.login:
        described["security"] = []
    return described


def statuses(operation: Operation) -> list[int]:
    """Every status that an operation answers."""
    return sorted({*operation.success, *operation.statuses})


def _argument(name: str) -> Schema:
    return {**TEXT, "pattern": "^[0-9a-f]{32}$"} if name == "account_id" else {**TEXT, "minLength": 1}


def _parameter(name: str) -> Schema:
    if name in HEADERS:
        return {"name": name, "in": "header", "schema": TEXT}
    if name in KEYED:
        schema = {"type": "object", "propertyNames": {"pattern": f"^{name}."}, "additionalProperties": TEXT}
        return {
            "name": name, "in": "query", "style": "form", "explode": True, "schema": schema,
            "description": KEYED[name],
        }  # fmt: skip
    schema = dict(PARAMETERS[name])
    described = {"name": name, "in": "query", "schema": schema}
    return described | ({"description": schema.pop("description")} if "description" in schema else {})


def _response(operation: Operation, status: int) -> Schema:
    described: Schema = {"description": _TITLES[status]}
    if status in BARE:
        return described
    if status not in operation.success:
        return described | {"content": {"application/json": {"schema": reference("Error")}}}
    data = of({"data": reference(operation.data)})
    content: Schema = {"application/json": {"schema": {"allOf": [reference("Success"), data]}}}
    kinds = {kind for _, kind in operation.offers}
    if Kind.AUDIO in kinds:
        audio: Schema = {"audio/mpeg": {}, "audio/x-wav": {}, "audio/ogg": {}, "audio/flac": {}}
        content = audio if status == 206 else content | audio | {"text/csv": {}}  # noqa: PLR2004 - a part of audio
    elif Kind.CSV in kinds:
        content |= {"text/csv": {}}
    return described | {"content": content}
