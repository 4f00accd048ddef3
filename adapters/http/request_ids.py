"""`X-Request-ID`: the one that a client sent, wherever it can be shown as it is, or else one of ours.

The reference echoes whatever came (contract sections 1.1 and 5). So does this, in headers, envelopes and the log, but
for what would be something else there: control characters and what else does not print, bytes that are no text, and
what is longer than a line of the log should be.
"""

import secrets
from collections.abc import Iterable
from typing import Final

import structlog

HEADER: Final = "x-request-id"
LONGEST: Final = 256
"""Characters."""


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that a request came with, as text, or a new one: 32 hexadecimal digits."""
    given = next((value for name, value in headers if name.lower() == HEADER.encode()), b"")
    try:
        text = given.decode().strip()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and 0 < len(text) <= LONGEST else secrets.token_hex(16)


def current_request_id() -> str:
    """Return the id of the request that this task serves; an empty string outside of a request."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def as_header(request_id: str) -> str:
    """An id as it goes into a header: the bytes that came, which HTTP shows as Latin-1."""
    return request_id.encode().decode("latin-1")
