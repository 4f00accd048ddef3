"""Files that only their owner can read: they are complete or absent, also after a crash."""

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PRIVATE: Final = 0o600


def read_or_create(path: Path, text: str) -> str:
    """Return the text of a private file. Create it with `text` if it does not exist; the first writer wins."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _draft(path, f"{text}\n") as draft, suppress(FileExistsError):
            # A link to a complete file: readers never see a part of it, and a second link fails.
            os.link(draft, path)
        _sync_folder(path.parent)
    return path.read_text(encoding="ascii", errors="replace").strip()


def replace_file(path: Path, text: str) -> None:
    """Replace the text of a private file. Its owner and its mode stay. A reader gets the old text or the new one."""
    status = path.stat()
    with _draft(path, text) as draft:
        # The user of this command may not be the user of the server.
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, status.st_uid, status.st_gid)
        draft.chmod(stat.S_IMODE(status.st_mode))
        draft.replace(path)
    _sync_folder(path.parent)


@contextmanager
def locked_for_change(path: Path) -> Iterator[None]:
    """Let one process at a time change a file. Delete what a killed process left.

    The lock is that of the folder, because the file itself is replaced.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        left = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}")
        for each in path.parent.iterdir():
            if left.fullmatch(each.name):
                each.unlink(missing_ok=True)
        yield
    finally:
        os.close(folder)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    """Write a complete file beside another one. Delete it at the end, unless it was moved."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        try:
            os.write(file, text.encode())
            os.fsync(file)
        finally:
            os.close(file)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
