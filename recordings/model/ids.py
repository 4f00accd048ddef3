"""Ids.

A recording's id is `YYYYMM-` and 32 lower-case hex digits (docs/v2_contract.md, section 1.3). `YYYYMM` is the month, in
UTC, in which the recording was requested. The hex digits are a UUIDv7 (RFC 9562, section 5.7), so ids sort by time. The
ids of accounts, users, API keys and ingest addresses are 32 hex digits. An imported recording keeps its own id.
"""

import re
import secrets
from typing import Final

from recordings.model.instants import Millis, month_of

HEX_ID: Final = re.compile(r"[0-9a-f]{32}")
FILE_NAME: Final = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,127}")
"""An id that can be the name of a file or a folder: it cannot be read as a path."""
MAX_ID: Final = 128
"""Maximum length of an id, in characters. Imported ids may be longer than new ones."""


def new_recording_id(now: Millis) -> str:
    """Return a new recording id for an instant. A later instant gives a later id."""
    return f"{month_of(now)}-{_uuid7(now):032x}"


def new_id() -> str:
    """Return 32 random lower-case hex digits, for the id of an account, a key or an ingest address."""
    return secrets.token_hex(16)


def new_secret() -> str:
    """Return 64 random lower-case hex digits, for an API key or the secret of an ingest address."""
    return secrets.token_hex(32)


def is_hex_id(text: str) -> bool:
    """Return true if a text has the form of an account id."""
    return HEX_ID.fullmatch(text) is not None


def check_file_name(text: str) -> str:
    """Return an id if it can be the name of a file.

    Raises:
        ValueError: the id could be read as a path.
    """
    if not FILE_NAME.fullmatch(text):
        message = f"{text!r} is not a valid id: it could be read as a path"
        raise ValueError(message)
    return text


def _uuid7(now: Millis) -> int:
    random = secrets.randbits(74)
    high = (now & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (random >> 62) << 64
    return high | 0b10 << 62 | random & ((1 << 62) - 1)
