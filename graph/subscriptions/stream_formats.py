"""The formats of a response that streams the results of an operation, with no I/O: results in, bytes out.

- `EventStream`: GraphQL over server-sent events, with one operation for each response ("distinct connections mode" of
  the npm package graphql-sse).
- `SharedEventStream`: the same with several operations ("single connection mode"). Each event has the id of its
  operation.
- `Multipart`: Apollo's protocol for subscriptions over multipart HTTP.
"""

from typing import Final, Protocol

from graph.execution.content_negotiation import EVENT_STREAM, MULTIPART
from graph.execution.response import encode

_BOUNDARY: Final = "graphql"


class StreamFormat(Protocol):
    """The bytes of a streamed response. Results and errors are encoded as JSON before."""

    content_type: str
    start: bytes
    """The first bytes. They also make proxies and browsers pass on the head of the response."""
    ping: bytes
    """Bytes without a meaning, for a connection without results."""
    end: bytes
    """The bytes at the end of the operation."""

    def result(self, result: bytes, cursor: str | None) -> bytes:
        """Return the bytes of one result. `cursor` is the place behind it, if it has one."""

    def failure(self, errors: bytes) -> bytes:
        """Return the end of an operation that failed. `errors` is a JSON list of GraphQL errors."""

    def interruption(self, errors: bytes) -> bytes:
        """Return the end of a response whose operation a client continues with a new request."""


class EventStream:
    """Server-sent events. A browser sends the last `id` back as `Last-Event-ID` when it connects again."""

    content_type = f"{EVENT_STREAM}; charset=utf-8"
    start = ping = b":\n\n"
    # Without `data`, `EventSource` does not report the event.
    end = b"event: complete\ndata:\n\n"

    def result(self, result: bytes, cursor: str | None) -> bytes:
        """Return the event `next`."""
        return _event(b"next", result, cursor)

    def failure(self, errors: bytes) -> bytes:
        """Return an event `next` with errors, and the end. Clients know no other event."""
        return self.result(b'{"errors":' + errors + b"}", None) + self.end

    def interruption(self, errors: bytes) -> bytes:
        """Return a comment. Clients subscribe again after a response without the event `complete`."""
        return b": " + errors + b"\n\n"


class SharedEventStream(EventStream):
    """Server-sent events of one operation among several.

    The events have no `id`: a client has one place for each operation, and so it cannot continue all with one header.
    """

    def __init__(self, operation_id: str) -> None:
        self._start = b'{"id":' + encode(operation_id)
        self.end = _event(b"complete", self._start + b"}", None)

    def result(self, result: bytes, cursor: str | None) -> bytes:  # noqa: ARG002 - see the class
        """Return the event `next` of the operation."""
        return _event(b"next", self._start + b',"payload":' + result + b"}", None)


class Multipart:
    """Parts with JSON. Each part ends with the next boundary: clients parse a part only when they read that."""

    content_type = f"{MULTIPART}; boundary={_BOUNDARY}; subscriptionSpec=1.0"
    start = f"\r\n--{_BOUNDARY}".encode()
    end = b"--\r\n"

    def __init__(self) -> None:
        self.ping = self._part(b"{}")

    def result(self, result: bytes, cursor: str | None) -> bytes:  # noqa: ARG002 - parts have no place for a cursor
        """Return a part with the result as its payload."""
        return self._part(b'{"payload":' + result + b"}")

    def failure(self, errors: bytes) -> bytes:
        """Return a part with errors of the transport, and the end."""
        return self._part(b'{"payload":null,"errors":' + errors + b"}") + self.end

    interruption = failure

    def _part(self, content: bytes) -> bytes:
        # Apollo's client for iOS reads no other header.
        return b"\r\ncontent-type: application/json\r\n\r\n" + content + self.start


def _event(name: bytes, data: bytes, cursor: str | None) -> bytes:
    # JSON has no line breaks outside of strings, and writes them as \n inside, so the data is one line.
    place = b"" if cursor is None else b"id: " + cursor.encode() + b"\n"
    return b"event: " + name + b"\n" + place + b"data: " + data + b"\n\n"
