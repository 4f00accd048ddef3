"""What a request asks for: GraphQL's parameters, from a JSON body or from a URL."""

from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import DecodeError, Struct, ValidationError, json

from graph.execution.http_error import HttpProblemError


class Asked(Struct, rename={"operation_name": "operationName", "document_id": "documentId"}):
    """The parameters. What else is in a request is not looked at, as the specification has it."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


_decode: Final = json.Decoder(Asked).decode
_decode_batch: Final = json.Decoder(list[Asked]).decode
_object: Final = json.Decoder(dict[str, Any] | None).decode


def from_body(body: bytes, batch: int = 0) -> Asked | list[Asked]:
    """The parameters in a JSON body, or those of up to `batch` operations in an array.

    Raises:
        HttpProblemError: it is no JSON, not the JSON of a request, or of more operations than that.
    """
    is_batch = body.lstrip()[:1] == b"["
    if is_batch and not batch:
        raise _wrong("batches are not taken: send one request at a time")
    try:
        return _checked(_decode_batch(body), batch) if is_batch else _decode(body)
    except ValidationError as error:
        raise _wrong(f"the request is not GraphQL's: {error}") from error
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _wrong(f"the request is not JSON: {error}") from error


def _checked(asked: list[Asked], batch: int) -> list[Asked]:
    if not 0 < len(asked) <= batch:
        raise _wrong(f"a batch must have from 1 to {batch} operations, not {len(asked)}")
    return asked


def from_url(query_string: bytes) -> Asked:
    """The parameters in a URL, `variables` and `extensions` as JSON.

    Raises:
        HttpProblemError: a parameter comes twice, or is not the JSON that it should be.
    """
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise _wrong("every parameter may be given once")
    return Asked(
        query=given.get("query"),
        operation_name=given.get("operationName") or None,
        variables=_map(given, "variables"),
        extensions=_map(given, "extensions"),
        document_id=given.get("documentId") or None,
    )


def _map(given: dict[str, str], name: str) -> dict[str, Any] | None:
    if not given.get(name):
        return None
    try:
        found: dict[str, Any] | None = _object(given[name])
    except (DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise _wrong(f"{name} must be a JSON object: {error}") from error
    return found


def _wrong(message: str) -> HttpProblemError:
    return HttpProblemError(400, "BAD_REQUEST", message)
