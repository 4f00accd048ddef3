"""One `MediaStore` over all: new audio goes to the configured place, and stored audio is read where its URL says."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.media.http import HttpMedia
from adapters.media.places import LOCAL, Place, Store, all_files, open_other, open_place
from adapters.net import Guard
from recordings.doctor import StoredObject
from recordings.ports import MediaMissing

_WEB: Final = frozenset({"http", "https"})
_AT_ONCE: Final = 16


class MediaRouter:
    """Reads each URL by its beginning, so that audio stays where it is when another place is configured.

    A key begins with the account's id, which chooses the place of a new object. URLs come out of recordings, into which
    only this service and its operator write them.
    """

    def __init__(self, target: Store, known: Mapping[str, Store], accounts: Mapping[str, Store] | None = None) -> None:
        """`known` has stores by the beginnings of their URLs, `accounts` the targets of those that have their own."""
        self._target = target
        self._accounts = dict(accounts or {})
        # The longest beginning says most about a URL.
        self._known = dict(sorted(known.items(), key=lambda item: -len(item[0])))

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Keep a file at the place that is configured for its account."""
        return await self._accounts.get(key.partition("/")[0], self._target).put(key, path, content_type)

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

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Everything in the places that this service writes to and that can be listed."""
        for store in self._places():
            listing = getattr(store, "objects", None)
            if listing is not None:
                async for found in listing():
                    yield found

    async def close(self) -> None:
        """Let go of connections."""
        for store in {id(store): store for store in (*self._places(), *self._known.values())}.values():
            await store.close()

    def _places(self) -> list[Store]:
        places = (self._known.get(LOCAL), self._target, *self._accounts.values())
        return list({id(store): store for store in places if store is not None}.values())

    def _of(self, url: str) -> Store:
        for prefix, store in self._known.items():
            if url.startswith(prefix):
                return store
        scheme, separator, _rest = url.partition("://")
        if not separator or not scheme.isidentifier() or scheme in _WEB:
            raise MediaMissing(url)
        self._known[f"{scheme}://"] = store = open_other(f"{scheme}://", {})
        return store


def open_media_store(
    url: str | None,
    data_dir: Path,
    options: Mapping[str, Any] | None = None,
    *,
    accounts: Mapping[str, Place] | None = None,
    guard: Guard | None = None,
) -> MediaRouter:
    """The store at a URL, or in the data folder without one; `accounts` may have places of their own.

    `options` are those of a `Place`. `guard` says which web servers may be reached: none, by default. Nothing is
    touched yet.

    Raises:
        ValueError: a URL is no absolute one.
    """
    watch = guard or Guard(hosts=())
    prefix, target = open_place(Place(url, options or {}), data_dir, watch)
    own = {account: open_place(place, data_dir, watch) for account, place in (accounts or {}).items()}
    web = HttpMedia(watch)
    known: dict[str, Store] = {LOCAL: open_place(Place(), data_dir, watch)[1], "file:///": all_files()}
    known |= {"http://": web, "https://": web}
    if url is not None and "://" in prefix and not prefix.startswith(("file:", "http:", "https:")):
        # Other URLs of its kind are reached with the same options.
        known[f"{prefix.partition(':')[0]}://"] = target
    known |= dict(own.values()) | {prefix: target}
    return MediaRouter(target, known, {account: store for account, (_prefix, store) in own.items()})
