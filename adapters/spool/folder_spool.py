"""The spool, with one folder for each recording.

<data>/spool/<recording id>/take.json      the manifest: the files and their format
<data>/spool/<recording id>/left.mulaw     a track of a live take, or
<data>/spool/<recording id>/body.mp3       an uploaded file (body.mp3.part while it is incomplete)
<data>/aside/<recording id>/...            audio that could not become a recording
"""

import asyncio
import errno
import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from adapters.spool import disk
from adapters.spool.manifest import NAME, Manifest
from adapters.spool.track_writer import SpoolWriter
from adapters.spool.upload_file import BodyWriter
from recordings.model.ids import FILE_NAME, check_file_name
from recordings.ports.audio import Codec, ReceivedFile, SpoolDamaged, SpooledAudio

_EXTENSION: Final = re.compile(r"[a-z0-9]{1,8}|g726-[0-9]{2}")
_NUMBERED: Final = re.compile(r"(?P<id>.+)-[1-9][0-9]*")
_EXISTS: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})


class FolderSpool:
    """A `Spool` under the data folder `root`, and its writers. Folders are created when they are first needed."""

    def __init__(self, root: Path) -> None:
        self._takes = root / "spool"
        self._aside = root / "aside"

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> SpoolWriter:
        """Open headerless tracks of a take for writing. Bytes from an earlier writer are kept.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the id or a name could be read as a path.
        """
        manifest = Manifest(codec, sample_rate, tuple(f"{check_file_name(name)}.{codec.value}" for name in names))
        return await asyncio.to_thread(self._open_tracks, self._folder(recording_id), manifest)

    async def open_body(self, recording_id: str, name_extension: str) -> BodyWriter:
        """Open a new file for an upload. The bytes of an earlier upload are deleted.

        `name_extension` only helps operators. An unusual one is replaced by `bin`.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the id could be read as a path.
        """
        plain = name_extension.lower().removeprefix(".")
        name = f"body.{plain if _EXTENSION.fullmatch(plain) else 'bin'}"
        return await asyncio.to_thread(self._open_body, self._folder(recording_id), name)

    async def receive(self, recording_id: str, name_extension: str, chunks: AsyncIterator[bytes]) -> ReceivedFile:
        """Write a file for a recording, and sync it to the disk. An earlier one is replaced.

        After an error, the incomplete file keeps the name `<name>.part`, and `audio` does not return it.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the id could be read as a path.
        """
        writer = await self.open_body(recording_id, name_extension)
        # CouchDB has MD5 digests of its attachments.
        md5 = hashlib.md5(usedforsecurity=False)
        try:
            async for chunk in chunks:
                md5.update(chunk)
                await writer.write(chunk)
            await writer.close()
        finally:
            # A closed file does not change.
            await writer.close(sync=False)
        return ReceivedFile(writer.length, writer.sha256, md5.digest())

    async def audio(self, recording_id: str) -> SpooledAudio | None:
        """Return the spooled audio of a recording, or `None` if there is none.

        Raises:
            SpoolDamaged: there are files, but their manifest is missing or damaged.
        """
        return await asyncio.to_thread(_audio, self._folder(recording_id))

    async def remove(self, recording_id: str) -> None:
        """Delete the spooled audio of a recording. It is no error if there is none."""
        await asyncio.to_thread(_remove, self._folder(recording_id))

    async def set_aside(self, recording_id: str) -> None:
        """Move the spooled audio of a recording to `aside/`. It is no error if there is none.

        The new name is the id, or the id with a number if that name exists.
        """
        await asyncio.to_thread(self._set_aside, recording_id)

    async def forget(self, recording_id: str) -> Sequence[str]:
        """Delete the spooled audio of a recording, also what was set aside. Return the paths of the deleted folders."""
        spooled = self._folder(recording_id)
        found = [spooled] if await asyncio.to_thread(spooled.is_dir) else []
        await self.remove(recording_id)
        aside = await asyncio.to_thread(self._forget, recording_id)
        return [f"{folder.parent.name}/{folder.name}" for folder in (*found, *aside)]

    async def ids(self) -> Sequence[str]:
        """Return the ids of all recordings with spooled audio, sorted."""
        return await asyncio.to_thread(self._ids)

    async def ids_aside(self) -> Sequence[str]:
        """Return the ids of all recordings with audio that was set aside, sorted."""
        return await asyncio.to_thread(self._ids_aside)

    async def others(self) -> Sequence[str]:
        """Return the paths of files and folders in the spool, and beside it, that this service did not make."""
        return await asyncio.to_thread(self._others)

    async def folders_aside(self, recording_id: str) -> Sequence[Path]:
        """Return the folders with audio of a recording that was set aside."""
        return await asyncio.to_thread(lambda: list(takewhile(Path.is_dir, self._folders_aside(recording_id))))

    async def free_bytes(self) -> int:
        """Return the bytes that can still be written to the spool's disk."""
        return await asyncio.to_thread(self._free_bytes)

    async def check(self) -> None:
        """Raise `OSError` if the spool cannot be written now."""
        await asyncio.to_thread(self._check)

    def _folder(self, recording_id: str) -> Path:
        return self._takes / check_file_name(recording_id)

    def _open_tracks(self, folder: Path, manifest: Manifest) -> SpoolWriter:
        disk.make_folder(folder)
        # The manifest first, then the files: so every file that is found after a crash can be read.
        manifest.write(folder)
        writer = SpoolWriter([folder / name for name in manifest.tracks])
        _sync_names(folder)
        return writer

    def _open_body(self, folder: Path, name: str) -> BodyWriter:
        _remove(folder)
        disk.make_folder(folder)
        # The writer syncs all of it at the end: nothing is promised to the sender before.
        Manifest(Codec.CONTAINER, 0, (name,)).write(folder, sync=False)
        return BodyWriter(folder / name)

    def _set_aside(self, recording_id: str) -> None:
        folder = self._folder(recording_id)
        if not folder.is_dir():
            return
        disk.make_folder(self._aside)
        next(target for target in self._folders_aside(recording_id) if _move(folder, target))
        disk.sync_folder(self._aside)

    def _folders_aside(self, recording_id: str) -> Iterator[Path]:
        """Return the folders for audio set aside of a recording. They are used in this order, without gaps."""
        yield self._aside / recording_id
        for number in count(1):
            yield self._aside / f"{recording_id}-{number}"

    def _forget(self, recording_id: str) -> list[Path]:
        folders = list(takewhile(Path.is_dir, self._folders_aside(recording_id)))
        # The last one first, so that a crash in between leaves no gap.
        for folder in reversed(folders):
            _remove(folder)
        return folders

    def _ids(self) -> Sequence[str]:
        return _folders(self._takes)

    def _ids_aside(self) -> Sequence[str]:
        names = _folders(self._aside)
        return [
            name for name in names if (numbered := _NUMBERED.fullmatch(name)) is None or numbered["id"] not in names
        ]

    def _others(self) -> Sequence[str]:
        return [str(path) for parent in (self._takes, self._aside) for path in _others(parent, parent is self._takes)]

    def _check(self) -> None:
        disk.make_folder(self._takes)
        with tempfile.TemporaryFile(dir=self._takes) as probe:
            probe.write(b"ready")
            probe.flush()

    def _free_bytes(self) -> int:
        disk.make_folder(self._takes)
        return disk.free_bytes(self._takes)


