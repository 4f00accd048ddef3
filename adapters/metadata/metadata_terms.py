"""The terms of a recording's user metadata: the texts that an index of its keys and values contains.

A key has the term `["key"]`. With a text, a number or a boolean as its value, it has the term `["key","value"]`, too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from adapters.metadata.row_fields import decode
from recordings.model.query import HasMetadata

TERMS: Final = "metadata_terms"
"""The name of the terms, as a field of a selection."""
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
MAX_TERM: Final = 128
"""A longer term is replaced by its SHA-256, so that an index entry is short."""


def terms_of(metadata: Mapping[str, Any]) -> list[str] | None:
    """Return the terms of the metadata, or `None` if there are none."""
    present = [(key, value) for key, value in metadata.items() if value is not None]
    keys = [_term(key) for key, _ in present]
    values = [_term(key, value) for key, value in present if isinstance(value, str | int | float)]
    return [*keys, *values] or None


def terms_of_json(text: str) -> list[str] | None:
    """Return the terms of metadata that is stored as JSON text."""
    return terms_of(decode(text))


def term_of(condition: HasMetadata) -> str:
    """Return the term that a recording has if it meets a condition."""
    return _term(condition.key) if condition.value is None else _term(condition.key, condition.value)


def _term(key: str, *value: Any) -> str:
    # Equal numbers have one form: 1.0 is 1.
    plain = [int(each) if isinstance(each, float) and each.is_integer() else each for each in value]
    text = _encode([key, *plain])
    return text if len(text) <= MAX_TERM else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
