"""What a sender says of a call, made fit to be kept: bounded, printable, and nothing where nothing was said."""

import re
from collections.abc import Mapping
from typing import Final

from recordings.model.recording import Direction

MAX_TEXT: Final = 256
"""Characters of one value; what is longer is cut."""
MAX_VARS: Final = 32
"""How many values that have no field of their own are kept."""
MAX_VAR_NAME: Final = 64

_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


def clean(text: str | None) -> str | None:
    """A text as it is kept: without control characters, cut, and `None` if nothing is left."""
    if not text:
        return None
    # A character that is not printable is a control character or a lone surrogate: no store could be trusted with it.
    kept = "".join(character for character in text[: 4 * MAX_TEXT] if character.isprintable())
    return kept.strip()[:MAX_TEXT] or None


def channel_vars(given: Mapping[str, str]) -> dict[str, str]:
    """The values that are kept as custom channel variables: the first 32, under names of letters, digits, `_`, `-`."""
    kept: dict[str, str] = {}
    for name, text in given.items():
        value = clean(text)
        if len(kept) < MAX_VARS and name and value is not None:
            kept[_ODD.sub("_", name[:MAX_VAR_NAME])] = value
    return kept


def direction(text: str | None) -> Direction | None:
    """Which way the call went, if that was said in a word we know."""
    return Direction(text) if text in {"inbound", "outbound"} else None
