"""The documents that an installation trusts, from files as the tools of clients write them.

    {"ID": "TEXT", ...}                                         Relay's compiler, graphql-codegen
    {"format": "apollo-persisted-query-manifest", "version": 1,
     "operations": [{"id": "ID", "body": "TEXT", ...}, ...]}    Apollo's generate-persisted-query-manifest
    a file `*.graphql`                                          one document, with no id but its SHA-256

An id is whatever the tool made of the text: MD5 (Relay), `sha256:` and SHA-256 (graphql-codegen), SHA-1 (its earlier
releases), SHA-256 (Apollo). Nothing here depends on which: a document is named by the id that its file has for it, and
by the SHA-256 of its text.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, Struct, ValidationError, convert, json

MAX_BYTES: Final = 16 << 20
"""The longest file. It is read at the start, and kept."""
MAX_ID: Final = 128
_SUFFIXES: Final = (".graphql", ".json")
_APOLLO: Final = "apollo-persisted-query-manifest"


class TrustedFileError(Exception):
    """A file of trusted documents that cannot be used; the message says which, and why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"trusted documents: {path}: {why}")


class TrustedDocument(NamedTuple):
    """A document and the id that clients name it by; no id is another name than its SHA-256."""

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
    """The documents of a file, or of all files `*.json` and `*.graphql` of a folder.

    Raises:
        TrustedFileError: it cannot be read, is none of the formats, or has two texts for one id.
    """
    found: dict[str, str] = {}
    plain: list[str] = []
    for file in _files(path):
        for document in _read(file):
            if document.id is None:
                plain.append(document.text)
            elif not 0 < len(document.id) <= MAX_ID:
                raise TrustedFileError(file, f"an id must have 1 to {MAX_ID} characters, not {len(document.id)}")
            elif found.setdefault(document.id, document.text) != document.text:
                raise TrustedFileError(file, f"the id {document.id} stands for two texts")
    return (*(TrustedDocument(*item) for item in found.items()), *(TrustedDocument(None, text) for text in plain))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if not files:
        raise TrustedFileError(path, "the folder has no files *.json or *.graphql")
    return files


def _read(file: Path) -> list[TrustedDocument]:
    try:
        content = file.read_bytes() if file.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise TrustedFileError(file, str(error.strerror or error)) from error
    if content is None:
        raise TrustedFileError(file, f"it is longer than {MAX_BYTES} bytes")
    try:
        if file.suffix == ".graphql":
            return [TrustedDocument(None, content.decode())]
        return _of_json(file, json.decode(content))
    except (DecodeError, UnicodeDecodeError) as error:
        raise TrustedFileError(file, str(error)) from error


def _of_json(file: Path, content: Any) -> list[TrustedDocument]:
    if isinstance(content, dict) and content.get("format") == _APOLLO:
        manifest = _as(file, content, _Manifest)
        if manifest.version != 1:
            raise TrustedFileError(file, f"version 1 of Apollo's manifest is read, not {manifest.version}")
        return [TrustedDocument(item.id, item.body) for item in manifest.operations]
    return [TrustedDocument(*item) for item in _as(file, content, dict[str, str]).items()]


def _as(file: Path, content: Any, kind: Any) -> Any:
    try:
        return convert(content, kind)
    except ValidationError as error:
        raise TrustedFileError(file, f"it is no map of ids to texts, nor Apollo's manifest: {error}") from error
