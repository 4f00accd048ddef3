"""The resolver of every field that has no resolver of its own.

Recordings are plain mappings, straight from the store, with the domain's field names. Accounts and calls are objects. A
field is *basic* if its value is `row[name]`. Most fields are basic, and compiled execution relies on that.
"""

from typing import Any


def row_field(python_name: str) -> str:
    """Return a field's name in rows: `from_` is `from`, which is a keyword in Python."""
    return python_name.rstrip("_")


def read(source: Any, python_name: str) -> Any:
    """Return the value of a basic field.

    Raises:
        KeyError: the row lacks the field. The projection is then wrong, so this must not pass silently.
    """
    if isinstance(source, dict):
        return source[row_field(python_name)]
    return getattr(source, python_name)
