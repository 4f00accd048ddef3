"""Make a backup while the server runs.

The metadata are copied first, as of one instant, and then the audio that they name. Audio never changes. Only audio of
recordings that were purged during the backup is missing.
"""

import asyncio
import gzip
import importlib.metadata
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import msgspec

from adapters.media.open_store import Store
from adapters.media.verified_copy import copy_verified, has_content, put_file
from graph.backup.backup_manifest import KEY_PART, LATEST, NODE_PART, AudioLine, BackupError, Manifest, Part, key_of
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.ports.audio import MediaDamaged, MediaMissing
from recordings.ports.copied_store import AUDIO_LIST, CopiedStore, Dump

if TYPE_CHECKING:
    from graph.services import Services

Progress = Callable[[str, int, int | None], None]
AT_ONCE: Final = 16
_DISTRIBUTION: Final = "call-recording-api"


@dataclass(slots=True)
class _Copied:
    """The audio that was copied, or that the backup had before."""

    objects: int = 0
    bytes: int = 0
    new: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Made:
    """A complete backup. `new_objects` were not in an earlier one. `left_out` has collections of other programs."""

    manifest: Manifest
    new_objects: int
    left_out: tuple[str, ...]


class BackupMaker:
    """Makes one backup.

    Args:
        services: the installation.
        target: the URL of the place for backups.
        with_key: whether the backup has the key file of the installation.
        verify: whether audio that the place has already is read and compared.
        progress: is called with the kind of item, the number done, and the total.
    """

    def __init__(self, services: "Services", target: str, *, with_key: bool, verify: bool, progress: Progress) -> None:
        self._services = services
        self._store: Store = services.media.include(target)
        self._prefix = f"{target.rstrip('/')}/"
        self._with_key = with_key
        self._verify = verify
        self._progress = progress
        self._id = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(4)}"

    async def make(self) -> Made:
        """Make the backup. It can be used when this returns.

        Raises:
            BackupError: it cannot be completed.
            CopyError: the metadata cannot be copied.
        """
        services = self._services
        if not isinstance(services.store, CopiedStore):
            raise BackupError("this metadata store cannot be copied")
        await services.audit.record(None, AuditAction.EXPORT, AuditObject("backup", self._id), key=self._with_key)
        with tempfile.TemporaryDirectory(prefix="recordings-backup-") as name:
            folder = Path(name)
            dump = await services.store.dump(name)
            copied = await self._copy_audio(folder / AUDIO_LIST, _rows(dump))
            self._add_files(folder)
            parts = [await self._put(path, dump) for path in _files(folder)]
            manifest = await self._manifest(dump, tuple(parts), copied)
            await self._put_manifest(manifest, folder)
        return Made(manifest, copied.new, tuple(dump.left_out))

    def _add_files(self, folder: Path) -> None:
        services = self._services
        if services.settings.mongodb is None:
            (folder / NODE_PART).write_text(services.node)
        if self._with_key:
            (folder / KEY_PART).write_bytes(services.key.path.read_bytes())

    async def _put(self, path: Path, dump: Dump) -> Part:
        content = await put_file(path, self._store, key_of(self._id, path.name))
        dumped = next((file for file in dump.files if file.name == path.name), None)
        rows, digest = (0, None) if dumped is None else (dumped.rows, dumped.digest)
        return Part(path.name, content.length, content.sha256, rows, digest)

    async def _manifest(self, dump: Dump, parts: tuple[Part, ...], copied: _Copied) -> Manifest:
        installation = await self._services.store.installation()
        return Manifest(
            id=self._id,
            made=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            version=importlib.metadata.version(_DISTRIBUTION),
            installation=installation.id,
            key_id=installation.key_id,
            store="sqlite" if self._services.settings.mongodb is None else "mongodb",
            schema=dump.schema,
            parts=parts,
            audio_objects=copied.objects,
            audio_bytes=copied.bytes,
            missing=tuple(copied.missing),
            damaged=tuple(copied.damaged),
            purged=tuple(copied.purged),
        )

    async def _put_manifest(self, manifest: Manifest, folder: Path) -> None:
        path = folder / LATEST
        path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        for key in (key_of(self._id, LATEST), LATEST):
            await self._store.put(key, str(path), "application/json")

    async def _copy_audio(self, listed: Path, total: int) -> _Copied:
        copied, done = _Copied(), 0
        for batch in in_batches(read_audio_list(listed)):
            async with asyncio.TaskGroup() as group:
                for lines in batch:
                    group.create_task(self._copy_each(lines, copied))
            done += sum(map(len, batch))
            self._progress("audio", done, total)
        return copied

    async def _copy_each(self, lines: list[AudioLine], copied: _Copied) -> None:
        for line in lines:
            await self._copy_one(line, copied)

    async def _copy_one(self, line: AudioLine, copied: _Copied) -> None:
        try:
            if not await self._has(line):
                await copy_verified(self._services.media.read(line.url), line.content, self._store, line.key)
                copied.new += 1
        except MediaDamaged:
            copied.damaged.append(line.recording)
        except MediaMissing:
            is_purged = await self._is_purged(line.recording)
            (copied.purged if is_purged else copied.missing).append(line.recording)
        else:
            copied.objects += 1
            copied.bytes += line.length

    async def _has(self, line: AudioLine) -> bool:
        url = f"{self._prefix}{line.key}"
        if await self._store.length(url) != line.length:
            return False
        return not self._verify or await has_content(self._store, url, line.content)

    async def _is_purged(self, recording_id: str) -> bool:
        """Return true if a recording was purged after the metadata were copied."""
        found = await self._services.store.rows((recording_id,), frozenset({"media"}))
        return recording_id not in found or found[recording_id]["media"] is None


def read_audio_list(path: Path) -> Iterator[AudioLine]:
    """Yield the lines of a list of audio."""
    decoder = msgspec.json.Decoder(AudioLine)
    with gzip.open(path, "rb") as file:
        for line in file:
            yield decoder.decode(line)


def in_batches(lines: Iterator[AudioLine]) -> Iterator[list[list[AudioLine]]]:
    """Yield a few lines at a time. Lines with the same audio are together, so that it is copied once."""
    while batch := list(islice(lines, AT_ONCE)):
        same: dict[str, list[AudioLine]] = {}
        for line in batch:
            same.setdefault(line.sha256, []).append(line)
        yield list(same.values())


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _rows(dump: Dump) -> int:
    return next(file.rows for file in dump.files if file.name == AUDIO_LIST)
