"""Trusted documents, read from the files that client tools write.

    {"ID": "TEXT", ...}                                         Relay's compiler, graphql-codegen
    {"format": "apollo-persisted-query-manifest", "version": 1,
     "operations": [{"id": "ID", "body": "TEXT", ...}, ...]}    Apollo's generate-persisted-query-manifest
    a file `*.graphql`                                          one document, with no id but its SHA-256

Each tool has its own ids: MD5 (Relay), `sha256:` and SHA-256 (graphql-codegen), SHA-1 (earlier releases of
graphql-codegen), SHA-256 (Apollo). This service accepts any id: a client names a document by the id in its file, or by
the SHA-256 of its text.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, Struct, ValidationError, convert, json

MAX_BYTES: Final = 16 << 20
"""The maximum size of a file. Files are read at the start, and kept in memory."""
MAX_ID: Final = 128
"""The maximum length of an id in characters."""
_SUFFIXES: Final = (".graphql", ".json")
_APOLLO: Final = "apollo-persisted-query-manifest"


class TrustedFileError(Exception):
    """A file of trusted documents that cannot be used. The message has the path and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"trusted documents: {path}: {reason}")


class TrustedDocument(NamedTuple):
    """A document and the id that clients use for it. Without an id, clients use its SHA-256."""

    id: str | None
    text: str


class _Operation(Struct):
    id: str
    body: str


class _Manifest(Struct):
    format: str
    version: int
    operations: list[_Operation]


def read_trusted(path: Path) -> tuple[TrustedDocument, ...]:
    """Read the documents in a file, or in all files `*.json` and `*.graphql` of a folder.

    Raises:
        TrustedFileError: A file cannot be read, has none of the formats, or has two texts for an id.
    """
    found: dict[str, str] = {}
    without_id: list[str] = []
    for file in _files(path):
        for document in _read(file):
            if document.id is None:
                without_id.append(document.text)
            elif not 0 < len(document.id) <= MAX_ID:
                raise TrustedFileError(file, f"an id has {len(document.id)} characters: 1 to {MAX_ID} are allowed")
            elif found.setdefault(document.id, document.text) != document.text:
                raise TrustedFileError(file, f"the id {document.id} has two different texts")
    return (*(TrustedDocument(*item) for item in found.items()), *(TrustedDocument(None, text) for text in without_id))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not files:
        raise TrustedFileError(path, "the folder has no file *.json or *.graphql")
    return files


def _read(file: Path) -> list[TrustedDocument]:
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise TrustedFileError(file, str(error.strerror or error)) from error
    if content is None:
        raise TrustedFileError(file, f"the file is too large: at most {MAX_BYTES} bytes are allowed")
    try:
        if file.suffix == ".graphql":
            return [TrustedDocument(None, content.decode())]
        return _parse_json(file, json.decode(content))
    except (DecodeError, UnicodeDecodeError) as error:
        raise TrustedFileError(file, str(error)) from error


def _parse_json(file: Path, content: Any) -> list[TrustedDocument]:
    if isinstance(content, dict) and content.get("format") == _APOLLO:
        manifest = _converted(file, content, _Manifest)
        if manifest.version != 1:
            reason = f"the Apollo manifest has version {manifest.version}: only version 1 is supported"
            raise TrustedFileError(file, reason)
        return [TrustedDocument(item.id, item.body) for item in manifest.operations]
    return [TrustedDocument(*item) for item in _converted(file, content, dict[str, str]).items()]


def _converted(file: Path, content: Any, kind: Any) -> Any:
    try:
        return convert(content, kind)
    except ValidationError as error:
        reason = f"the file is neither a JSON map of ids to texts nor an Apollo manifest: {error}"
        raise TrustedFileError(file, reason) from error
