"""Read single documents that are requested at the same time with one `find`.

A `find` costs the client about 200 µs, whether it reads one document or eight. So the documents that are requested in
one turn of the event loop are read together. A single read does not wait for others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextvars import Context
from typing import Final

from bson.errors import BSONError

from adapters.metadata.mongodb.driver import Document

MAX_READS: Final = 64
"""Maximum number of documents in one `find`."""
Names = tuple[str, ...]
_Group = dict[str, "asyncio.Future[Document | None]"]


class GroupedReads:
    """Reads documents by id. `find` returns the documents with these ids and fields."""

    def __init__(self, find: Callable[[Collection[str], Names], Awaitable[Iterable[Document]]]) -> None:
        self._find = find
        self._groups: dict[Names, _Group] = {}
        self._reading: set[asyncio.Task[None]] = set()

    async def read(self, document_id: str, names: Names) -> Document | None:
        """Return the document with this id and these fields; `None` if there is none."""
        loop = asyncio.get_running_loop()
        group = self._groups.get(names)
        # Each caller gets a document of its own, so an id that is in the group begins another group.
        if group is None or len(group) >= MAX_READS or document_id in group:
            group = self._groups[names] = {}
            # An empty context: the request id of this caller does not belong to the reads of the others.
            loop.call_soon(self._begin, names, group, context=Context())
        found: asyncio.Future[Document | None] = loop.create_future()
        group[document_id] = found
        return await found

    def _begin(self, names: Names, group: _Group) -> None:
        if self._groups.get(names) is group:
            del self._groups[names]
        # A task of its own: the end of one caller does not stop the reads of the others.
        reading = asyncio.get_running_loop().create_task(self._read(names, group), name="grouped reads")
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read(self, names: Names, group: _Group) -> None:
        documents: dict[str, Document] = {}
        failure: Exception | None = None
        try:
            documents = {each["_id"]: each for each in await self._find(group, names)}
        except Exception as error:  # noqa: BLE001 - the callers receive it
            if len(group) > 1 and isinstance(error, UnicodeError | BSONError):
                # An id that is no valid text, or a damaged document, fails only its own read.
                for document_id, found in group.items():
                    await self._read(names, {document_id: found})
                return
            failure = error
        for document_id, found in group.items():
            if found.done():
                # The caller waits no longer.
                continue
            if failure is None:
                found.set_result(documents.get(document_id))
            else:
                found.set_exception(failure)
