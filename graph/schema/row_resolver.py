"""How a field without a resolver is read.

Recordings are plain mappings under the domain's field names, straight from the store; accounts, calls and the like are
objects. A field is *basic* if it is just `row[name]`: most fields are, and whoever completes a page in one go may rely
on it.
"""

from typing import Any


def row_field(python_name: str) -> str:
    """The row's name of a field: `from_` is Python's way to write `from`."""
    return python_name.rstrip("_")


def read(source: Any, python_name: str) -> Any:
    """The value of a basic field. A row without the field is a fault of the projection, and fails loudly."""
    if isinstance(source, dict):
        return source[row_field(python_name)]
    return getattr(source, python_name)
