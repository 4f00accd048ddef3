"""The listings of an account and of a user, as JSON, chunked JSON or CSV (contract section 1)."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from adapters.http.streaming_response import Streamed
from adapters.rest_v2.dependencies import Choices
from adapters.rest_v2.listing.csv_table import CsvTable, file_name
from adapters.rest_v2.listing.list_filters import read_filters
from adapters.rest_v2.listing.list_query import Plan, read_plan
from adapters.rest_v2.listing.list_reader import Documents, Listing, Pages, Scan
from adapters.rest_v2.request.envelope import success, to_json, trailer
from adapters.rest_v2.request.read_principal import reader_of
from adapters.rest_v2.request.request_context import JSON_TYPE, RequestContext
from adapters.rest_v2.request.v2_errors import bad_identifier, too_large_range
from adapters.rest_v2.request.wanted_type import Kind
from recordings.ports.process import Clock
from recordings.use_cases.users import ManageUsers

HELD: Final = 1_000
"""An answer of more items than this is sent while it is made, so its `ETag` cannot go ahead of it."""


class Listings:
    """Answers `GET .../recordings`."""

    def __init__(self, *, pages: Pages, members: ManageUsers, clock: Clock, choices: Choices) -> None:
        self._pages = pages
        self._members = members
        self._clock = clock
        self._choices = choices

    async def list_recordings(self, exchange: RequestContext) -> Response:
        """Of an account."""
        return await self._list(exchange, None)

    async def list_user_recordings(self, exchange: RequestContext) -> Response:
        """Of a user, who must be known."""
        exchange.choices()
        user_id = exchange.argument("user_id")
        reader = reader_of(exchange, self._choices)
        if not await self._members.is_known(reader, exchange.account.id, user_id):
            raise bad_identifier(user_id)
        return await self._list(exchange, user_id)

    async def _list(self, exchange: RequestContext, owner: str | None) -> Response:
        kind = exchange.choices()[0].kind
        plan = read_plan(exchange.parameters, self._clock.now(), owner)
        listing = Listing(
            principal=reader_of(exchange, self._choices),
            account_id=exchange.account.id,
            plan=plan,
            filters=read_filters(exchange.parameters.query),
        )
        scan = Scan(self._pages, listing)
        chunks = scan.chunks()
        first = await self._first(exchange, scan, chunks, plan)
        if kind is Kind.CSV:
            return _csv(exchange, first, chunks)
        if plan.chunked or len(first) > HELD:
            return Streamed(_Body(exchange, plan, scan).stream(first, chunks), 200, {"content-type": JSON_TYPE})
        return _whole(exchange, plan, scan, first)

    async def _first(
        self, exchange: RequestContext, scan: Scan, chunks: AsyncGenerator[Documents], plan: Plan
    ) -> Documents:
        """The first items: all, where that is not too many. What is not paged has a guard (section 1.4).

        Filters may drop every row of a large account: nobody reads on for a client that has gone.
        """
        first: Documents = []
        async for chunk in chunks:
            first.extend(chunk)
            if len(first) > HELD or (plan.chunked and first):
                break
            if await exchange.request.is_disconnected():
                raise ClientDisconnect
        if plan.page_size is None and len(first) > HELD:
            await self._guard(scan, first)
        return first

    async def _guard(self, scan: Scan, first: Documents) -> None:
        total = await scan.total()
        size = len(to_json(first)) // len(first)
        if total > self._choices.max_rows or total * size > self._choices.max_bytes:
            raise too_large_range()


def paging_of(plan: Plan, scan: Scan) -> dict[str, Any]:
    """The keys of the envelope that tell of the page."""
    if plan.page_size is None:
        return {}
    paging: dict[str, Any] = {"page_size": scan.count, "start_key": plan.start_key}
    return paging if scan.next_key is None else paging | {"next_start_key": scan.next_key}


def _whole(exchange: RequestContext, plan: Plan, scan: Scan, documents: Documents) -> Response:
    paging = paging_of(plan, scan)
    if not documents:
        return exchange.reply([], paging=paging)
    body = to_json(success(documents, exchange.meta, paging))
    revision = hashlib.md5(body, usedforsecurity=False).hexdigest()
    # The revision is the digest of the answer that it is put into: one more key at its end.
    headers = {"etag": f'"{revision}"'}
    whole = body[:-1] + b',"revision":' + to_json(revision) + b"}"
    return Response(_indented(whole) if exchange.pretty else whole, 200, headers, JSON_TYPE)


class _Body:
    """Writes an envelope around documents that are still being read."""

    def __init__(self, exchange: RequestContext, plan: Plan, scan: Scan) -> None:
        self._exchange = exchange
        self._plan = plan
        self._scan = scan
        self._pretty = exchange.pretty and not plan.chunked
        self._digest = hashlib.md5(usedforsecurity=False)

    async def stream(self, first: Documents, rest: AsyncIterator[Documents]) -> AsyncGenerator[bytes]:
        yield b'{"data":['
        # The first chunk may hold many: they go out in pieces of the size that was asked for.
        size = self._plan.chunk_size
        for at in range(0, len(first), size):
            yield self._items(first[at : at + size], begun=at > 0)
        begun = bool(first)
        async for chunk in rest:
            for at in range(0, len(chunk), size):
                yield self._items(chunk[at : at + size], begun=begun)
                begun = True
        yield b"]," + self._tail()

    def _items(self, documents: Documents, *, begun: bool) -> bytes:
        if self._pretty:
            text = b",\n".join(to_json(document, pretty=True) for document in documents)
        else:
            text = to_json(documents)[1:-1]
        self._digest.update(text)
        return b"," + text if begun else text

    def _tail(self) -> bytes:
        paging = paging_of(self._plan, self._scan)
        meta = self._exchange.meta
        if self._plan.chunked:
            return to_json(trailer(meta, paging))[1:]
        tail = success(None, meta, paging) | {"revision": self._digest.hexdigest()}
        del tail["data"]
        return to_json(tail, pretty=self._pretty)[1:]


def _csv(exchange: RequestContext, first: Documents, rest: AsyncGenerator[Documents]) -> Response:
    """Rows of all documents; 204 if there are none."""
    if not first:
        return Response(status_code=204)
    return Streamed(_rows(CsvTable(), first, rest), 200, csv_headers(exchange))


def csv_headers(exchange: RequestContext) -> dict[str, str]:
    """The type and the name of a table."""
    name = file_name(exchange.request.headers.get("x-file-name"), exchange.parameters.find("file_name"))
    return {"content-type": "text/csv", "content-disposition": f'attachment; filename="{name}"'}


async def _rows(sheet: CsvTable, first: Documents, rest: AsyncIterator[Documents]) -> AsyncGenerator[bytes]:
    yield sheet.write(first).encode()
    async for chunk in rest:
        if chunk:
            yield sheet.write(chunk).encode()


def _indented(body: bytes) -> bytes:
    return msgspec.json.format(body, indent=2)
