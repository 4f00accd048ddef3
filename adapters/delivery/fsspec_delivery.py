"""Delivery to all other URLs that fsspec supports, such as `s3://`, with the operator's options for them.

The options, or the library's own settings, say where the store is. fsspec opens the store by its scheme only: it never
reads an endpoint or another store from a URL.
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
    """Put a file into the folder at a URL. The file has its final name only when it is complete.

    Raises:
        Exception: any error of the store.
    """
    scheme, target = url.partition(":")[0], folder_address(url, name)
    store_class = fsspec.get_filesystem_class(scheme)
    private = {"skip_instance_cache": True, "use_listings_cache": False, "asynchronous": store_class.async_impl}
    store = fsspec.filesystem(scheme, **private, **options)
    if not isinstance(store, AsyncFileSystem):
        await asyncio.to_thread(put_and_rename, store, path, store._strip_protocol(target))  # noqa: SLF001 - fsspec's
        return
    try:
        # An object store shows an object only when it is complete.
        await store._put_file(str(path), target)  # noqa: SLF001 - fsspec's documented coroutine
    finally:
        if hasattr(store, "set_session"):
            await (await store.set_session()).close()
