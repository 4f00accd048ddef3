"""Audio on any store that fsspec reaches and that has no adapter of its own here.

Only the stores' whole-object and ranged calls are used, never `open()`: fsspec's files block, cache and read ahead as
they like (fsspec/s3fs#706). No listing is ever cached (fsspec/s3fs#253).
"""

import asyncio
import secrets
from asyncio import Task
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem

from adapters.media.keys import quoted
from adapters.media.listing import objects_of_fsspec
from recordings.doctor import StoredObject
from recordings.ports import MediaMissing

CHUNK: Final = 1 << 20
"""Bytes asked for at a time."""


class RemoteMedia:
    """A `MediaStore` under a URL such as `sftp://host/folder`. A URL that it gives is that URL, `/` and the quoted key.

    It also reads any other URL of its scheme. Belongs to one event loop; `close` it there.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self._base = url.rstrip("/")
        self._scheme = url.partition(":")[0]
        self._options = dict(options or {})
        self._opened: AbstractFileSystem | None = None

    async def put(self, key: str, path: str, content_type: str) -> str:  # noqa: ARG002 - few stores keep types
        """Keep a copy of a file. An object of that key is replaced."""
        url = f"{self._base}/{quoted(key)}"
        if isinstance(self._store, AsyncFileSystem):
            # Object stores show an object when all of it is there.
            await self._store._put_file(path, url)  # noqa: SLF001 - fsspec's documented coroutine
        else:
            await asyncio.to_thread(self._put_and_rename, path, url)
        return url

    async def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to (not with) `end`; while one chunk is used the next one comes.

        Raises:
            MediaMissing: there is nothing at the URL.
        """
        length = await self.length(url)
        if length is None:
            raise MediaMissing(url)
        stop = length if end is None else min(end, length)
        ahead: Task[bytes] | None = None
        try:
            for offset in range(start, stop, CHUNK):
                chunk = await (ahead or self._ask(url, offset, stop))
                ahead = self._ask(url, offset + CHUNK, stop) if offset + CHUNK < stop else None
                yield chunk
        finally:
            await _give_up(ahead)

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing."""
        try:
            found = await self._call("info", url)
        except FileNotFoundError:
            return None
        return int(found["size"]) if found["type"] == "file" else None

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        with suppress(FileNotFoundError):
            await self._call("rm_file", url)

    def objects(self) -> AsyncIterator[StoredObject]:
        """Everything that lies under the store's URL."""
        return objects_of_fsspec(self._list, self._store._strip_protocol, self._base)  # noqa: SLF001 - what its `ls` returns

    async def close(self) -> None:
        """Let go of connections."""
        store, self._opened = self._opened, None
        if isinstance(store, AsyncFileSystem) and hasattr(store, "set_session"):
            session = await store.set_session()
            await session.close()

    @property
    def _store(self) -> AbstractFileSystem:
        if self._opened is None:
            kind = fsspec.get_filesystem_class(self._scheme)
            uncached = {"skip_instance_cache": True, "use_listings_cache": False, "asynchronous": kind.async_impl}
            self._opened = fsspec.filesystem(self._scheme, **uncached, **self._options)
        return self._opened

    async def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        if isinstance(self._store, AsyncFileSystem):
            return await getattr(self._store, f"_{name}")(*arguments, **named)
        return await asyncio.to_thread(getattr(self._store, name), *arguments, **named)

    async def _list(self, folder: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("ls", folder, detail=True)
        return found

    def _ask(self, url: str, start: int, stop: int) -> Task[bytes]:
        return asyncio.create_task(self._chunk(url, start, min(start + CHUNK, stop)))

    async def _chunk(self, url: str, start: int, end: int) -> bytes:
        try:
            return bytes(await self._call("cat_file", url, start=start, end=end))
        except FileNotFoundError as error:
            raise MediaMissing(url) from error

    def _put_and_rename(self, path: str, url: str) -> None:
        folder, _, name = url.rpartition("/")
        passing = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
        try:
            self._store.makedirs(folder, exist_ok=True)
            self._store.put_file(path, passing)
            self._store.mv(passing, url)
        except BaseException:
            with suppress(FileNotFoundError):
                self._store.rm_file(passing)
            raise


async def _give_up(task: Task[bytes] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