def _folders(parent: Path) -> Sequence[str]:
    """Return the ids of the recordings with a folder in `parent`."""
    if not parent.is_dir():
        return ()
    with os.scandir(parent) as entries:
        return sorted(entry.name for entry in entries if FILE_NAME.fullmatch(entry.name) and entry.is_dir())


def _others(parent: Path, has_manifests: bool) -> Iterator[Path]:  # noqa: FBT001 - private
    """Return the entries of a folder that are no recording's folder."""
    if not parent.is_dir():
        return
    for entry in sorted(os.scandir(parent), key=lambda each: each.name):
        is_recording = FILE_NAME.fullmatch(entry.name) is not None and entry.is_dir(follow_symlinks=False)
        if is_recording and has_manifests:
            is_recording = is_take(Path(entry))
        if not is_recording:
            yield Path(entry)


def is_take(folder: Path) -> bool:
    """Return true if a folder has a manifest, or if this process may not look into it."""
    try:
        return os.path.lexists(folder / NAME) or not next(iter(folder.iterdir()), None)
    except OSError:
        return False


def _audio(folder: Path) -> SpooledAudio | None:
    manifest = Manifest.read(folder)
    if manifest is not None:
        return manifest.audio(folder)
    if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        message = f"the description of its audio, {NAME}, is missing"
        raise SpoolDamaged(message)
    return None


def _sync_names(folder: Path) -> None:
    disk.sync_folder(folder)
    disk.sync_folder(folder.parent)


def _remove(folder: Path) -> None:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a fraction of the time
        for name in names:
            os.unlink(f"{folder}/{name}")  # noqa: PTH108 - as above
        folder.rmdir()
    except FileNotFoundError:
        pass
    except OSError:
        # It has a folder that this service did not make.
        shutil.rmtree(folder)


def _move(folder: Path, target: Path) -> bool:
    """Move a folder. Return false if the target exists."""
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in _EXISTS:
            return False
        if error.errno != errno.EXDEV:
            raise
        return _copy(folder, target)
    return True


def _copy(folder: Path, target: Path) -> bool:
    """Move a folder to another disk: copy it completely, and then delete the original."""
    if target.exists():
        return _finish_copy(folder, target)
    draft = target.with_name(f".{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        disk.copy_folder(folder, draft)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    disk.sync_folder(target.parent)
    shutil.rmtree(folder)
    return True


def _finish_copy(folder: Path, target: Path) -> bool:
    """Delete the original if an earlier copy is complete: then only the deletion of the original had failed."""
    if not _have_same_files(folder, target):
        return False
    shutil.rmtree(folder)
    return True


def _have_same_files(first: Path, second: Path) -> bool:
    names = {path.name for path in first.iterdir()}
    if not second.is_dir() or names != {path.name for path in second.iterdir()}:
        return False
    return all(filecmp.cmp(first / name, second / name, shallow=False) for name in names)
