"""Read an export of CouchDB, its tools or the v2 API, document by document."""

import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from adapters.archive.file_kinds import hint_for, without_byte_order_mark
from adapters.archive.inline_audio import with_inline_audio
from adapters.archive.json_splitter import Fault, Found, JsonSplitter, Note
from adapters.archive.unwrap import Deleted, Design, Wrapped, parse, unwrap

CHUNK: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Document:
    """A document. Audio inside it is an `InlineAudio` in place of its base64 text."""

    line: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A design document or a deleted document. It is not a recording, and this is not an error."""

    line: int
    is_deleted: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part of the file that the import does not know. `problem` says why, and what to do."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Message:
    """Something that the operator should know. It is not an error."""

    line: int
    text: str


Entry = Document | Skipped | Unknown | Message


def read_archive(path: Path, work: Path | None = None) -> Iterator[tuple[int, Entry]]:
    """Yield the entries of a file, each with the number of bytes of the file that were read up to it.

    Memory is bounded. Long audio inside documents is put into temporary files in the folder `work`. A gzip file is
    unpacked on the way.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        # A gzip file of several members is read to its end.
        source = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
        for entry in _entries(source, work):
            yield raw.tell(), entry


def _entries(source: BinaryIO, work: Path | None) -> Iterator[Entry]:
    def open_file() -> BinaryIO:
        return cast("BinaryIO", tempfile.TemporaryFile(dir=work))

    splitter = JsonSplitter(open_file)
    line, is_empty = 1, True
    try:
        head = _read_all(source, CHUNK)
        if (hint := hint_for(head)) is not None:
            yield Unknown(1, hint)
            return
        chunk = without_byte_order_mark(head)
        while chunk:
            is_empty = is_empty and not chunk.strip()
            yield from _documents(splitter.feed(chunk))
            line += chunk.count(b"\n")
            chunk = source.read(CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield Unknown(line, f"the gzip file is damaged or cut off ({error}), so documents may be missing: export again")
    yield from _documents(splitter.finish())
    if is_empty:
        yield Unknown(1, "the file is empty: export again")


def _read_all(source: BinaryIO, size: int) -> bytes:
    """Return the first bytes. One read of a gzip file may return fewer than `size` bytes."""
    head = io.BytesIO()
    while head.tell() < size and (chunk := source.read(size - head.tell())):
        head.write(chunk)
    return head.getvalue()


def _documents(found: Iterator[Found]) -> Iterator[Entry]:
    for piece in found:
        if isinstance(piece, Fault):
            yield Unknown(piece.line, piece.problem)
        elif isinstance(piece, Note):
            yield Message(piece.line, piece.text)
        else:
            try:
                value = with_inline_audio(parse(piece.text), piece.long_texts)
            except ValueError as error:
                for file in piece.long_texts:
                    file.close()
                yield Unknown(piece.line, str(error))
                continue
            yield from (_entry(piece.line, each) for each in unwrap(value))


def _entry(line: int, found: Wrapped) -> Entry:
    if isinstance(found, str):
        return Unknown(line, found)
    if isinstance(found, Deleted | Design):
        return Skipped(line, isinstance(found, Deleted))
    return Document(line, found)
