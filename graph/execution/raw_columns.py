"""Columns of rows that the store has not decoded. The store encodes them where it can (`RawRows.to_json`).

A row that the store does not encode is decoded and completed as all others.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Raw

from recordings.model.fields import RecordingRow
from recordings.model.raw_rows import JsonObject, RawRows

Edge = tuple[RecordingRow, str | None]


class RawEdges(Sequence[Edge]):
    """The edges of a page of such rows."""

    def __init__(self, rows: RawRows, cursors: Sequence[str | None]) -> None:
        self.rows = rows
        self.cursors = cursors

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Edge]:
        """Iterate over the edges, with decoded rows."""
        return zip(self.rows, self.cursors, strict=True)

    def __getitem__(self, index: Any) -> Any:
        """Return edges, with decoded rows."""
        return list(self)[index]


def encode_rows(rows: RawRows, shown: JsonObject, complete: Callable[[Sequence[Any]], Sequence[Any]]) -> list[Any]:
    """Return the rows, each encoded. `complete` returns the objects of decoded rows."""
    texts = rows.to_json(shown)
    results: list[Any] = [None if text is None else Raw(text) for text in texts]
    decoded = [at for at, text in enumerate(texts) if text is None]
    if decoded:
        for at, result in zip(decoded, complete([rows[at] for at in decoded]), strict=True):
            results[at] = result
    return results
