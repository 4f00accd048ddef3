"""The spool as a folder for each recording.

<data>/spool/<recording id>/take.json      what the files are
<data>/spool/<recording id>/left.mulaw     a track of a live take, or
<data>/spool/<recording id>/body.mp3       a file that came in whole; body.mp3.part until it did
<data>/aside/<recording id>/...            what nobody could make a recording of
"""

import asyncio
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from adapters.spool import disk
from adapters.spool.manifest import Manifest
from adapters.spool.track_writer import SpoolWriter
from adapters.spool.upload_file import BodyWriter
from recordings.ports.audio import Codec, SpooledAudio

_ID: Final = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,127}")
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,8}")
_AGAIN: Final = re.compile(r"(?P<id>.+)-[1-9][0-9]*")
_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY})


class FolderSpool:
    """A `Spool` under the data folder `root`, and the writers that fill it. Folders are made when first needed."""

    def __init__(self, root: Path) -> None:
        self._takes = root / "spool"
        self._aside = root / "aside"

    async def open_tracks(
        self, recording_id: str, codec: Codec, sample_rate: int, names: Sequence[str] = ("left", "right")
    ) -> SpoolWriter:
        """Open headerless tracks of a take for writing; what an earlier writer of them wrote is kept.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the id or a name could be a path.
        """
        manifest = Manifest(codec, sample_rate, tuple(f"{_checked(name)}.{codec.value}" for name in names))
        return await asyncio.to_thread(self._open_tracks, self._folder(recording_id), manifest)

    async def open_body(self, recording_id: str, name_extension: str) -> BodyWriter:
        """Open a file that comes in whole, anew: what an earlier sender left of it is dropped.

        `name_extension` is for the operator's eye alone; one that is odd becomes `bin`.

        Raises:
            OSError: the disk is full or broken.
            ValueError: the id could be a path.
        """
        plain = name_extension.lower().removeprefix(".")
        name = f"body.{plain if _EXTENSION.fullmatch(plain) else 'bin'}"
        return await asyncio.to_thread(self._open_body, self._folder(recording_id), name)

    async def audio(self, recording_id: str) -> SpooledAudio | None:
        """What is there of a recording; `None` if nothing."""
        folder = self._folder(recording_id)
        manifest = await asyncio.to_thread(Manifest.read, folder)
        return None if manifest is None else await asyncio.to_thread(manifest.audio, folder)

    async def remove(self, recording_id: str) -> None:
        """Delete what is there; nothing there is fine."""
        await asyncio.to_thread(_remove, self._folder(recording_id))

    async def set_aside(self, recording_id: str) -> None:
        """Move what is there to `aside/`, under the id, or the id with a number if that is taken; nothing is fine."""
        await asyncio.to_thread(self._set_aside, recording_id)

    async def forget(self, recording_id: str) -> None:
        """Delete what is there, and what was set aside of it too; nothing there is fine."""
        await self.remove(recording_id)
        await asyncio.to_thread(self._forget, recording_id)

    async def ids(self) -> Sequence[str]:
        """The recordings of which something is there, sorted."""
        return await asyncio.to_thread(self._ids)

    async def ids_aside(self) -> Sequence[str]:
        """The recordings of which something was set aside, sorted."""
        return await asyncio.to_thread(self._ids_aside)

    async def free_bytes(self) -> int:
        """Bytes that can still be written to the spool's disk."""
        return await asyncio.to_thread(self._free_bytes)

    async def check(self) -> None:
        """Raise `OSError` unless something can be written to the spool now."""
        await asyncio.to_thread(self._check)

    def _folder(self, recording_id: str) -> Path:
        return self._takes / _checked(recording_id)

    def _open_tracks(self, folder: Path, manifest: Manifest) -> SpoolWriter:
        disk.make_folder(folder)
        # First what the files are, then the files: whatever is found after a crash can be read.
        manifest.write(folder)
        writer = SpoolWriter([folder / name for name in manifest.tracks])
        _sync_names(folder)
        return writer

    def _open_body(self, folder: Path, name: str) -> BodyWriter:
        _remove(folder)
        disk.make_folder(folder)
        Manifest(Codec.CONTAINER, 0, (name,)).write(folder)
        writer = BodyWriter(folder / name)
        _sync_names(folder)
        return writer

    def _set_aside(self, recording_id: str) -> None:
        folder = self._folder(recording_id)
        if not folder.is_dir():
            return
        disk.make_folder(self._aside)
        next(place for place in self._places_aside(recording_id) if _move(folder, place))
        disk.sync_folder(self._aside)

    def _places_aside(self, recording_id: str) -> Iterator[Path]:
        """Where things of a recording are set aside, one after the other, without a gap."""
        yield self._aside / recording_id
        for number in count(1):
            yield self._aside / f"{recording_id}-{number}"

    def _forget(self, recording_id: str) -> None:
        folders = list(takewhile(Path.is_dir, self._places_aside(recording_id)))
        # The last one first: what is left by a death in the middle is without a gap, too.
        for folder in reversed(folders):
            _remove(folder)

    def _ids(self) -> Sequence[str]:
        return _folders(self._takes)

    def _ids_aside(self) -> Sequence[str]:
        names = _folders(self._aside)
        return [name for name in names if (again := _AGAIN.fullmatch(name)) is None or again["id"] not in names]

    def _check(self) -> None:
        disk.make_folder(self._takes)
        with tempfile.TemporaryFile(dir=self._takes) as probe:
            probe.write(b"ready")
            probe.flush()

    def _free_bytes(self) -> int:
        disk.make_folder(self._takes)
        return disk.free_bytes(self._takes)


def _checked(name: str) -> str:
    """Give an id back if it is a plain name: an id is never a path."""
    if not _ID.fullmatch(name):
        message = f"{name!r} is no id: it could be read as a path"
        raise ValueError(message)
    return name


def _folders(parent: Path) -> Sequence[str]:
    """The names of recordings of which there is a folder."""
    if not parent.is_dir():
        return ()
    with os.scandir(parent) as entries:
        return sorted(entry.name for entry in entries if _ID.fullmatch(entry.name) and entry.is_dir())


def _sync_names(folder: Path) -> None:
    disk.sync_folder(folder)
    disk.sync_folder(folder.parent)


def _remove(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _move(folder: Path, target: Path) -> bool:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True
