"""The protocol of FreeSWITCH's Event Socket, without I/O: bytes in, messages out.

Each message is a block of headers, an empty line, and a body if there is a `Content-Length`. The body of a plain event
is again a block of headers, with percent-encoded values, and may have a body of its own. Source: `mod_event_socket.c`
of FreeSWITCH 1.10.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

MAX_HEADERS: Final = 64 * 1024
"""Maximum length (bytes) of the headers of a message."""
MAX_BODY: Final = 64 * 1024 * 1024
"""Maximum length (bytes) of a body. The list of 20,000 channels has about half of that."""
_LENGTH: Final = re.compile(r"[0-9]{1,9}")
_ARGUMENT: Final = re.compile(r"[!-~]{1,1024}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_END: Final = b"\n\n"
_EMPTY: Final = "_undef_"
"""An empty value in a plain event."""


class ProtocolError(Exception):
    """The switch sent bytes that are not this protocol. No more bytes can be read of this connection."""


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """The switch asks for the password."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of a command. Results come in the order of the commands."""

    text: str

    @property
    def is_error(self) -> bool:
        """True if the switch refused the command. `-USAGE` is an error, too."""
        return self.text.startswith("-")


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """An event. `get` returns its values; in a plain event they are percent-encoded in `headers`."""

    headers: Mapping[str, str]
    body: str = ""
    is_encoded: bool = True

    @property
    def name(self) -> str:
        """The name of the event, such as `CHANNEL_ANSWER`."""
        return self.get("Event-Name")

    def get(self, header: str) -> str:
        """Return the value of a header; the empty text if there is none."""
        value = self.headers.get(header, "")
        if not self.is_encoded:
            return value
        return "" if value == _EMPTY else unquote(value) if "%" in value else value

    def variable(self, name: str) -> str:
        """Return a variable of the channel; the empty text if there is none."""
        return self.get(f"variable_{name}")


@dataclass(frozen=True, slots=True)
class Farewell:
    """The switch closes the connection."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The access list of the switch does not allow the connection. The switch closes it."""

    text: str


Message = AuthRequest | Reply | SwitchEvent | Farewell | Refusal


class EslProtocol:
    """Decodes the bytes of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._headers: Mapping[str, str] | None = None
        self._length = 0

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete after these bytes. Raises `ProtocolError`."""
        self._buffer += data
        messages: list[Message] = []
        while self._read_headers() and len(self._buffer) >= self._length:
            body = bytes(self._buffer[: self._length])
            del self._buffer[: self._length]
            headers, self._headers, self._length = self._headers or {}, None, 0
            message = _message(headers, body)
            if message is not None:
                messages.append(message)
        return messages

    def _read_headers(self) -> bool:
        """Read the headers of the next message, if they are complete. Return true if they are known."""
        if self._headers is not None:
            return True
        if self._searched == 0:
            # Some releases write an empty line between two messages.
            while self._buffer.startswith(b"\n"):
                del self._buffer[:1]
        end = self._buffer.find(_END, self._searched)
        if end < 0:
            if len(self._buffer) > MAX_HEADERS:
                raise ProtocolError(f"the headers of a message are longer than {MAX_HEADERS} bytes")
            self._searched = max(0, len(self._buffer) - 1)
            return False
        if end > MAX_HEADERS:
            raise ProtocolError(f"the headers of a message are longer than {MAX_HEADERS} bytes")
        self._headers = _parse(self._buffer[:end].decode("utf-8", "replace"))
        del self._buffer[: end + len(_END)]
        self._searched = 0
        self._length = _body_length(self._headers)
        return True


def _parse(block: str) -> dict[str, str]:
    """Return the headers of a block. This is fast, because a busy switch sends thousands of events a second."""
    try:
        return dict([line.split(": ", 1) for line in block.split("\n")])
    except ValueError as error:
        raise ProtocolError("a header has no colon") from error


def _body_length(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Length", "0")
    if not _LENGTH.fullmatch(text) or int(text) > MAX_BODY:
        raise ProtocolError(f"Content-Length is {text[:20]!r}, allowed: 0 to {MAX_BODY}")
    return int(text)


def _message(headers: Mapping[str, str], body: bytes) -> Message | None:
    """Return a message; `None` for one that is of no use here, such as a log line."""
    kind = headers.get("Content-Type")
    if kind is None:
        raise ProtocolError("a message has no Content-Type")
    make = _KINDS.get(kind)
    return None if make is None else make(headers, body.decode("utf-8", "replace"))


def _plain_event(text: str) -> SwitchEvent:
    block, _, rest = text.partition("\n\n")
    headers = _parse(block)
    # The length is in bytes. An own body is rare, and always of ASCII.
    return SwitchEvent(headers, rest[: _body_length(headers)])


def parse_json_event(text: str) -> SwitchEvent:
    """Return the event of a JSON object. Raises `ProtocolError`."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("an event is not valid JSON") from error
    if not isinstance(found, dict):
        raise ProtocolError("an event is not a JSON object")
    headers = {name: value for name, value in found.items() if isinstance(value, str)}
    return SwitchEvent(headers, headers.pop("_body", ""), is_encoded=False)


_KINDS: Final[Mapping[str, Callable[[Mapping[str, str], str], Message]]] = {
    "auth/request": lambda _headers, _body: AuthRequest(),
    "command/reply": lambda headers, _body: Reply(headers.get("Reply-Text", "")),
    "api/response": lambda _headers, body: Reply(body),
    "text/event-plain": lambda _headers, body: _plain_event(body),
    "text/event-json": lambda _headers, body: parse_json_event(body),
    "text/disconnect-notice": lambda _headers, body: Farewell(body.strip()),
    "text/rude-rejection": lambda _headers, body: Refusal(body.strip()),
}


def command(*parts: str) -> bytes:
    """Return the bytes of a command. Raises `ValueError` if a control character would end it early."""
    text = " ".join(parts)
    if _CONTROL.search(text):
        raise ValueError("a command must not have control characters")
    return text.encode() + _END


def is_argument(text: str) -> bool:
    """Return true if a text is a single argument of a command: FreeSWITCH splits arguments at spaces."""
    return _ARGUMENT.fullmatch(text) is not None


def variables(values: Mapping[str, str]) -> str:
    """Return the variables of a recording as FreeSWITCH reads them. A comma or a brace in a value would break them."""
    return "{" + ",".join(f"{name}={value}" for name, value in values.items()) + "}"
