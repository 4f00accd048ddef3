"""Folders in the user's cache that are prepared once for all test runs, such as installed packages."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path


def prepared_folder(name: str, version: str, prepare: Callable[[Path], None]) -> Path:
    """Return a folder of the cache. The first process prepares it, and others wait meanwhile."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / f"recordings-tests-{name}" / version
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            prepare(folder)
            (folder / "done").touch()
    return folder
