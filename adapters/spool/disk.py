"""The disk operations of the spool. All of them block: call them from a thread."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
"""Only the service's user may read the audio of calls."""
_COPIED_AT_ONCE: Final = 1 << 20


def make_folder(path: Path) -> None:
    """Create a private folder and its missing parents, also private. It is no error if the folder exists."""
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Sync a folder, so that its file names survive a power cut, not only the contents of the files."""
    with _open(path, os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.fsync(folder)


def sync_file(path: Path) -> None:
    """Sync the contents of a file."""
    with _open(path, os.O_RDONLY) as file:
        os.fsync(file)


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file atomically. With `sync`, a reader sees the old file or the new one, also after a power cut."""
    draft = path.with_name(f".{path.name}.new")
    with _open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        write_all(file, data, 0)
        if sync:
            os.fsync(file)
    draft.replace(path)
    if sync:
        sync_folder(path.parent)


def write_all(file: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Call `pwrite` until all bytes are written, because the kernel may write only a part."""
    written = os.pwrite(file, data, offset)
    # One `pwrite` is nearly always enough, so no `memoryview` is made first. A call has a hundred frames a second.
    while written < len(data):
        data, offset = memoryview(data)[written:], offset + written
        written = os.pwrite(file, data, offset)


def copy_folder(folder: Path, target: Path) -> None:
    """Copy the files of a folder into a new private folder, and sync them."""
    target.mkdir(mode=PRIVATE_FOLDER)
    for source in folder.iterdir():
        with source.open("rb") as original, _open(target / source.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as copy:
            offset = 0
            while chunk := original.read(_COPIED_AT_ONCE):
                write_all(copy, chunk, offset)
                offset += len(chunk)
            os.fsync(copy)
    sync_folder(target)


def free_bytes(path: Path) -> int:
    """Return the bytes that this process can still write on the disk of a path."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        yield file
    finally:
        os.close(file)
