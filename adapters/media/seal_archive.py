"""Seals of the audit trail in the installation's media store, as small JSON objects."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from adapters.media.media_router import MediaRouter
from recordings.ports.audio import MediaMissing
from recordings.rules.media_keys import AUDIT_FOLDER

_MAX_BYTES: Final = 64 << 20


class MediaSealArchive:
    """A `SealArchive` at the installation's own location for audio."""

    def __init__(self, media: MediaRouter) -> None:
        self._media = media

    async def put(self, writer: str, number: int, text: str) -> None:
        """Store a seal."""
        with tempfile.NamedTemporaryFile() as file:
            await asyncio.to_thread(Path(file.name).write_text, text)
            await self._media.put(_key(writer, number), file.name, "application/json")

    async def get(self, writer: str, number: int) -> str | None:
        """Return a seal; `None` if there is none."""
        content = bytearray()
        try:
            async for chunk in self._media.read(f"{self._media.default_location}{_key(writer, number)}", 0, _MAX_BYTES):
                content += chunk
        except MediaMissing:
            return None
        return content.decode(errors="replace")


def _key(writer: str, number: int) -> str:
    return f"{AUDIT_FOLDER}/{writer}/{number:08}.json"
