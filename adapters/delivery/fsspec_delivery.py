"""Sending to any other URL that fsspec reaches, `s3://` among them, with the options that an operator gave for it.

Where such a store is, is in those options or in its library's own settings: fsspec is asked for the store of a scheme,
and never to read an endpoint, or another store, out of a URL.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem

from adapters.delivery.target_url import folder_address
from adapters.net.fsspec_put import put_and_rename


async def deliver(path: Path, url: str, name: str, options: Mapping[str, Any]) -> None:
    """Put a file into the folder at a URL; it has its name when all of it is there.

    Raises:
        Exception: whatever that store raises.
    """
    scheme, target = url.partition(":")[0], folder_address(url, name)
    kind = fsspec.get_filesystem_class(scheme)
    alone = {"skip_instance_cache": True, "use_listings_cache": False, "asynchronous": kind.async_impl}
    store = fsspec.filesystem(scheme, **alone, **options)
    if not isinstance(store, AsyncFileSystem):
        await asyncio.to_thread(put_and_rename, store, path, store._strip_protocol(target))  # noqa: SLF001 - fsspec's
        return
    try:
        # Stores of objects show one when all of it is there.
        await store._put_file(str(path), target)  # noqa: SLF001 - fsspec's documented coroutine
    finally:
        if hasattr(store, "set_session"):
            await (await store.set_session()).close()
