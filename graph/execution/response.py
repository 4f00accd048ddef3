"""A GraphQL response over HTTP: encoded once, compressed if that is useful, with an `ETag` for `GET`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from msgspec import json
from starlette.types import Send

from adapters.http.compression import choose_coding, compress
from graph.execution.request_errors import HttpError


def _to_json(value: object) -> int:
    # Database drivers have their own integer classes. Any other unknown type is a programming error.
    if isinstance(value, int):
        return int(value)
    message = f"{type(value).__name__} is not JSON"
    raise TypeError(message)


MIN_COMPRESSED: Final = 1_400
"""Bytes. A smaller body fits into one packet, so compression gains nothing."""
_HEADERS: Final = (
    (b"vary", b"accept, accept-encoding, authorization, x-auth-token"),
    # For errors, too: a shared cache does not know X-Auth-Token, and an unknown hash may be known soon.
    (b"cache-control", b"private, no-cache"),
)
encode: Final = json.Encoder(enc_hook=_to_json).encode
"""Encode a response as JSON: UTF-8, without spaces between the tokens."""


@dataclass(slots=True)
class GraphQLResponse:
    """A status, a JSON body and headers."""

    status: int
    body: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, content: Mapping[str, Any], media_type: str) -> "GraphQLResponse":
        """Return a response with this content."""
        return cls(status, encode(content), media_type)

    @classmethod
    def of_error(cls, error: HttpError, media_type: str, request_id: str) -> "GraphQLResponse":
        """Return the response to a request that failed with this error."""
        return cls(error.status, encode({"errors": [error.formatted(request_id)]}), media_type, error.headers)

    @classmethod
    def of_batch(cls, responses: Sequence["GraphQLResponse"], media_type: str) -> "GraphQLResponse":
        """Return the responses of a batch as one array, with the headers of all of them (for example `retry-after`)."""
        headers = {name: value for response in responses for name, value in response.headers.items()}
        return cls(200, b"[" + b",".join(response.body for response in responses) + b"]", media_type, headers)

    def revalidated(self, if_none_match: str | None) -> "GraphQLResponse":
        """Return this response with its `ETag`, or 304 if the client already has it.

        The tag covers data and errors. It does not cover the cost, because the available points differ each time.
        """
        if self.status != 200:  # noqa: PLR2004 - OK
            return self
        # `extensions` come last in the body.
        tagged = self.body.rpartition(b',"extensions":')[0] or self.body
        tag = f'W/"{blake2b(tagged, digest_size=16).hexdigest()}"'
        headers = {**self.headers, "etag": tag}
        known = {item.strip() for item in (if_none_match or "").split(",")}
        if known & {tag, tag.removeprefix("W/"), "*"}:
            return GraphQLResponse(304, b"", self.media_type, headers)
        return GraphQLResponse(self.status, self.body, self.media_type, headers)

    async def send(self, send: Send, accept_encoding: str | None) -> None:
        """Send the response, compressed if `accept_encoding` allows it and the body is large enough."""
        body, headers = self.body, list(_HEADERS)
        coding = choose_coding(accept_encoding) if len(body) >= MIN_COMPRESSED and accept_encoding else None
        if coding is not None:
            body = compress(body, coding)
            headers.append((b"content-encoding", coding.encode()))
        if body or self.status != 304:  # noqa: PLR2004 - Not Modified has no body
            headers.append((b"content-type", f"{self.media_type}; charset=utf-8".encode()))
            headers.append((b"content-length", str(len(body)).encode()))
        headers += [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
