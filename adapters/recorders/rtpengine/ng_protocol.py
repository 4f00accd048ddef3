"""rtpengine's ng protocol: the messages of one request and its reply. No I/O.

A message is a cookie, a space and a bencoded dictionary. rtpengine repeats its reply to a repeated cookie, so each
request needs a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.recorders.rtpengine.bencode import BencodeError, decode, encode

CONTENT_TYPE: Final = "application/x-rtpengine-ng"
_OK: Final = frozenset({"ok", "pong"})


class NgError(Exception):
    """A reply that does not follow the protocol."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request. `reason` says why rtpengine rejected it."""

    is_ok: bool
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_unknown_call(self) -> bool:
        """Whether rtpengine does not know the call."""
        return self.reason == "Unknown call-id"

    @property
    def is_unknown_command(self) -> bool:
        """Whether this release of rtpengine does not know the command."""
        return self.reason == "Unrecognized command"


def request(cookie: str, command: str, **values: str | int) -> bytes:
    """Return a request. Underscores in the names of values stand for hyphens."""
    body = {name.replace("_", "-"): value for name, value in values.items()}
    return cookie.encode("ascii") + b" " + encode({"command": command, **body})


def read_reply(cookie: str, message: bytes) -> Reply:
    """Return the reply to the request with this cookie.

    Raises:
        NgError: the message is not a reply to it.
    """
    found, _, body = message.partition(b" ")
    if found != cookie.encode("ascii"):
        raise NgError("the reply has another cookie")
    try:
        values = decode(body)
    except BencodeError as error:
        raise NgError(f"the reply is not bencode: {error}") from error
    result = values.get("result") if isinstance(values, dict) else None
    if not isinstance(result, str):
        raise NgError("the reply has no result")
    return Reply(result in _OK, "" if result in _OK else str(values.get("error-reason", result)), values)
