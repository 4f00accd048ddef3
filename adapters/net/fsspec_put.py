"""Putting a file on a store that fsspec reaches and that shows files while they grow."""

import secrets
from contextlib import suppress
from pathlib import Path

from fsspec.spec import AbstractFileSystem


def put_and_rename(store: AbstractFileSystem, path: Path, target: str) -> None:
    """Put a file at a path of a store; it has its name when all of it is there. Blocks.

    Raises:
        Exception: whatever that store raises.
    """
    passing = f"{target}.{secrets.token_hex(4)}.part"
    try:
        _make_folder(store, target.rpartition("/")[0])
        store.put_file(str(path), passing)
        store.mv(passing, target)
    except BaseException:
        # What could not be put may not be there, or nobody may be there to be asked.
        with suppress(Exception):
            store.rm_file(passing)
        raise


def _make_folder(store: AbstractFileSystem, folder: str) -> None:
    for _ in folder.split("/"):
        try:
            store.makedirs(folder, exist_ok=True)
        except Exception:  # noqa: BLE001 - each store has faults of its own
            # Somebody else made a part of the same path just now, and few servers say so: then that part is there.
            if not store.exists(folder):
                continue
        return
    store.makedirs(folder, exist_ok=True)
