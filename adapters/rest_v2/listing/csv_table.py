"""Documents as CSV (`docs/v2_contract.md`, section 1.7), with no I/O. Each cell has quotes, nested names are joined.

No text is a formula for a spreadsheet: see `adapters.http.csv_cells`. JSON numbers stay numbers.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

from adapters.http.csv_cells import plain_text
from adapters.rest_v2.listing.list_filters import as_text

MAX_COLUMNS: Final = 1_024
"""Each row has a cell for each column, so the cost of a table is rows times columns. A client that may change
recordings can give each of them a thousand names in `user_metadata`."""
HEADINGS: Final = {"id": "ID", "description": "Description"}
_MAX_NAME: Final = 128


class CsvTable:
    """Writes rows. The columns have the order in which they were first found.

    The first call sets the headings. A column that is found later is appended, and rows with it are longer than the
    headings, as in Kazoo. There are at most `MAX_COLUMNS` columns. Further values are only in the JSON.
    """

    def __init__(self) -> None:
        self._columns: dict[str, None] = {}
        self._has_headings = False

    def write(self, documents: Iterable[Mapping[str, Any]]) -> str:
        """Return the rows of documents. The first rows follow the headings."""
        rows = [dict(flatten(document)) for document in documents]
        for row in rows:
            new = (name for name in row if name not in self._columns)
            self._columns.update(dict.fromkeys(islice(new, MAX_COLUMNS - len(self._columns))))
        lines = [self._line(row) for row in rows]
        if not self._has_headings and rows:
            self._has_headings = True
            lines.insert(0, _join(HEADINGS.get(column, plain_text(column)) for column in self._columns))
        return "".join(lines)

    def _line(self, row: Mapping[str, str]) -> str:
        return _join(row.get(column, "") for column in self._columns)


def flatten(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the cells of a document: the names of the path joined with `_`, and the value as text."""
    for name, item in value.items():
        column = f"{path}_{name}" if path else name
        if isinstance(item, Mapping):
            yield from flatten(item, column)
        elif isinstance(item, list):
            yield column, plain_text(",".join(as_text(each) for each in item))
        elif isinstance(item, str):
            yield column, plain_text(item)
        else:
            yield column, "" if item is None else as_text(item)


def file_name(header: str | None, parameter: str | None) -> str:
    """Return the name of the download, from `X-File-Name` or `file_name`, or a random one."""
    for value in (header, parameter):
        name = PurePosixPath((value or "").replace("\\", "/")).name
        if name and name.isprintable() and name.isascii() and '"' not in name and len(name) <= _MAX_NAME:
            return name
    return f"json_{secrets.token_hex(11)}.csv"


def _join(cells: Iterable[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"
