"""The media store on any store that fsspec supports and that has no adapter of its own here.

It uses only whole-object and ranged calls, never `open()`, because fsspec's file objects block, cache and read ahead
without control (fsspec/s3fs#706). It never caches a listing (fsspec/s3fs#253).
"""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.dircache import DirCache
from fsspec.spec import AbstractFileSystem

from adapters.media.store_keys import quoted
from adapters.media.store_listing import objects_of_fsspec
from adapters.net.fsspec_put import put_and_rename
from recordings.ports.audio import MediaMissing, StoredObject

CHUNK: Final = 1 << 20
"""Bytes in one request."""
AT_ONCE: Final = 4
"""Connections to a store with a blocking library. One thread uses a connection at a time, because few libraries are
thread-safe.
"""


class RemoteMedia:
    """A `MediaStore` under a URL such as `sftp://host/folder`. Its URLs are that URL, `/` and the quoted key.

    It also reads other URLs of the same scheme, and of the same host if the URL has one. It belongs to one event loop:
    `close` it there.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self._base = url.rstrip("/")
        self._scheme = url.partition(":")[0]
        self._options = dict(options or {})
        self._opened: AbstractFileSystem | None = None
        self._idle: list[AbstractFileSystem] = []
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def put(self, key: str, path: str, content_type: str) -> str:  # noqa: ARG002 - few stores keep types
        """Store a copy of a file. An object with the same key is replaced."""
        url = f"{self._base}/{quoted(key)}"
        if self._kind.async_impl:
            # Object stores show an object only when it is complete.
            await self._connected()._put_file(path, url)  # noqa: SLF001 - fsspec's documented coroutine
        else:
            target = str(self._kind._strip_protocol(url))  # noqa: SLF001 - as fsspec's `url_to_fs`
            await self._in_thread(lambda store: put_and_rename(store, Path(path), target))
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from `start` to `end` (exclusive). The next chunk is fetched while the reader uses one.

        Raises:
            MediaMissing: there is no object at the URL.
        """
        length = await self.length(url)
        if length is None:
            raise MediaMissing(url)
        stop = length if end is None else min(end, length)
        ahead: Task[bytes] | None = None
        try:
            for offset in range(start, stop, CHUNK):
                chunk = await (ahead or self._fetch(url, offset, stop))
                ahead = self._fetch(url, offset + CHUNK, stop) if offset + CHUNK < stop else None
                yield chunk
        finally:
            await _cancel(ahead)

    async def length(self, url: str) -> int | None:
        """Return the length in bytes, or `None` if there is no object."""
        try:
            found = await self._call("info", url)
        except FileNotFoundError:
            return None
        return int(found["size"]) if found["type"] == "file" else None

    async def delete(self, url: str) -> None:
        """Delete an object. It is no error if it does not exist."""
        with suppress(FileNotFoundError):
            await self._call("rm_file", url)

    def objects(self) -> AsyncIterator[StoredObject]:
        """Return all objects under the store's URL."""
        return objects_of_fsspec(self._list, self._kind._strip_protocol, self._base)  # noqa: SLF001 - as its `ls` does

    async def close(self) -> None:
        """Close the connections."""
        store, self._opened = self._opened, None
        self._idle.clear()
        if isinstance(store, AsyncFileSystem) and hasattr(store, "set_session"):
            session = await store.set_session()
            await session.close()

    @property
    def _kind(self) -> type[AbstractFileSystem]:
        kind: type[AbstractFileSystem] = fsspec.get_filesystem_class(self._scheme)
        return kind

    def _open(self) -> AbstractFileSystem:
        # The parts of the URL that say where the store is. Configured options override them.
        options = self._kind._get_kwargs_from_urls(self._base) | self._options  # noqa: SLF001 - as fsspec's `url_to_fs`
        if self._kind.async_impl:
            options["asynchronous"] = True
        store = fsspec.filesystem(self._scheme, skip_instance_cache=True, **options)
        # Set directly: some stores pass all options on to a library that rejects an option for this.
        store.dircache = DirCache(use_listings_cache=False)
        return store

    async def _call(self, name: str, url: str, *arguments: Any, **named: Any) -> Any:
        # Some stores do not accept whole URLs in all calls.
        path = self._kind._strip_protocol(url)  # noqa: SLF001 - as fsspec's `url_to_fs`
        if not self._kind.async_impl:
            return await self._in_thread(lambda store: getattr(store, name)(path, *arguments, **named))
        return await getattr(self._connected(), f"_{name}")(path, *arguments, **named)

    def _connected(self) -> AbstractFileSystem:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    async def _in_thread(self, act: Callable[[AbstractFileSystem], Any]) -> Any:
        async with self._slots:
            return await asyncio.to_thread(self._act, act)

    def _act(self, act: Callable[[AbstractFileSystem], Any]) -> Any:
        store = self._idle.pop() if self._idle else self._open()
        try:
            done = act(store)
        except FileNotFoundError:
            self._idle.append(store)
            raise
        # After any other error the connection may be broken, and few libraries reconnect. It is dropped; the next call
        # opens a new one.
        self._idle.append(store)
        return done

    async def _list(self, folder: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("ls", folder, detail=True)
        return found

    def _fetch(self, url: str, start: int, stop: int) -> Task[bytes]:
        return asyncio.create_task(self._chunk(url, start, min(start + CHUNK, stop)))

    async def _chunk(self, url: str, start: int, end: int) -> bytes:
        try:
            return bytes(await self._call("cat_file", url, start=start, end=end))
        except FileNotFoundError as error:
            raise MediaMissing(url) from error


async def _cancel(task: Task[bytes] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
