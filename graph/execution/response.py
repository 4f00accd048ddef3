"""An answer on its way out: encoded once, compressed where that pays, with an `ETag` if it was asked for by `GET`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from msgspec import json
from starlette.types import Send

from adapters.http.compression import choose_coding, compress
from graph.execution.http_error import HttpProblemError


def _plain(value: object) -> int:
    # Drivers have integers of their own kind; whatever else JSON does not know is a fault.
    if isinstance(value, int):
        return int(value)
    message = f"{type(value).__name__} is not JSON"
    raise TypeError(message)


MIN_COMPRESSED: Final = 1_400
"""Bytes. A smaller body fits into one packet, so compression gains nothing."""
_ALWAYS: Final = (
    (b"vary", b"accept, accept-encoding, authorization, x-auth-token"),
    # Errors included: a cache on the way knows nothing of X-Auth-Token, nor that a hash will be known soon.
    (b"cache-control", b"private, no-cache"),
)
encode: Final = json.Encoder(enc_hook=_plain).encode
"""JSON as every answer is written: UTF-8, nothing between the tokens."""


@dataclass(slots=True)
class Answer:
    """A status, a JSON body and headers."""

    status: int
    body: bytes
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, content: Mapping[str, Any], media_type: str) -> "Answer":
        """An answer of a GraphQL response."""
        return cls(status, encode(content), media_type)

    @classmethod
    def of_problem(cls, problem: HttpProblemError, media_type: str, request_id: str) -> "Answer":
        """An answer that says what is wrong with a request."""
        return cls(problem.status, encode({"errors": [problem.shown(request_id)]}), media_type, problem.headers)

    @classmethod
    def of_batch(cls, answers: Sequence["Answer"], media_type: str) -> "Answer":
        """The answers of a batch, as an array, under the headers of all of them, such as how long to wait."""
        headers = {name: value for answer in answers for name, value in answer.headers.items()}
        return cls(200, b"[" + b",".join(answer.body for answer in answers) + b"]", media_type, headers)

    def revalidated(self, if_none_match: str | None) -> "Answer":
        """This answer with its `ETag`, or 304 where the client has it already.

        The tag is that of data and errors. What is told about the cost comes last, and what is left to be spent is
        another number each time.
        """
        if self.status != 200:  # noqa: PLR2004 - OK
            return self
        said = self.body.rpartition(b',"extensions":')[0] or self.body
        tag = f'W/"{blake2b(said, digest_size=16).hexdigest()}"'
        headers = {**self.headers, "etag": tag}
        known = {item.strip() for item in (if_none_match or "").split(",")}
        if known & {tag, tag.removeprefix("W/"), "*"}:
            return Answer(304, b"", self.media_type, headers)
        return Answer(self.status, self.body, self.media_type, headers)

    async def send(self, send: Send, accept_encoding: str | None) -> None:
        """Send it, compressed if the client can read that."""
        body, headers = self.body, list(_ALWAYS)
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
