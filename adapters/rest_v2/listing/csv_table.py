"""Documents as CSV (contract section 1.7), with no I/O: every cell quoted, nested names joined with `_`."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

from adapters.rest_v2.listing.list_filters import as_text

MAX_COLUMNS: Final = 1_024
"""Every row has a cell for each column, so what a table costs is the product of the two; and anybody who may write on
recordings can give each of them a thousand names of its own."""
HEADINGS: Final = {"id": "ID", "description": "Description"}
_MAX_NAME: Final = 128


class CsvTable:
    """Writes rows in the order in which columns were first seen.

    The first call decides the headings. A column that is met later is appended to the rows that have it: such rows are
    longer than the headings, as in the reference, whose readers know the columns they want. There are `MAX_COLUMNS` at
    most: what would have to go into one more is in the JSON alone.
    """

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}
        self._begun = False

    def write(self, documents: Iterable[Mapping[str, Any]]) -> str:
        """Rows of these documents, below the headings if they are the first."""
        rows = [dict(flatten(document)) for document in documents]
        for row in rows:
            new = (name for name in row if name not in self._columns)
            self._columns.update(dict.fromkeys(islice(new, MAX_COLUMNS - len(self._columns))))
        lines = [self._line(row) for row in rows]
        if not self._begun and rows:
            self._begun = True
            lines.insert(0, _join(HEADINGS.get(column, column) for column in self._columns))
        return "".join(lines)

    def _line(self, row: Mapping[str, str]) -> str:
        return _join(row.get(column, "") for column in self._columns)


def flatten(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """The cells of a document: the names on the way to each, joined with `_`, and the value as text."""
    for name, item in value.items():
        here = f"{path}_{name}" if path else name
        if isinstance(item, Mapping):
            yield from flatten(item, here)
        elif isinstance(item, list):
            yield here, ",".join(as_text(each) for each in item)
        else:
            yield here, "" if item is None else as_text(item)


def file_name(header: str | None, parameter: str | None) -> str:
    """The name of the download: asked for by `X-File-Name` or `file_name`, or made up."""
    for given in (header, parameter):
        name = PurePosixPath((given or "").replace("\\", "/")).name
        if name and name.isprintable() and name.isascii() and '"' not in name and len(name) <= _MAX_NAME:
            return name
    return f"json_{secrets.token_hex(11)}.csv"


def _join(cells: Iterable[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"
