"""Read the lists of FreeSWITCH: its channels, and the recordings of a channel. No I/O."""

import json
import re
from collections.abc import Mapping
from html import unescape
from typing import Any, Final

from adapters.recorders.freeswitch.esl_protocol import ProtocolError

_TARGET: Final = re.compile(r"<function>session_record</function>\s*<target>([^<]*)</target>")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


def read_channels(text: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of `show channels as json`, by channel. Raises `ProtocolError`."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the list of channels is not JSON: {text[:60]!r}") from error
    rows = found.get("rows", []) if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise ProtocolError("the list of channels has no rows")
    return {row["uuid"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("uuid"), str)}


def read_targets(text: str) -> frozenset[str] | None:
    """Return the files of the recordings in `uuid_buglist`; `None` after an error: mostly, the channel has ended."""
    if text.startswith("-"):
        return None
    return frozenset(unescape(target) for target in _TARGET.findall(text))


def read_number(text: str) -> int | None:
    """Return the number that a command printed; `None` if it printed something else."""
    return int(text) if _NUMBER.fullmatch(text) else None
