"""One `MediaStore` over all: new audio goes to the configured place, and stored audio is read where its URL says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.media.open_store import LOCAL, WEB, Opener, Store, check_scheme
from adapters.net import Guard
from recordings.rules.media_keys import plain_place
from recordings.use_cases.doctor import StoredObject

PlaceOf = Callable[[str], Awaitable[str | None]]
"""The URL of the place for new audio of an account, by its id; `None` for the installation's own."""
Note = Callable[[str], Awaitable[None]]
"""Remembers the beginning of the URLs of a place, without a user, before the first audio is put there."""

_AT_ONCE: Final = 16


class MediaRouter:
    """Reads each URL by its beginning, so that audio stays where it is when another place is configured.

    A key begins with the account's id, which chooses the place of a new object. URLs come out of recordings, into which
    only this service and its operator write them.
    """

    def __init__(
        self, url: str | None, opener: Opener, place_of: PlaceOf | None = None, note: Note | None = None
    ) -> None:
        """Raises `ValueError` if the URL is no absolute one."""
        self._opener = opener
        self._place_of = place_of
        self._note = note
        self._noted: set[str] = {LOCAL}
        prefix, store = opener.place(url)
        self._target = prefix
        self._places: dict[str, Store] = {prefix: store}
        self._places.setdefault(LOCAL, opener.place(None)[1])
        self._readers: dict[str, Store] = {}

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Keep a file at the place that is configured for its account."""
        url = await self._place_of(key.partition("/")[0]) if self._place_of is not None else None
        prefix = self._target if url is None else self._known(url)
        if self._note is not None and prefix not in self._noted:
            await self._note(plain_place(prefix))
            self._noted.add(prefix)
        return await self._places[prefix].put(key, path, content_type)

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a URL from `start` up to (not with) `end`. Raises `MediaMissing`."""
        return self._of(url).read(url, start, end)

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing."""
        return await self._of(url).length(url)

    async def lengths(self, urls: Sequence[str]) -> Sequence[int | None]:
        """Lengths of many URLs, in their order, some at a time."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(url: str) -> int | None:
            async with turn:
                return await self.length(url)

        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(one(url)) for url in urls]
        return [task.result() for task in asked]

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""
        await self._of(url).delete(url)

    async def presign(self, url: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        """A URL of the store's own that anybody can read for a time; `None` where the store has no such thing."""
        sign = getattr(self._of(url), "presign", None)
        if sign is None:
            return None
        signed: str = await sign(url, seconds, content_type=content_type, disposition=disposition)
        return signed

    def include(self, url: str) -> Store:
        """Make a place known, so that `objects` lists it too; its store. `ValueError` if it is no absolute URL."""
        return self._places[self._known(url)]

    def places(self) -> Sequence[str]:
        """The beginnings of URLs of the places that are known, but for those that lie in another one of them."""
        outer: list[str] = []
        for place in sorted(self._places):
            if not outer or not place.startswith(outer[-1]):
                outer.append(place)
        return outer

    def objects_at(self, place: str) -> AsyncIterator[StoredObject] | None:
        """Everything in one of the `places`; `None` where nothing can be listed."""
        listing = getattr(self._places[place], "objects", None)
        found: AsyncIterator[StoredObject] | None = None if listing is None else listing()
        return found

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Everything in the places that are known and can be listed: the data folder, the target, what was included."""
        for place in self.places():
            listing = self.objects_at(place)
            if listing is not None:
                async for found in listing:
                    yield found

    async def close(self) -> None:
        """Let go of connections."""
        for store in {id(store): store for store in (*self._places.values(), *self._readers.values())}.values():
            await store.close()

    def _known(self, url: str) -> str:
        """The beginning of a place's URLs; it is known from now on."""
        prefix, store = self._opener.place(url)
        self._places.setdefault(prefix, store)
        return prefix

    def _of(self, url: str) -> Store:
        """The store that a URL is read with: a place of ours that it lies in, or any that can read it."""
        beginnings = [prefix for prefix in self._places if url.startswith(prefix)]
        if beginnings:
            return self._places[max(beginnings, key=len)]
        prefix = self._opener.kind_of(url)
        if prefix not in self._readers:
            self._readers[prefix] = self._opener.reader(url)
        return self._readers[prefix]


def open_media_store(
    url: str | None,
    data_dir: Path,
    options: Mapping[str, Any] | None = None,
    *,
    place_of: PlaceOf | None = None,
    note: Note | None = None,
    options_by_url: Mapping[str, Mapping[str, Any]] | None = None,
    guard: Guard | None = None,
) -> MediaRouter:
    """The store at a URL, or in the data folder without one; `place_of` may name another one for an account.

    `note` is told of each place before this process first puts audio there. `options` are for the kind of store that
    the URL names, `options_by_url` for URLs by their beginnings. `guard` says which web servers may be reached: none,
    by default. Nothing is touched yet.

    Raises:
        ValueError: the URL is no absolute one, or no store has such URLs.
        ImportError: a package is missing for it.
    """
    known = dict(options_by_url or {})
    if url is not None and options:
        scheme = url.partition(":")[0]
        # Headers for one web server are no other one's business.
        known.setdefault(f"{url.rstrip('/')}/" if scheme in WEB else f"{scheme}://", options)
    router = MediaRouter(url, Opener(data_dir, guard or Guard(hosts=()), known), place_of, note)
    if url is not None:
        check_scheme(url)
    return router
