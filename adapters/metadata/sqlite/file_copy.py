"""Copy the whole SQLite file, and close it to servers while it is incomplete."""

# ruff: noqa: S608 - the name of the table is a constant

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from adapters.metadata.audio_list import AudioList
from adapters.metadata.row_fields import decode
from adapters.metadata.sqlite.database import Database, connect
from adapters.metadata.sqlite.migrations import MIGRATIONS, TABLE
from recordings.ports.copied_store import Closure, CopyError, Dump, DumpedFile

_READ: Final = f"SELECT id, media FROM {TABLE} WHERE media IS NOT NULL"


class FileCopy:
    """The `CopiedStore` part of the SQLite store. Its subclass sets `_database`."""

    _database: Database

    async def closure(self) -> Closure | None:
        """Return why the store must not be used."""
        return await asyncio.to_thread(_read_closure, _closure_file(self._database.path))

    async def set_closure(self, closure: Closure | None) -> None:
        """Close the store, change its closure, or open it again with `None`."""
        await asyncio.to_thread(_write_closure, _closure_file(self._database.path), closure)

    async def is_empty(self) -> bool:
        """Return true if the file does not exist."""
        return not self._database.path.exists()

    async def dump(self, folder: str) -> Dump:
        """Write a copy of the file with SQLite's online backup, in one step. Writes of servers wait for nothing."""
        return await asyncio.to_thread(_dump, self._database.path, Path(folder))

    async def load_dump(self, folder: str, dump: Dump) -> None:
        """Copy the file of a dump to its place. It is complete or absent."""
        if dump.schema > len(MIGRATIONS):
            raise CopyError(f"the dump has schema {dump.schema}, this release supports up to {len(MIGRATIONS)}")
        if not self._database.path.exists():
            await asyncio.to_thread(_load, Path(folder) / self._database.path.name, self._database.path)


def _closure_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.closed")


def _read_closure(path: Path) -> Closure | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Closure)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        # A damaged file says at least that the store is closed.
        return Closure(f"{path} cannot be read", "unknown")


def _write_closure(path: Path, closure: Closure | None) -> None:
    if closure is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.new")
        _write_synced(draft, msgspec.json.encode(closure))
        draft.replace(path)
    if path.parent.exists():
        _sync_folder(path.parent)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _dump(path: Path, folder: Path) -> Dump:
    copy = folder / path.name
    with closing(connect(path, "ro")) as source, closing(sqlite3.connect(copy)) as target:
        # One step reads one snapshot. With several steps, each write of a server would start the copy again.
        source.backup(target, pages=-1)
        # The copy is one file, without a write-ahead log.
        target.execute("PRAGMA journal_mode = DELETE")
        (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise CopyError(f"the SQLite file {path} is damaged: {found}. Restore it from an earlier backup")
        (schema,) = target.execute("PRAGMA user_version").fetchone()
        (rows,) = target.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
        with AudioList(folder) as audio:
            for recording_id, media in target.execute(_READ):
                audio.add(recording_id, decode(media))
    return Dump(schema, (DumpedFile(path.name, rows), audio.as_file()))


def _load(source: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.new")
    shutil.copyfile(source, draft)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(target)
    _sync_folder(target.parent)
