"""Pages and counts of recordings in MongoDB."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from pymongo.errors import ExecutionTimeout, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern

from adapters.metadata.access_path import (
    FEW,
    Asked,
    Facets,
    Question,
    Read,
    Scan,
    Skip,
    Tally,
    Tested,
    count_rows,
    is_in_order,
    page_rows,
)
from adapters.metadata.mongodb import where
from adapters.metadata.mongodb.account_slots import AccountSlots
from adapters.metadata.mongodb.bson_document import projection, to_rows
from adapters.metadata.mongodb.bson_rows import RAW, BsonRows, can_encode, documents_of
from adapters.metadata.mongodb.change_clock import ChangeClock
from adapters.metadata.mongodb.driver import Connection, Document, to_cursor
from adapters.metadata.mongodb.indexes import RECORDINGS
from adapters.metadata.mongodb.unavailable import in_time, raises_store_unavailable
from adapters.metadata.row_fields import fields_to_read
from adapters.metadata.selections import Selection
from recordings.model.query import (
    MAX_COUNTED,
    MAX_EXAMINED,
    Count,
    OrderField,
    Page,
    PageRequest,
    Position,
    Query,
)

READ_MS: Final = 8_000
"""The maximum time (milliseconds) of one read. All reads are bounded, so only an overloaded server needs so long."""

CHECK_SECONDS: Final = 1.0
"""How long MongoDB may take to answer when a slow query gets no turn."""
SLOW_PER_ACCOUNT: Final = 1
"""How many counts, and pages that examine more than their own rows, of one account may run at the same time.

