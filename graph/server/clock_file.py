"""The last instant that this server has seen, in a file of the data folder."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from recordings.model.instants import Millis

_NAME: Final = "clock"


class ClockFile:
    """A `ClockMark` in a file. A missing or damaged file counts as none."""

    def __init__(self, data: Path) -> None:
        self._path = data / _NAME

    async def read(self) -> Millis | None:
        """Return the instant in the file."""
        with suppress(OSError, ValueError):
            return int(await asyncio.to_thread(self._path.read_text))
        return None

    async def write(self, at: Millis) -> None:
        """Replace the instant in the file. An error, such as a full disk, has no effect."""
        with suppress(OSError):
            await asyncio.to_thread(self._write, str(at))

    def _write(self, text: str) -> None:
        draft = self._path.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(self._path)
