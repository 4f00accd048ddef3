"""Restore a backup into an empty installation.

The metadata store is closed while the restore is not complete: no server and no command opens it. The same restore can
be started again after an interruption, and continues.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from adapters.identity import InstallationKey
from adapters.media import MediaFaultError, MediaRouter, MediaSealArchive
from adapters.media.open_store import Store
from adapters.media.verified_copy import copy_verified, has_content
from graph.backup.backup_manifest import (
    KEY_PART,
    NODE_PART,
    AudioLine,
    BackupError,
    Manifest,
    Part,
    key_of,
    read_manifest,
)
from graph.backup.make_backup import Progress, in_batches, read_audio_list
from graph.open_parts import key_path, metadata_store, open_media, open_store
from graph.settings import Settings
from recordings.ports.audio import MediaDamaged, MediaMissing
from recordings.ports.audit_store import AuditStore
from recordings.ports.copied_store import AUDIO_LIST, Closure, CopiedStore
from recordings.ports.peers import PeerStore
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.audit_seal import number_of

_LOADED: Final = "loaded"
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `damaged` names recordings whose audio in the backup is missing or damaged."""

    manifest: Manifest
    new_objects: int
    damaged: Sequence[str]
    needs_key: bool = False


class Restorer:
    """Checks a backup, or restores it.

    Args:
        settings: the empty installation. Its media stores get the audio.
        source: the URL of the place with the backup.
        backup_id: the id of the backup, by default the latest one.
        progress: is called with the kind of item, the number done, and the total.
    """

    def __init__(self, settings: Settings, source: str, backup_id: str | None, progress: Progress) -> None:
        self._settings = settings
        self._source = source
        self._prefix = f"{source.rstrip('/')}/"
        self._backup_id = backup_id
        self._progress = progress

    async def check(self) -> Restored:
        """Read all of a backup, and compare it with its manifest. Nothing is written."""
        async with self._opened(metadata_store(self._settings)) as (place, _media):
            manifest = await read_manifest(place, self._prefix, self._backup_id)
            with tempfile.TemporaryDirectory(prefix="recordings-restore-") as name:
                await self._fetch_parts(manifest, place, Path(name))
                damaged = await self._each_audio(manifest, Path(name), lambda line: self._check_audio(line, place))
        return Restored(manifest, 0, damaged)

    async def restore(self) -> Restored:
        """Restore the backup. The installation can be used when this returns.

        Raises:
            BackupError: the installation is not empty, the backup is incomplete or damaged, or a server is running.
            CopyError: the metadata cannot be loaded.
        """
        store = metadata_store(self._settings)
        if not isinstance(store, CopiedStore):
            raise BackupError("this metadata store cannot be restored")
        async with self._opened(store) as (place, media):
            manifest = await read_manifest(place, self._prefix, self._backup_id)
            kind = "sqlite" if self._settings.mongodb is None else "mongodb"
            if manifest.store != kind:
                raise BackupError(
                    f"the backup has metadata of {manifest.store}, and the target is {kind}: restore it into "
                    f"{manifest.store} first"
                )
            closure = await self._close_store(store, manifest)
            with tempfile.TemporaryDirectory(prefix="recordings-restore-") as name:
                folder = Path(name)
                await self._fetch_parts(manifest, place, folder)
                if _LOADED not in closure.done:
                    await store.load_dump(name, manifest.dump)
                    await store.set_closure(replace(closure, done={_LOADED: "all"}))
                await open_store(store, self._settings.data, task=closure.task)
                self._write_private(folder)
                # The folder of a new data folder. A folder of `--media` must exist: its disk may not be mounted.
                (self._settings.data / "media").mkdir(mode=0o700, parents=True, exist_ok=True)
                new: list[str] = []
                damaged = await self._each_audio(
                    manifest, folder, lambda line: self._restore_audio(line, place, media, new)
                )
            await _restore_seals(store, media)
            if kind == "mongodb":
                await store.mark_all()
            await store.set_closure(None)
        return Restored(manifest, len(new), damaged, needs_key=not self._has_key(manifest))

    @asynccontextmanager
    async def _opened(self, store: MetadataStore) -> AsyncIterator[tuple[Store, MediaRouter]]:
        media = open_media(self._settings, store)
        try:
            yield media.include(self._source), media
        finally:
            await media.close()
            await store.close()

    async def _close_store(self, store: CopiedStore, manifest: Manifest) -> Closure:
        """Close an empty store, or continue an interrupted restore of the same backup."""
        task = f"restore {manifest.id}"
        closure = await store.closure()
        if closure is not None and closure.task != task:
            raise BackupError(closure.reason)
        if isinstance(store, PeerStore) and any(server.is_alive for server in await store.servers()):
            raise BackupError("a server runs on this database: stop it first")
        if closure is not None:
            return closure
        if not await store.is_empty():
            raise BackupError("the installation is not empty: a backup is only restored into an empty one")
        reason = (
            f"the restore of the backup {manifest.id} is not complete: run the same `recordings restore` again, or "
            "delete the restored metadata"
        )
        closure = Closure(reason, task)
        await store.set_closure(closure)
        return closure

    async def _fetch_parts(self, manifest: Manifest, place: Store, folder: Path) -> None:
        for number, part in enumerate(manifest.parts):
            await _fetch(place, f"{self._prefix}{key_of(manifest.id, part.name)}", part, folder / part.name)
            self._progress("metadata", number + 1, len(manifest.parts))

    async def _each_audio(
        self, manifest: Manifest, folder: Path, act: Callable[[AudioLine], Awaitable[None]]
    ) -> list[str]:
        """Do something for each audio of the backup. Return the recordings whose audio is missing or damaged."""
        without, damaged, done = manifest.without_audio, list[str](), 0

        async def each(lines: list[AudioLine]) -> None:
            for line in lines:
                try:
                    if line.recording not in without:
                        await act(line)
                except MediaMissing:
                    damaged.append(line.recording)

        for batch in in_batches(read_audio_list(folder / AUDIO_LIST)):
            async with asyncio.TaskGroup() as group:
                for lines in batch:
                    group.create_task(each(lines))
            done += sum(map(len, batch))
            self._progress("audio", done, manifest.audio_objects)
        return damaged

    async def _check_audio(self, line: AudioLine, place: Store) -> None:
        if not await has_content(place, f"{self._prefix}{line.key}", line.content):
            raise MediaDamaged

    async def _restore_audio(self, line: AudioLine, place: Store, media: MediaRouter, new: list[str]) -> None:
        """Put audio back to its URL, unless it is there."""
        if await media.length(line.url) == line.length:
            return
        target, key = media.writer_of(line.url)
        await copy_verified(place.read(f"{self._prefix}{line.key}"), line.content, target, key)
        new.append(line.recording)

    def _write_private(self, folder: Path) -> None:
        """Write the key file and the id of the server, unless they exist."""
        targets = {KEY_PART: key_path(self._settings), NODE_PART: self._settings.data / NODE_PART}
        for name, target in targets.items():
            source = folder / name
            if source.exists() and not target.exists():
                draft = target.with_name(f".{target.name}.new")
                draft.touch(mode=0o600)
                draft.write_bytes(source.read_bytes())
                draft.replace(target)

    def _has_key(self, manifest: Manifest) -> bool:
        path = key_path(self._settings)
        return path.exists() and manifest.key_id in InstallationKey.open(path, create=False).ids


async def _fetch(place: Store, url: str, part: Part, target: Path) -> None:
    """Copy a part of the backup to this machine, and check it."""
    digest, length = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            async for chunk in place.read(url):
                digest.update(chunk)
                length += len(chunk)
                file.write(chunk)
    except MediaMissing as error:
        raise BackupError(f"the backup is incomplete: {url} is missing") from error
    except MediaFaultError as error:
        raise BackupError(f"{url} cannot be read: {error}") from error
    if (length, digest.hexdigest()) != (part.length, part.sha256):
        raise BackupError(f"the backup is damaged: {url} has {length} bytes that are not those of the manifest")


async def _restore_seals(store: AuditStore, media: MediaRouter) -> None:
    """Put the seals of the audit trail back into the media store."""
    archive, after = MediaSealArchive(media), ""
    while seals := await store.seals(after, _PAGE):
        after = seals[-1].id
        for seal in seals:
            if await archive.get(seal.writer, number_of(seal)) is None:
                await archive.put(seal.writer, number_of(seal), seal.text)
