"""The few operations on the disk that the spool is made of. All of them block: call them from a thread."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600
"""Calls are nobody's business but the service's."""


def make_folder(path: Path) -> None:
    """A private folder; one that is there is fine. Parents are made too, and are private as well."""
    if not path.parent.is_dir():
        make_folder(path.parent)
    path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, not only the contents of its files."""
    with _open(path, os.O_RDONLY | os.O_DIRECTORY) as folder:
        os.fsync(folder)


def write_atomically(path: Path, data: bytes) -> None:
    """A file with these bytes: a reader (also after a power cut) sees all of them or the file that was there before."""
    passing = path.with_name(f".{path.name}.new")
    with _open(passing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        write_all(file, data, 0)
        os.fsync(file)
    passing.replace(path)
    sync_folder(path.parent)


def write_all(file: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """`pwrite` until all is written: the kernel may take a part only."""
    written = os.pwrite(file, data, offset)
    # Nearly always it took all, and nothing has to be wrapped: each call has a hundred frames a second.
    while written < len(data):
        data, offset = memoryview(data)[written:], offset + written
        written = os.pwrite(file, data, offset)


def free_bytes(path: Path) -> int:
    """Bytes that this process may still write on the disk of a path."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        yield file
    finally:
        os.close(file)
