"""Upload to fsspec stores that show a file while it grows."""

import secrets
from contextlib import suppress
from pathlib import Path

from fsspec.spec import AbstractFileSystem


def put_and_rename(store: AbstractFileSystem, path: Path, target: str) -> None:
    """Upload a file under a temporary name, then rename it: the final name never shows a part of it. Blocks.

    Raises:
        Exception: any error of the store.
    """
    temporary = f"{target}.{secrets.token_hex(4)}.part"
    try:
        _make_folder(store, target.rpartition("/")[0])
        store.put_file(str(path), temporary)
        store.mv(temporary, target)
    except BaseException:
        # The temporary file may not exist, or the connection may be lost.
        with suppress(Exception):
            store.rm_file(temporary)
        raise


def _make_folder(store: AbstractFileSystem, folder: str) -> None:
    for _ in folder.split("/"):
        try:
            store.makedirs(folder, exist_ok=True)
        except Exception:  # noqa: BLE001 - each store has its own errors
            # Another process may have created a part of the path at the same time. Few servers report this clearly.
            # Try again: that part exists now.
            if not store.exists(folder):
                continue
        return
    store.makedirs(folder, exist_ok=True)
