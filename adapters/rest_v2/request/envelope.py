"""The envelope of a response (`docs/v2_contract.md`, sections 1.1 and 5.3), with no I/O."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from adapters.rest_v2.request.v2_errors import V2Error
from recordings.model.instants import SECOND, Millis

UNDEFINED: Final = "undefined"
"""The value of `auth_token` in a 401 response (`docs/v2_contract.md`, section 4.5)."""
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeFields:
    """The keys of an envelope besides its data. `consumed` and `remaining` are tokens of the rate limit."""

    request_id: str
    node: str
    version: str
    timestamp: str
    auth_token: str | None = None
    consumed: int = 0
    remaining: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the keys that every envelope has."""
        values = {
            "request_id": self.request_id,
            "node": self.node,
            "version": self.version,
            "timestamp": self.timestamp,
            "auth_token": self.auth_token,
            "tokens": {"consumed": self.consumed, "remaining": self.remaining},
        }
        return {name: value for name, value in values.items() if value is not None}


def success(data: Any, fields: EnvelopeFields, paging: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the envelope of a successful response."""
    return {"data": data, **(paging or {}), "status": "success", **fields.as_dict()}


def failure(error: V2Error, fields: EnvelopeFields) -> dict[str, Any]:
    """Return the envelope of an error. `error` is the status as text, because clients parse it as a number."""
    envelope = {"data": error.data, "error": str(error.status), "message": error.message, "status": "error"}
    return envelope | fields.as_dict()


def trailer(fields: EnvelopeFields, paging: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys after the data of a chunked response: only texts, without `tokens`.

    See `docs/v2_contract.md`, section 1.8.
    """
    values = {**paging, "status": "success", **fields.as_dict()}
    del values["tokens"]
    return {name: str(value) for name, value in values.items()}


def timestamp(now: Millis) -> str:
    """Return a time as envelopes show it: `2024-03-12T21:24:34Z`."""
    return _timestamp(now // SECOND)


@lru_cache(maxsize=1)
def _timestamp(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def node_id(name: str) -> str:
    """Return a digest of a server's name, as 22 characters."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def to_json(value: Any, *, pretty: bool = False) -> bytes:
    """Encode a value as JSON. With `pretty` it is indented."""
    text = _encode(value)
    return msgspec.json.format(text, indent=2) if pretty else text
