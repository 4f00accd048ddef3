"""The formats of an export: CSV, NDJSON and Parquet. They get the values column by column, and return bytes to send.

Every row has the same columns, and its cursor is in the last one. So the last row of what a client has received says
where to resume, and no reader of tables needs to skip a line that is not a row.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec

from adapters.http.csv_cells import plain_text
from graph.export.columns import Kind, Table
from recordings.model.instants import to_iso

ROW_GROUP: Final = 16_384
"""The rows of a row group in Parquet. They are kept in memory, compressed only when the group is complete."""
_BOM: Final = b"\xef\xbb\xbf"
Values = Sequence[Sequence[Any]]


class Format(StrEnum):
    """The format of an export."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


MEDIA_TYPES: Final = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.NDJSON: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class ParquetMissingError(RuntimeError):
    """pyarrow is not installed."""


class TableWriter(Protocol):
    """Writes one table."""

    def begin(self) -> bytes:
        """Return the bytes before the first row."""

    def write(self, values: Values) -> bytes:
        """Return the bytes of these rows, or of earlier ones. May be empty."""

    def end(self) -> bytes:
        """Return the bytes after the last row."""


def writer_of(wanted: Format, table: Table, *, bom: bool = False) -> TableWriter:
    """Return a writer. `bom` starts CSV with a byte order mark: Excel needs it to open a file as UTF-8.

    Raises:
        ParquetMissingError: the format is Parquet, and pyarrow is not installed.
    """
    match wanted:
        case Format.CSV:
            return CsvWriter(table, bom=bom)
        case Format.NDJSON:
            return NdjsonWriter(table)
        case Format.PARQUET:
            return ParquetWriter(table)


class CsvWriter:
    """CSV (RFC 4180) with a heading. A missing value is an empty cell, and no text is a formula."""

    def __init__(self, table: Table, *, bom: bool) -> None:
        self._table = table
        self._bom = bom

    def begin(self) -> bytes:
        """Return the heading."""
        return (_BOM if self._bom else b"") + _lines([self._table.heading])

    def write(self, values: Values) -> bytes:
        """Return the rows."""
        cells = [_cells(kind, column) for kind, column in zip(self._table.kinds, values, strict=True)]
        return _lines(zip(*cells, strict=True))

    def end(self) -> bytes:
        """Return nothing."""
        return b""


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(kind: Kind, column: Sequence[Any]) -> Sequence[Any]:
    match kind:
        case Kind.TEXT:
            return [value and plain_text(value) for value in column]
        case Kind.FLAG:
            return ["true" if value else "false" for value in column]
        case _:
            return plain_values(kind, column)


def plain_values(kind: Kind, column: Sequence[Any]) -> Sequence[Any]:
    """Return values as JSON has them: times in ISO 8601."""
    return [value if value is None else to_iso(value) for value in column] if kind is Kind.TIME else column


class NdjsonWriter:
    """One JSON object on each line, with all columns. A missing value is null."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._encoder = msgspec.json.Encoder()

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def write(self, values: Values) -> bytes:
        """Return the rows."""
        columns = [plain_values(kind, column) for kind, column in zip(self._table.kinds, values, strict=True)]
        rows = [dict(zip(self._table.heading, row, strict=True)) for row in zip(*columns, strict=True)]
        return self._encoder.encode_lines(rows)

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class _Collector(io.RawIOBase):
    """A file that collects written bytes until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class ParquetWriter:
    """Parquet with zstd. It is unreadable without its end, so a reader recognises an export that broke off."""

    def __init__(self, table: Table) -> None:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as error:
            message = "Parquet needs pyarrow: install the extra `export` (pip install 'call-recording-api[export]')"
            raise ParquetMissingError(message) from error
        types = {
            Kind.TEXT: pa.string(),
            Kind.INTEGER: pa.int64(),
            Kind.TIME: pa.timestamp("ms", tz="UTC"),
            Kind.FLAG: pa.bool_(),
        }
        self._arrow = pa
        self._schema = pa.schema([(name, types[kind]) for name, kind in zip(table.heading, table.kinds, strict=True)])
        self._file = _Collector()
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._rows = 0

    def begin(self) -> bytes:
        """Return the magic bytes."""
        return self._file.take()

    def write(self, values: Values) -> bytes:
        """Return the next row group if it is complete."""
        columns = [self._arrow.array(column, field.type) for column, field in zip(values, self._schema, strict=True)]
        self._batches.append(self._arrow.record_batch(columns, schema=self._schema))
        self._rows += len(values[0])
        if self._rows >= ROW_GROUP:
            self._write_group()
        return self._file.take()

    def end(self) -> bytes:
        """Return the last row group and the footer."""
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._file.take()

    def _write_group(self) -> None:
        self._writer.write_table(self._arrow.Table.from_batches(self._batches), row_group_size=self._rows)
        self._batches.clear()
        self._rows = 0
