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
        store.makedirs(target.rpartition("/")[0], exist_ok=True)
        store.put_file(str(path), passing)
        store.mv(passing, target)
    except BaseException:
        # What could not be put may not be there, or nobody may be there to be asked.
        with suppress(Exception):
            store.rm_file(passing)
        raise
