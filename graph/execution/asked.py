"""What a request asks for: GraphQL's parameters, from a JSON body or from a URL."""

from typing import Any, Final
from urllib.parse import parse_qsl

from msgspec import DecodeError, Struct, ValidationError, json

from graph.execution.problems import HttpProblemError


class Asked(Struct, rename={"operation_name": "operationName", "document_id": "documentId"}):
    """The parameters. What else is in a request is not looked at, as the specification has it."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


_decode: Final = json.Decoder(Asked).decode
_object: Final = json.Decoder(dict[str, Any]).decode


def from_body(body: bytes) -> Asked:
    """The parameters in a JSON body.

    Raises:
        HttpProblemError: it is no JSON, or not the JSON of one request.
    """
    if body.lstrip()[:1] == b"[":
        raise _wrong("batches are not taken: send one request at a time")
    try:
        return _decode(body)
    except ValidationError as error:
        raise _wrong(f"the request is not GraphQL's: {error}") from error
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _wrong(f"the request is not JSON: {error}") from error


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
        found: dict[str, Any] = _object(given[name])
    except (DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise _wrong(f"{name} must be a JSON object: {error}") from error
    return found


def _wrong(message: str) -> HttpProblemError:
    return HttpProblemError(400, "BAD_REQUEST", message)
