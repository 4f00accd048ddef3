"""The files of recordings in the folder that the switch and this server share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import structlog

from recordings.ports.recorder import TakeRefused

FILE_DEADLINE: Final = 5.0
"""Seconds until the file of an ended recording must exist."""
LOOK: Final = 0.05
"""Seconds between two looks into the folder."""
_CHUNK: Final = 1 << 20
_log: Final[Any] = structlog.get_logger("recorder")


class RecordingFiles:
    """The folder, with its path here and its path on the switch."""

    def __init__(self, folder: str, switch_folder: str) -> None:
        self._here = Path(folder)
        self._there = switch_folder.rstrip("/")

    def path_on_switch(self, recording_id: str) -> str:
        """Return the path of a recording's file for the switch."""
        return f"{self._there}/{recording_id}.wav"

    def recording_of(self, path: str) -> str | None:
        """Return the recording of a path on the switch; `None` if it is not in the folder."""
        folder, _, name = path.rpartition("/")
        return name.removesuffix(".wav") if folder == self._there and name.endswith(".wav") else None

    async def wait_for(self, recording_id: str, deadline: float) -> AsyncIterator[bytes] | None:
        """Return the bytes of a file as soon as it exists; `None` if there is none after `deadline` seconds.

        Raises:
            TakeRefused: this server may not read the folder, or the file while its bytes are read.
        """
        path = self._path(recording_id)
        try:
            async with asyncio.timeout(deadline):
                while not await asyncio.to_thread(path.is_file):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            return None
        except PermissionError as error:
            raise _unreadable(path) from error
        return _read(path)

    async def remove(self, recording_id: str) -> None:
        """Delete the file of a recording, if there is one. A failure is only logged, because the audio is stored."""
        try:
            await asyncio.to_thread(self._path(recording_id).unlink, missing_ok=True)
        except OSError as error:
            _log.error("file not deleted", recording_id=recording_id, error=error.strerror)

    def _path(self, recording_id: str) -> Path:
        return self._here / f"{recording_id}.wav"


async def _read(path: Path) -> AsyncIterator[bytes]:
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except PermissionError as error:
        raise _unreadable(path) from error
    with file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk


def _unreadable(path: Path) -> TakeRefused:
    return TakeRefused(f"the service may not read {path}: its group must be able to, see docs/switches.md")
