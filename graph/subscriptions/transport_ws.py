"""The server's side of the WebSocket subprotocol `graphql-transport-ws`, without I/O: messages in, events out.

The protocol is that of the npm package graphql-ws (PROTOCOL.md). The shell passes each message to `receive`, and the
time to `tick` once a second. It carries out the returned events in their order. `acknowledge`, `result`, `fail` and
`complete` return the text of a message to send, or `None` if the operation has ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Any, Final

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, ValidationError, json

from graph.execution.request_params import RequestParams

SUBPROTOCOL: Final = "graphql-transport-ws"
INIT_SECONDS: Final = 5.0
"""How long the server waits for `connection_init`."""
PING_SECONDS: Final = 20.0
"""How often the server sends a `ping`."""
DEAD_SECONDS: Final = 45.0
"""After this long without a message, the client is gone."""
MAX_OPERATIONS: Final = 20
"""How many operations a socket may have at once."""
BURST: Final = 200
PER_SECOND: Final = 50
"""How many messages a client may send at once, and how many it may send each second."""
_MAX_REASON: Final = 123
"""Bytes of the reason in a close frame (RFC 6455, section 5.5)."""


class Code(IntEnum):
    """The codes with which the server closes a socket."""

    RESTARTING = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_REQUESTS = 4429


@dataclass(frozen=True, slots=True)
class Initialize:
    """The client sent `connection_init`. Answer with `acknowledge`, or close the socket."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client starts an operation."""

    id: str
    params: RequestParams


@dataclass(frozen=True, slots=True)
class Stop:
    """The client ends an operation."""

    id: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send this text message."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket. No event follows."""

    code: Code
    reason: str


Event = Initialize | Subscribe | Stop | Send | Close


class _Message(Struct):
    type: str
    id: str | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET


class _State(Enum):
    NEW = auto()
    INITIALIZING = auto()
    READY = auto()
    CLOSED = auto()


_decode: Final = json.Decoder(_Message).decode
_decode_params: Final = json.Decoder(RequestParams).decode
_decode_object: Final = json.Decoder(dict[str, Any] | None).decode
_FAULTS: Final = (ValidationError, DecodeError, RecursionError, UnicodeError)
_PING: Final = '{"type":"ping"}'


