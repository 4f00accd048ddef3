"""The folder in which rtpengine records (`--recording-dir`), shared with this server.

<folder>/pcaps/<call id>-<16 hex digits>.pcap                     the packets, from the start of a recording on
<folder>/metadata/rtpengine-meta-<call id>-<16 hex digits>.txt    written at its end: the path of the pcap file, and our
                                                                  metadata in a line of its own

The call id is percent-encoded. All functions block: call them in a thread.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

MAX_METADATA: Final = 65_536
"""Maximum size of a metadata file that is read, in bytes."""


class RecordingFolder:
    """Finds and deletes the files of recordings."""

    def __init__(self, root: Path) -> None:
        self._pcaps = root / "pcaps"
        self._metadata = root / "metadata"

    def pcaps_of(self, call_id: str) -> set[Path]:
        """Return the pcap files of a call. It is no error if there is no folder."""
        return {
            path
            for path in _files(self._pcaps, ".pcap")
            if unquote(path.name.rpartition("-")[0], errors="surrogateescape") == call_id
        }

    def finished(self, call_id: str, line: str) -> Path | None:
        """Return the pcap file of a finished recording of a call, whose metadata has this line."""
        for path in self._metadata_of(call_id):
            lines = _lines(path)
            if line in lines:
                # Only the name counts: rtpengine may have mounted the folder at another path.
                return self._pcaps / Path(lines[0]).name
        return None

    def abandoned(self, call_id: str, since: float) -> Path | None:
        """Return the newest pcap file of a call without metadata, if it was written since then.

        rtpengine leaves such a file if it crashes.
        """
        named = {Path(lines[0]).name for path in self._metadata_of(call_id) if (lines := _lines(path))}
        found = [(_written(path), path) for path in self.pcaps_of(call_id) if path.name not in named]
        newest = max(found, default=None)
        return None if newest is None or newest[0] < since else newest[1]

    def remove(self, call_id: str, pcap: Path) -> None:
        """Delete a pcap file and its metadata."""
        for path in self._metadata_of(call_id):
            if (lines := _lines(path)) and Path(lines[0]).name == pcap.name:
                path.unlink(missing_ok=True)
        pcap.unlink(missing_ok=True)

    def _metadata_of(self, call_id: str) -> list[Path]:
        prefix = "rtpengine-meta-"
        return [
            path
            for path in _files(self._metadata, ".txt")
            if unquote(path.name.removeprefix(prefix).rpartition("-")[0], errors="surrogateescape") == call_id
        ]


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(suffix) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _lines(path: Path) -> list[str]:
    with suppress(OSError), path.open("rb") as file:
        return file.read(MAX_METADATA).decode("utf-8", "replace").splitlines()
    return []


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
