"""`X-Request-ID`: the id that the client sent, or a new one.

Kazoo repeats any id. This service repeats an id in headers, envelopes and the log, unless it has unprintable
characters, is not UTF-8, or is too long for a log line (`docs/v2_contract.md`, section 5.7).
"""

import secrets
from collections.abc import Iterable
from typing import Final

import structlog

HEADER: Final = "x-request-id"
MAX_LENGTH: Final = 256
"""Characters."""


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id of a request as text, or a new id of 32 hexadecimal digits."""
    sent = next((value for name, value in headers if name.lower() == HEADER.encode()), b"")
    try:
        text = sent.decode().strip()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and 0 < len(text) <= MAX_LENGTH else secrets.token_hex(16)


def current_request_id() -> str:
    """Return the id of the request that this task serves; an empty string outside of a request."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def as_header(request_id: str) -> str:
    """Return an id as a header value: the bytes of the client, decoded as Latin-1."""
    return request_id.encode().decode("latin-1")
