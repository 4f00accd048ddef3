"""Where the tests keep their files: in memory, and those of `disk_path` on a disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from adapters.media.file_reader import OpenFile

DISK: Final = Path("/var/tmp")  # noqa: S108 - tests make folders with new names in it
"""Its files survive a restart of the machine, so it is usually on a disk."""
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - as above
"""Linux keeps these files in memory."""
NEEDED_MEMORY: Final = 4 << 30
"""Bytes. A run uses half of it."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary files in memory, if there is enough and TMPDIR does not name a folder. Workers inherit this.

    Each of thousands of databases waits for the disk after each write, which few tests need.
    """
    if hasattr(config, "workerinput") or "TMPDIR" in os.environ:
        return
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= NEEDED_MEMORY:
        folder = MEMORY / f"recordings-tests-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """Return an empty folder on a disk."""
    with tempfile.TemporaryDirectory(prefix="recordings-tests-", dir=DISK) as folder:
        yield Path(folder)


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
