"""The `MediaStore` in front of all stores. New audio goes to the configured location; the URL decides where to read."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from adapters.media.folder_store import FolderMedia
from adapters.media.installation_mark import read_mark, write_mark
from adapters.media.open_store import LOCAL, WEB, Opener, Store, check_scheme
from adapters.media.store_errors import MediaFaultError
from adapters.media.store_keys import quoted, unquoted
from adapters.media.verified_copy import Content, copy_verified, has_content
from adapters.net import Guard
from recordings.model.recording import Media
from recordings.ports.audio import Chunk, MediaAccessError, StoredObject
from recordings.rules.media_keys import plain_location

LocationOf = Callable[[str], Awaitable[str | None]]
"""Returns the URL of the location for new audio of an account id, or `None` for the installation's own location."""
Note = Callable[[str], Awaitable[None]]
"""Records the URL prefix of a location (without a user) before the first audio is stored there."""
Claim = Callable[[str], Awaitable[None]]
"""Called with the URL prefix of a location after this process first stored audio there. It must not raise an error."""

IDLE_SECONDS: Final = 20.0
"""How long the service waits for the next bytes of a store, and for its response to a short request."""
_AT_ONCE: Final = 16
_Found = TypeVar("_Found")
_Part = TypeVar("_Part")


class MediaRouter:
    """Chooses the store of each URL by its prefix. So stored audio keeps its location when the configuration changes.

    A location is a URL prefix with its store. The first part of a key is the account id, which decides the location of
    a new object. URLs come from recordings, and only this service and its operator write URLs into recordings.
    """

    def __init__(
        self, url: str | None, opener: Opener, location_of: LocationOf | None = None, note: Note | None = None
    ) -> None:
        """Raise `ValueError` if the URL is not absolute."""
        self._claim: Claim | None = None
        self._claimed: set[str] = set()
        self._opener = opener
        self._location_of = location_of
        self._note = note
        self._noted: set[str] = {LOCAL}
        prefix, store = opener.writer(url)
        self._default = prefix
        self._stores: dict[str, Store] = {prefix: store}
        self._stores.setdefault(LOCAL, opener.writer(None)[1])
        self._readers: dict[str, Store] = {}

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Store a copy of a file at the configured location of its account."""
        prefix = await self._location(key)
        stored = await self._stores[prefix].put(key, path, content_type)
        await self._claim_first(prefix)
        return stored

    async def keep(self, key: str, path: str, content_type: str) -> tuple[str, str]:
        """Store a file that nothing changes later. Return its URL and the SHA-256 of the bytes that were read back."""
        prefix = await self._location(key)
        store = self._stores[prefix]
        if isinstance(store, FolderMedia):
            kept = await store.keep(key, path, content_type)
        else:
            url, digest = await store.put(key, path, content_type), hashlib.sha256()
            async for chunk in _without_stalls(store.read(url)):
                digest.update(chunk)
            kept = url, digest.hexdigest()
        await self._claim_first(prefix)
        return kept

    async def _location(self, key: str) -> str:
        """Return the prefix of the location for a new object. Record the prefix before the first one."""
        prefix = await self._prefix_of(key)
        if self._note is not None and prefix not in self._noted:
            await self._note(plain_location(prefix))
            self._noted.add(prefix)
        return prefix

    async def _prefix_of(self, key: str) -> str:
        url = await self._location_of(key.partition("/")[0]) if self._location_of is not None else None
        return self._default if url is None else self.add(url)

    async def _claim_first(self, prefix: str) -> None:
        if self._claim is not None and prefix not in self._claimed:
            self._claimed.add(prefix)
            await self._claim(prefix)

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes of a URL from `start` to `end` (exclusive). Raise `MediaMissing` if there is no object."""
        return _without_stalls(self._store_of(url).read(url, start, end))

    def parts(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[Chunk]:
        """Return the same as `read`, but parts of open files instead of bytes where the store can do that."""
        store = self._store_of(url)
        parts: AsyncIterator[Chunk] = getattr(store, "parts", store.read)(url, start, end)
        return _without_stalls(parts)

    async def length(self, url: str) -> int | None:
        """Return the length in bytes, or `None` if there is no object."""
        return await _in_time(self._store_of(url).length(url))

    async def lengths(self, urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
        """Return the lengths of many URLs, in the same order. At most 16 requests run at the same time.

        If the credentials do not permit the request, the item is the error.
        """
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(url: str) -> int | MediaAccessError | None:
            async with slots:
                try:
                    return await self.length(url)
                except MediaAccessError as error:
                    return error

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(url)) for url in urls]
        return [task.result() for task in tasks]

    async def delete(self, url: str) -> None:
        """Delete an object. It is no error if it does not exist."""
        await _in_time(self._store_of(url).delete(url))

    async def remove(self, key: str) -> None:
        """Delete the object that `keep` stores under a key. It is no error if it does not exist."""
        await self.delete(f"{await self._prefix_of(key)}{quoted(key)}")

    async def presign(self, url: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        """Return a signed URL of the store itself, valid for `seconds`, or `None` if the store has no signed URLs."""
        sign = getattr(self._store_of(url), "presign", None)
        if sign is None:
            return None
        signed: str = await _in_time(sign(url, seconds, content_type=content_type, disposition=disposition))
        return signed

    def include(self, url: str) -> Store:
        """Add a location, so that `objects` lists it too, and return its store.

        Raises:
            ValueError: the URL is not absolute.
        """
        return self._stores[self.add(url)]

    def writer_of(self, url: str) -> tuple[Store, str]:
        """Return the store and the key to write an object at a URL that this service made.

        Raises:
            ValueError: this service does not make such URLs.
        """
        if url.startswith(LOCAL):
            return self._stores[LOCAL], unquoted(url.removeprefix(LOCAL))
        # A key has three parts: account, month and name.
        location, *key = url.rsplit("/", 3)
        return self.include(location), unquoted("/".join(key))

    async def copy(self, url: str, location: str, media: Media) -> str:
        """Copy audio to one of the `locations`, under the same key, unless it is there. Return the new URL."""
        content = Content(media.length, media.sha256, media.content_type)
        key = self.writer_of(url)[1]
        target = self._stores[location]
        copy = f"{location}{quoted(key)}"
        if await _in_time(target.length(copy)) == content.length and await has_content(target, copy, content):
            return copy
        return await copy_verified(self.read(url), content, target, key)

    def locations(self) -> Sequence[str]:
        """Return the URL prefixes of all locations, without those inside another location."""
        outer: list[str] = []
        for location in sorted(self._stores):
            if not outer or not location.startswith(outer[-1]):
                outer.append(location)
        return outer

    def objects_at(self, location: str) -> AsyncIterator[StoredObject] | None:
        """Return all objects in one of the `locations`, or `None` if its store has no listing."""
        objects = getattr(self._stores[location], "objects", None)
        listing: AsyncIterator[StoredObject] | None = None if objects is None else objects()
        return listing

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Return all objects in the locations with a listing: data folder, configured location, added locations."""
        for location in self.locations():
            listing = self.objects_at(location)
            if listing is not None:
                async for found in listing:
                    yield found

    def on_first_put(self, claim: Claim) -> None:
        """Set the function to call after this process first stored audio in a location."""
        self._claim = claim

    async def owner_of(self, location: str) -> str | None:
        """Return the id of the installation that marked one of the `locations`; `None` if there is no mark.

        Raises:
            MediaStoreUnavailableError: the store cannot be read.
        """
        return await read_mark(self._stores[location], location)

    async def mark(self, location: str, installation_id: str) -> None:
        """Write the mark of an installation into one of the `locations`. A folder that does not exist gets no mark."""
        await write_mark(self._stores[location], installation_id)

    @property
    def default_location(self) -> str:
        """The URL prefix of the installation's own location for new audio."""
        return self._default

    async def close(self) -> None:
        """Close the connections of all stores."""
        for store in {id(store): store for store in (*self._stores.values(), *self._readers.values())}.values():
            await store.close()

    def add(self, url: str) -> str:
        """Add a location and return its URL prefix."""
        prefix, store = self._opener.writer(url)
        self._stores.setdefault(prefix, store)
        return prefix

    def _store_of(self, url: str) -> Store:
        """Return the store to read a URL with: that of its location, or any store that can read it."""
        prefixes = [prefix for prefix in self._stores if url.startswith(prefix)]
        if prefixes:
            return self._stores[max(prefixes, key=len)]
        prefix = self._opener.reader_prefix(url)
        if prefix not in self._readers:
            self._readers[prefix] = self._opener.reader(url)
        return self._readers[prefix]


async def _in_time(waiting: Awaitable[_Found]) -> _Found:
    """Wait for a store. Raise an error if it sends nothing for long."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await waiting
    except TimeoutError as error:
        raise MediaFaultError(f"the media store sent nothing for {IDLE_SECONDS:g} seconds") from error


async def _without_stalls(chunks: AsyncIterator[_Part]) -> AsyncGenerator[_Part]:
    """Return the chunks. Raise an error if a store sends nothing for long."""
    try:
        while True:
            chunk = await _in_time(anext(chunks, None))
            if chunk is None:
                return
            yield chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def open_media_store(
    url: str | None,
    data_dir: Path,
    options: Mapping[str, Any] | None = None,
    *,
    location_of: LocationOf | None = None,
    note: Note | None = None,
    options_by_url: Mapping[str, Mapping[str, Any]] | None = None,
    guard: Guard | None = None,
) -> MediaRouter:
    """Return the store at a URL, or in the data folder without a URL. No file or server is touched yet.

    `location_of` can name another location for an account. `note` is called with each location before this process
    first stores audio there. `options` are for all stores with the URL's scheme (for one web server alone, if it is a
    web URL). `options_by_url` has options by URL prefix. `guard` decides which web servers are allowed: by default,
    none.

    Raises:
        ValueError: the URL is not absolute, or no store supports its scheme.
        ImportError: a package for this store is not installed.
    """
    all_options = dict(options_by_url or {})
    if url is not None and options:
        scheme = url.partition(":")[0]
        # The options of a web server can contain credentials, so no other web server gets them.
        all_options.setdefault(f"{url.rstrip('/')}/" if scheme in WEB else f"{scheme}://", options)
    router = MediaRouter(url, Opener(data_dir, guard or Guard(hosts=()), all_options), location_of, note)
    if url is not None:
        check_scheme(url)
    return router