With two, the queries of one account can occupy both cores of a small MongoDB server.
"""


@raises_store_unavailable
class RecordingLists:
    """The pages and the counts of the collection of recordings."""

    def __init__(self, connection: Connection, clock: ChangeClock, max_examined: int = MAX_EXAMINED) -> None:
        self._session = connection.session
        self._change_entry = clock
        self._listed = connection.database[RECORDINGS]
        self._listed_final = self._listed.with_options(read_concern=ReadConcern("majority"))
        self._max_examined = max_examined
        self._slots = AccountSlots(SLOW_PER_ACCOUNT, self._require_answer)

    async def _require_answer(self) -> None:
        """Raise `StoreUnavailableError` if MongoDB does not answer at once."""
        async with in_time(CHECK_SECONDS):
            await self._listed.database.command("ping")

    async def page(self, query: Query, request: PageRequest) -> Page:
        """Return one page of a query."""
        names = fields_to_read(request.fields, query.order.field)
        raw = request.raw and query.order.field is not OrderField.MODIFIED and can_encode()

        async def answer(question: Question) -> Any:
            if not isinstance(question, Read):
                return await self._answer(query, question)
            find, limit = where.find(query, question.path), request.limit + 1
            if query.order.field is OrderField.MODIFIED:
                return await self._read_final(find, projection(names), limit)
            documents = await self._read_raw(find, projection(names), limit) if raw else None
            return documents if documents is not None else await self._read(find, projection(names), limit)

        asked = page_rows(query, request, self._max_examined)
        if is_in_order(query):
            found, examined = await _answered(asked, answer)
        else:
            async with self._slots.slot(query.account_id):
                found, examined = await _answered(asked, answer)
        read = found[: request.limit]
        read = read[::-1] if request.backward else read
        is_raw = isinstance(read, tuple)
        rows = BsonRows(read, names, self._listed.codec_options) if is_raw else to_rows(list(read), names)
        return Page(rows, len(found) > request.limit, examined)

    async def count(self, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return the number of recordings that a query selects, exact up to `limit`."""
        asked = count_rows(query, limit, min(FEW, self._max_examined))
        async with self._slots.slot(query.account_id):
            found: Count = await _answered(asked, lambda question: self._answer(query, question))
        return found

    async def _read_final(self, find: where.Find, fields: Document, limit: int) -> list[Document]:
        """Return documents. A failover cannot roll back what they show."""
        last = self._change_entry.last_entry
        if last is None:
            return await _found(self._listed_final, find, fields, limit)
        async with await self._session() as session:
            session.advance_operation_time(last)
            return await _found(self._listed_final, find, fields, limit, session=session)

    async def _read_raw(self, find: where.Find, fields: Document, limit: int) -> tuple[bytes, ...] | None:
        """Return documents as bytes, or `None` if they must be read as all others.

        A command is not repeated after a failover, and it has no cursor. But the driver does not touch the documents:
        a cursor over raw batches takes 130 µs more for a page, because it makes an object of each one.
        """
        try:
            reply = await self._listed.database.command(
                {
                    "find": RECORDINGS,
                    **{key: value for key, value in (("min", find.low), ("max", find.high)) if value is not None},
                    "filter": find.filter,
                    "projection": fields,
                    "sort": dict(find.sort),
                    "limit": limit,
                    "batchSize": limit + 1,
                    "hint": find.hint,
                    "maxTimeMS": READ_MS,
                },
                codec_options=RAW,
            )
        except (ServerSelectionTimeoutError, ExecutionTimeout):
            # A second request would take as long.
            raise
        except PyMongoError:
            return None
        return documents_of(reply)

    async def _read(self, find: where.Find, fields: Document, limit: int, skip: int = 0) -> list[Document]:
        return await _found(self._listed, find, fields, limit, skip=skip)

    async def _answer(self, query: Query, question: Question) -> Any:
        match question:
            case Scan():
                return await self._scanned(query, question)
            case Tally(_, _, limit):
                find = where.tally(query, question)
                command = {"query": find.filter, "hint": find.hint, "limit": limit, "maxTimeMS": READ_MS}
                return int((await self._listed.database.command("count", RECORDINGS, **command))["n"])
            case Facets(limit):
                return await self._facets(query, limit)
            case Skip():
                return await self._skip(query, question)
            case Tested(way):
                find = where.count(query, way)
                return int(await self._listed.count_documents(find.filter, hint=find.hint, maxTimeMS=READ_MS))
        raise TypeError(question)

    async def _scanned(self, query: Query, question: Scan) -> tuple[int, Sequence[str]] | None:
        if len(question.sets) + len(question.without) == 1:
            found: Collection[str] = await self._ids(query, question.sets[0], question.limit)
        else:
            found = await self._array(*where.common(query, question))
        return None if len(found) > question.limit else (len(found), list(found))

    async def _ids(self, query: Query, selections: Sequence[Selection], limit: int) -> set[str]:
        """Return the ids of the rows of selections. Many ids are one array, because documents take longer to read.

        The selections are read one after the other: a query occupies one connection and one core of MongoDB.
        """
        found: set[str] = set()
        for each in selections:
            if len(found) <= limit:
                find = where.scan(query, each)
                found.update(await self._array(where.as_array(find.filter, limit + 1), find.hint))
        return found

    async def _array(self, stages: Sequence[Document], hint: str) -> Sequence[str]:
        cursor = await to_cursor(self._listed.aggregate(stages, hint=hint, maxTimeMS=READ_MS))
        return [identity async for document in cursor for identity in document["ids"]]

    async def _facets(self, query: Query, limit: int) -> Sequence[str]:
        selected = where.on_any_shelf(query)
        found: list[str] = await self._listed.distinct("facets", selected, maxTimeMS=READ_MS)
        return found[:limit]

    async def _skip(self, query: Query, question: Skip) -> Position | None:
        key = query.order.field.value
        find = where.ordered(query, question.path, [question.part])
        found = await self._read(find, {key: 1}, 1, question.rows)
        return Position(found[0][key], found[0]["_id"]) if found else None


async def _answered(asked: Asked, answer: Callable[[Question], Awaitable[Any]]) -> Any:
    """Answer all questions of a generator, and return its result."""
    try:
        question = next(asked)
        while True:
            question = asked.send(await answer(question))
    except StopIteration as done:
        return done.value


async def _found(collection: Any, find: where.Find, fields: Document, limit: int, **options: Any) -> list[Document]:
    cursor = collection.find(
        find.filter,
        fields,
        sort=find.sort or None,
        limit=limit,
        batch_size=limit + 1,
        hint=find.hint,
        min=find.low,
        max=find.high,
        max_time_ms=READ_MS,
        **options,
    )
    documents: list[Document] = await cursor.to_list(None)
    return documents