class TransportWs:
    """The state of one socket. `now` is the time in seconds, by any clock that never goes back."""

    def __init__(self, now: float) -> None:
        self.operations: set[str] = set()
        """The ids of the operations that run."""
        self._state = _State.NEW
        self._began = self._heard = self._pinged = self._counted = now
        self._allowance = float(BURST)

    @property
    def is_ready(self) -> bool:
        """True between the acknowledgement and the close."""
        return self._state is _State.READY

    @property
    def is_closed(self) -> bool:
        """True after the close."""
        return self._state is _State.CLOSED

    def receive(self, message: str | bytes, now: float) -> Sequence[Event]:
        """Return the events of a message of the client."""
        if self.is_closed:
            return ()
        self._heard = now
        self._allowance = min(float(BURST), self._allowance + (now - self._counted) * PER_SECOND) - 1
        self._counted = now
        if self._allowance < 0:
            return self.close(Code.TOO_MANY_REQUESTS, f"too many messages: at most {PER_SECOND} each second")
        if isinstance(message, bytes):
            return self._bad("the message is binary: send JSON as text")
        try:
            return self._handled(_decode(message))
        except _FAULTS as error:
            return self._bad(f"the message is not valid: {error}")

    def tick(self, now: float) -> Sequence[Event]:
        """Return the events that are due."""
        if self._state is _State.NEW and now - self._began >= INIT_SECONDS:
            return self.close(Code.TIMEOUT, "Connection initialisation timeout")
        if self._state is not _State.READY:
            return ()
        if now - self._heard >= DEAD_SECONDS:
            return self.close(Code.TIMEOUT, f"no message for {DEAD_SECONDS:g} s: answer each ping with a pong")
        if now - self._pinged >= PING_SECONDS:
            self._pinged = now
            return (Send(_PING),)
        return ()

    def acknowledge(self, now: float) -> str | None:
        """Return the answer to `connection_init`."""
        if self._state is not _State.INITIALIZING:
            return None
        self._state, self._pinged = _State.READY, now
        return '{"type":"connection_ack"}'

    def result(self, operation: str, body: bytes) -> str | None:
        """Return the message with a result. `body` is its JSON."""
        return _message("next", operation, body) if operation in self.operations else None

    def fail(self, operation: str, errors: bytes) -> str | None:
        """Return the message that ends an operation with errors. `errors` is a list in JSON."""
        return self._ended("error", operation, errors)

    def complete(self, operation: str) -> str | None:
        """Return the message that ends an operation."""
        return self._ended("complete", operation)

    def close(self, code: Code, reason: str) -> Sequence[Event]:
        """Return the event that closes the socket, unless it is closed."""
        if self.is_closed:
            return ()
        self._state = _State.CLOSED
        self.operations.clear()
        return (Close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore")),)

    def _bad(self, reason: str) -> Sequence[Event]:
        return self.close(Code.BAD_REQUEST, reason)

    def _handled(self, message: _Message) -> Sequence[Event]:
        match message.type:
            case "connection_init":
                return self._initialize(message)
            case "ping":
                return self._pong(message)
            case "pong":
                _object_in(message)
                return ()
            case "subscribe":
                return self._subscribe(message)
            case "complete":
                return self._stop(message)
        return self._bad(f"unknown message type {message.type[:40]!r}")

    def _initialize(self, message: _Message) -> Sequence[Event]:
        payload = _object_in(message)
        if self._state is not _State.NEW:
            return self.close(Code.TOO_MANY_REQUESTS, "Too many initialisation requests")
        self._state = _State.INITIALIZING
        return (Initialize(payload),)

    def _pong(self, message: _Message) -> Sequence[Event]:
        payload = b"" if _object_in(message) is None else b',"payload":' + bytes(_raw(message))
        return (Send(f'{{"type":"pong"{payload.decode()}}}'),)

    def _subscribe(self, message: _Message) -> Sequence[Event]:
        operation = _id_of(message)
        if operation is None or isinstance(message.payload, UnsetType):
            return self._bad("a subscribe message needs an `id`, a text that is not empty, and a `payload`")
        params = _decode_params(message.payload)
        if not _has_document(params):
            return self._bad("the payload has no document: send `query`, `documentId` or `extensions.persistedQuery`")
        if self._state is not _State.READY:
            return self.close(Code.UNAUTHORIZED, "Unauthorized: wait for connection_ack")
        if operation in self.operations:
            return self.close(Code.SUBSCRIBER_EXISTS, f"Subscriber for {operation[:60]} already exists")
        if len(self.operations) >= MAX_OPERATIONS:
            text = f"too many operations: a socket may have {MAX_OPERATIONS} at once"
            error = {"message": text, "extensions": {"code": "LIMIT_EXCEEDED"}}
            return (Send(_message("error", operation, json.encode([error]))),)
        self.operations.add(operation)
        return (Subscribe(operation, params),)

    def _stop(self, message: _Message) -> Sequence[Event]:
        operation = _id_of(message)
        if operation is None:
            return self._bad("a complete message needs an `id`, a text that is not empty")
        if operation not in self.operations:
            return ()
        self.operations.remove(operation)
        return (Stop(operation),)

    def _ended(self, kind: str, operation: str, payload: bytes | None = None) -> str | None:
        if operation not in self.operations:
            return None
        self.operations.remove(operation)
        return _message(kind, operation, payload)


def start_of_result(operation: str) -> bytes:
    """Return the beginning of a message with a result. The JSON of the result and a brace follow."""
    return b'{"id":' + json.encode(operation) + b',"type":"next","payload":'


def _object_in(message: _Message) -> dict[str, Any] | None:
    """Return the payload, which may be missing or null. Raise `ValidationError` if it is anything but an object."""
    return None if isinstance(message.payload, UnsetType) else _decode_object(message.payload)


def _raw(message: _Message) -> Raw:
    return Raw(b"null") if isinstance(message.payload, UnsetType) else message.payload


def _id_of(message: _Message) -> str | None:
    return None if isinstance(message.id, UnsetType) or not message.id else message.id


def _has_document(params: RequestParams) -> bool:
    return bool(params.query or params.document_id or (params.extensions or {}).get("persistedQuery"))


def _message(kind: str, operation: str, payload: bytes | None = None) -> str:
    start = b'{"id":' + json.encode(operation) + b',"type":"' + kind.encode()
    return (start + (b'"}' if payload is None else b'","payload":' + payload + b"}")).decode()
