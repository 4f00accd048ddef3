"""The list of stored audio in a dump: one JSON line for each recording."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from adapters.metadata.row_fields import encode
from recordings.ports.copied_store import AUDIO_LIST, DumpedFile

_COPIED: Final = ("url", "length", "sha256", "content_type")


class AudioList:
    """Writes the list into a folder. Audio at a storage provider does not belong to the installation."""

    def __init__(self, folder: Path) -> None:
        self._file = gzip.GzipFile(folder / AUDIO_LIST, "wb", compresslevel=1)
        self._rows = 0

    def __enter__(self) -> Self:
        """Return the list."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the file."""
        self._file.close()

    def add(self, recording_id: str, media: Mapping[str, Any]) -> None:
        """Add the audio of a recording."""
        if media.get("place") is None:
            line = {"recording": recording_id, **{name: media[name] for name in _COPIED}}
            self._file.write(encode(line).encode() + b"\n")
            self._rows += 1

    def as_file(self) -> DumpedFile:
        """Return the file with the number of its lines."""
        return DumpedFile(AUDIO_LIST, self._rows)
