"""What the embedded recorder needs of a spool. The app hands one in; `adapters.spool.FolderSpool` is one."""

from collections.abc import Sequence
from typing import Protocol

from recordings.ports.audio import Codec


class TrackWriter(Protocol):
    """The open tracks of a take, left (the caller) first."""

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Put bytes at an offset; quick enough for the event loop. Raises `OSError`."""

    async def close(self, *, sync: bool = True) -> None:
        """Close, with everything on the disk. Raises `OSError`."""


class TrackSpool(Protocol):
    """Where takes of live calls are written."""

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> TrackWriter:
        """Open the tracks of a take. Raises `OSError`."""

    async def remove(self, recording_id: str) -> None:
        """Delete what is there; nothing there is fine."""


class FileWriter(Protocol):
    """A file that comes in, with its length and SHA-256 so far."""

    @property
    def length(self) -> int:
        """Bytes so far."""

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far, hexadecimal."""

    async def write(self, chunk: bytes) -> None:
        """Append, away from the event loop. Raises `OSError`."""

    async def close(self, *, sync: bool = True) -> None:
        """Close, with everything on the disk if `sync`. Raises `OSError`."""


class FileSpool(Protocol):
    """Where files are written that come in whole."""

    async def open_body(self, recording_id: str, name_extension: str) -> FileWriter:
        """Open a file anew. Raises `OSError`."""
