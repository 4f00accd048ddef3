"""Tells what a file system allows. Some temporary folders are in memory, and not on a disk."""

import os
from pathlib import Path

import pytest

from adapters.media.file_reader import OpenFile


def need_reads_without_waiting(folder: Path) -> None:
    """Skip the test if no read from a file of this folder can be limited to the page cache, as in a tmpfs."""
    path = folder / "probe"
    path.write_bytes(b"x")
    file = OpenFile(descriptor := os.open(path, os.O_RDONLY), os.fstat(descriptor))
    is_possible = file.is_in_memory(0, 1)
    file.close()
    path.unlink()
    if not is_possible:
        pytest.skip(f"the file system of {folder} has no RWF_NOWAIT")
