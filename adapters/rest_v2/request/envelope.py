"""The envelope around every answer (contract sections 1.1 and 5), with no I/O."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from adapters.rest_v2.request.v2_errors import Fault
from recordings.model.instants import SECOND, Millis

UNDEFINED: Final = "undefined"
"""What stands for the token in the answer to somebody who has none that holds (4.3)."""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What every envelope says besides its data. `consumed` and `remaining` are the rate limit's tokens."""

    request_id: str
    node: str
    version: str
    timestamp: str
    auth_token: str | None = None
    consumed: int = 0
    remaining: int = 0

    def fields(self) -> dict[str, Any]:
        """The keys of an envelope that are the same whatever it holds."""
        values = {
            "request_id": self.request_id,
            "node": self.node,
            "version": self.version,
            "timestamp": self.timestamp,
            "auth_token": self.auth_token,
            "tokens": {"consumed": self.consumed, "remaining": self.remaining},
        }
        return {name: value for name, value in values.items() if value is not None}


def success(data: Any, meta: Meta, paging: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The envelope of what was asked for."""
    return {"data": data, **(paging or {}), "status": "success", **meta.fields()}


def failure(fault: Fault, meta: Meta) -> dict[str, Any]:
    """The envelope of a refusal. Its `error` is the status as text: clients make a number of it."""
    told = {"data": fault.data, "error": str(fault.status), "message": fault.message, "status": "error"}
    return told | meta.fields()


def trailer(meta: Meta, paging: Mapping[str, Any]) -> dict[str, str]:
    """What follows the data of a chunked answer: every value is a text, and tokens are not told (section 1.8)."""
    fields = {**paging, "status": "success", **meta.fields()}
    del fields["tokens"]
    return {name: str(value) for name, value in fields.items()}


def timestamp(now: Millis) -> str:
    """An instant as envelopes show it: `2024-03-12T21:24:34Z`."""
    return f"{datetime.fromtimestamp(now // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def node_id(name: str) -> str:
    """A node as envelopes show it: 22 characters that do not give its name away."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def to_json(value: Any, *, pretty: bool = False) -> bytes:
    """A value as JSON, indented if asked for."""
    text = _encode(value)
    return msgspec.json.format(text, indent=2) if pretty else text
