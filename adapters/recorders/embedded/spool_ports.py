"""The spool interfaces that the embedded recorder uses. `adapters.spool.FolderSpool` implements them."""

from collections.abc import Sequence
from typing import Protocol

from recordings.ports.audio import Codec


class TrackWriter(Protocol):
    """The open tracks of a take, left (the caller) first."""

    def write_at(self, track_index: int, offset_bytes: int, data: bytes | bytearray | memoryview) -> None:
        """Write bytes at an offset. Fast enough for the event loop. Raises `OSError`."""

    async def close(self, *, sync: bool = True) -> None:
        """Close the tracks; with `sync`, all data is on the disk when this returns. Raises `OSError`."""


class TrackSpool(Protocol):
    """Stores the takes of live calls."""

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> TrackWriter:
        """Open the tracks of a take. Raises `OSError`."""

    async def remove(self, recording_id: str) -> None:
        """Delete the files of a recording. Does nothing if there are none."""


class FileWriter(Protocol):
    """An open file of an upload, with its length and SHA-256 so far."""

    @property
    def length(self) -> int:
        """Bytes so far."""

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far, hexadecimal."""

    async def write(self, chunk: bytes) -> None:
        """Append bytes in another thread. Raises `OSError`."""

    async def close(self, *, sync: bool = True) -> None:
        """Close the file; with `sync`, all data is on the disk when this returns. Raises `OSError`."""


class FileSpool(Protocol):
    """Stores uploaded files."""

    async def open_body(self, recording_id: str, name_extension: str) -> FileWriter:
        """Open an empty file for an upload. Raises `OSError`."""

    async def free_bytes(self) -> int:
        """Return the bytes that can still be written to the disk. Raises `OSError`."""

    async def ids(self) -> Sequence[str]:
        """Return the ids of the recordings that have files in the spool. Raises `OSError`."""
