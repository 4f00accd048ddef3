"""The parameters of a GraphQL request, from a JSON body or from a URL."""

from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import DecodeError, Struct, ValidationError, json

from graph.execution.request_errors import HttpError


class RequestParams(Struct, rename={"operation_name": "operationName", "document_id": "documentId"}):
    """The parameters of one operation. Other parameters are ignored, as the specification demands."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


_decode: Final = json.Decoder(RequestParams).decode
_decode_batch: Final = json.Decoder(list[RequestParams]).decode
_decode_object: Final = json.Decoder(dict[str, Any] | None).decode


def from_body(body: bytes, max_batch: int = 0) -> RequestParams | list[RequestParams]:
    """Read the parameters in a JSON body, or those of up to `max_batch` operations in a JSON array.

    Raises:
        HttpError: The body is not the JSON of a GraphQL request, or has too many operations.
    """
    is_batch = body.lstrip()[:1] == b"["
    if is_batch and not max_batch:
        raise _bad_request("batches are disabled: send one operation in each request")
    try:
        return _checked(_decode_batch(body), max_batch) if is_batch else _decode(body)
    except ValidationError as error:
        raise _bad_request(f"the body is not a GraphQL request: {error}") from error
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _bad_request(f"the body is not JSON: {error}") from error


def _checked(batch: list[RequestParams], max_batch: int) -> list[RequestParams]:
    if not 0 < len(batch) <= max_batch:
        raise _bad_request(f"a batch must have 1 to {max_batch} operations, not {len(batch)}")
    return batch


def from_url(query_string: bytes) -> RequestParams:
    """Read the parameters in a URL. `variables` and `extensions` are JSON.

    Raises:
        HttpError: A parameter occurs twice, or is not JSON where it must be.
    """
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _bad_request("each parameter may occur only once in the URL")
    return RequestParams(
        query=values.get("query"),
        operation_name=values.get("operationName") or None,
        variables=_object(values, "variables"),
        extensions=_object(values, "extensions"),
        document_id=values.get("documentId") or None,
    )


def _object(values: dict[str, str], name: str) -> dict[str, Any] | None:
    if not values.get(name):
        return None
    try:
        found: dict[str, Any] | None = _decode_object(values[name])
    except (DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise _bad_request(f"{name} must be a JSON object: {error}") from error
    return found


def _bad_request(message: str) -> HttpError:
    return HttpError(400, "BAD_REQUEST", message)
