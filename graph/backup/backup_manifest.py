"""The form of a backup, and its manifest.

A backup is a folder, or a URL of a media store, with these objects:

- `manifest.json`: the manifest of the latest complete backup;
- `backups/<id>/manifest.json`, and beside it the parts that the manifest names;
- `audio/<first two digits>/<SHA-256>`: the audio of all backups in this place. The same audio is stored once.

The manifest is written last. So a backup without a manifest is incomplete, and nothing reads it.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import msgspec

from adapters.media.open_store import Store
from adapters.media.verified_copy import Content
from recordings.ports.audio import MediaMissing
from recordings.ports.copied_store import Dump, DumpedFile

FORMAT: Final = 1
LATEST: Final = "manifest.json"
KEY_PART: Final = "secret.key"
NODE_PART: Final = "node"
_MAX_BYTES: Final = 16 << 20


class BackupError(Exception):
    """A backup or a restore cannot be completed. The message says why, and what to do."""


class Part(msgspec.Struct, frozen=True):
    """One file of a backup. `rows` and `digest` are those of a `DumpedFile`."""

    name: str
    length: int
    sha256: str
    rows: int = 0
    digest: str | None = None

    @property
    def content(self) -> Content:
        """The bytes of the file."""
        return Content(self.length, self.sha256)


class Manifest(msgspec.Struct, frozen=True):
    """The description of a backup.

    `store` is `sqlite` or `mongodb`. `missing` and `damaged` are the recordings whose audio could not be copied.
    `purged` recordings were purged during the backup.
    """

    id: str
    made: str
    version: str
    installation: str
    key_id: str | None
    store: str
    schema: int
    parts: tuple[Part, ...]
    audio_objects: int
    audio_bytes: int
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    purged: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def without_audio(self) -> frozenset[str]:
        """The recordings whose audio is not in the backup, although the list of audio names it."""
        return frozenset((*self.missing, *self.damaged, *self.purged))

    @property
    def dump(self) -> Dump:
        """The dump of the metadata in this backup."""
        others = {KEY_PART, NODE_PART}
        files = [DumpedFile(part.name, part.rows, part.digest) for part in self.parts if part.name not in others]
        return Dump(self.schema, files)


class AudioLine(msgspec.Struct, frozen=True):
    """One line of the list of audio."""

    recording: str
    url: str
    length: int
    sha256: str
    content_type: str

    @property
    def content(self) -> Content:
        """The bytes of the audio."""
        return Content(self.length, self.sha256, self.content_type)

    @property
    def key(self) -> str:
        """The key of the audio in a backup."""
        return f"audio/{self.sha256[:2]}/{self.sha256}"


def key_of(backup_id: str, name: str) -> str:
    """Return the key of a part."""
    return f"backups/{backup_id}/{name}"


async def read_manifest(store: Store, prefix: str, backup_id: str | None) -> Manifest:
    """Return the manifest with this id, by default the latest one.

    Raises:
        BackupError: there is none, or it cannot be read.
    """
    key = LATEST if backup_id is None else key_of(backup_id, LATEST)
    content = bytearray()
    with suppress(MediaMissing):
        async for chunk in _read(store, f"{prefix}{key}"):
            content += chunk
    if not content:
        raise BackupError(f"there is no complete backup at {prefix}{key}: an interrupted backup has no manifest")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupError(f"the manifest {key} is damaged: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"the backup has the format {manifest.format}, this release reads {FORMAT}")
    return manifest


def _read(store: Store, url: str) -> AsyncIterator[bytes]:
    return store.read(url, 0, _MAX_BYTES)
