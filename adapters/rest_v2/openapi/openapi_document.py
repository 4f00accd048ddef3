"""The OpenAPI 3.1 document of the v2 API, from the tables that the server itself uses."""

from collections.abc import Mapping
from typing import Any, Final

from adapters.rest_v2.listing.list_query import MAX_CHUNK, MAX_RANGE, PAGE_SIZE
from adapters.rest_v2.openapi.json_schemas import INTEGER, SCHEMAS, TEXT, Schema, object_schema, reference
from adapters.rest_v2.request.wanted_type import Kind
from adapters.rest_v2.v2_routes import OPERATIONS, Operation

BARE: Final = frozenset({204, 304, 406, 412, 415})
"""Statuses without a body."""
_TRUTH: Final[Schema] = {**TEXT, "default": "false", "examples": ["true"]}
"""Only the text `true` is true. Any other text is false."""
_TITLES: Final = {
    200: "Success.", 201: "Success.", 204: "The table has no rows.", 206: "A range of the audio.",
    304: "The client has the current version.", 400: "The request is invalid; `data` names the invalid values.",
    401: "The token is missing, invalid or expired.", 403: "The token has no access to the account, or lacks a scope.",
    404: "The resource or the page size does not exist.", 406: "No accepted type is available.",
    409: "The state of the recording does not allow this.", 412: "The recording has another revision.",
    415: "The type of the body is not supported.", 416: "The response is too large, or the range begins after the end.",
    429: "Too many requests without a valid token.", 500: "An error of the service or of a media store.",
    503: "The metadata store or the switch does not answer, or too many conversions are running.",
}  # fmt: skip

PARAMETERS: Final[Mapping[str, Schema]] = {
    "page_size": {**INTEGER, "minimum": 1, "default": PAGE_SIZE, "description": "Items in a page; no maximum."},
    "start_key": {**TEXT, "description": "The `next_start_key` of the previous page."},
    "end_key": {**TEXT, "description": "Accepted, without effect."},
    "paginate": {**TEXT, "default": "true", "description": "Any value but true disables paging."},
    "ascending": {**TEXT, "description": "Oldest first, unless the value is false."},
    "descending": {**TEXT, "description": "If true, newest first, even with `ascending`."},
    "created_from": {**TEXT, "description": f"Gregorian seconds; default: {MAX_RANGE} before `created_to`."},
    "created_to": {**TEXT, "description": "Gregorian seconds; default: now."},
    "modified_from": {**TEXT, "description": "Gregorian seconds."},
    "modified_to": {**TEXT, "description": "Gregorian seconds."},
    "has_key": {**TEXT, "description": "Keep documents that have this key."},
    "key_missing": {**TEXT, "description": "Keep documents that do not have this key."},
    "has_value": {**TEXT, "description": "Keep documents with a non-empty value at this key."},
    "value_missing": {**TEXT, "description": "Keep documents without a value, or with an empty one, at this key."},
    "missing_value": {**TEXT, "description": "The same as `value_missing`."},
    "accept": {**TEXT, "description": "A media type; it replaces the header Accept."},
    "inline": {**_TRUTH, "description": "Show the audio in the browser instead of saving it."},
    "file_name": {**TEXT, "description": "The file name of a downloaded table."},
    "is_chunked": {**_TRUTH, "description": "Send the items while they are read."},
    "chunk_size": {**INTEGER, "minimum": 1, "maximum": MAX_CHUNK, "default": MAX_CHUNK},
    "pretty_print": {**_TRUTH, "description": "Indented JSON."},
}
HEADERS: Final = ("Range", "If-Range", "If-Match", "If-None-Match")
KEYED: Final[Mapping[str, str]] = {
    "filter_": "`filter_{KEY}=V`: keep documents with the value V at KEY.",
    "filter_not_": "`filter_not_{KEY}=V`: keep the other documents.",
}
_SECURITY: Final[Schema] = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "query": {"type": "apiKey", "in": "query", "name": "auth_token"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}


def openapi(version: str = "0") -> dict[str, Any]:
    """Return the document. Its paths begin after `/v2`."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Call recordings: the Kazoo v2 API", "version": version},
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
    if operation.login or operation.public:
        described["security"] = []
    return described


def statuses(operation: Operation) -> list[int]:
    """Return every status of an operation."""
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
    data = object_schema({"data": reference(operation.data)})
    content: Schema = {"application/json": {"schema": {"allOf": [reference("Success"), data]}}}
    kinds = {kind for _, kind in operation.offers}
    if Kind.AUDIO in kinds:
        audio: Schema = {"audio/mpeg": {}, "audio/x-wav": {}, "audio/ogg": {}, "audio/flac": {}}
        content = audio if status == 206 else content | audio | {"text/csv": {}}  # noqa: PLR2004 - a part of audio
    elif Kind.CSV in kinds:
        content |= {"text/csv": {}}
    return described | {"content": content}
