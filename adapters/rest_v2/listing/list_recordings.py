"""The recordings of an account or a user as JSON, chunked JSON or CSV (`docs/v2_contract.md`, section 1)."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from adapters.http.streaming_response import StreamedResponse
from adapters.rest_v2.listing.csv_table import CsvTable, file_name
from adapters.rest_v2.listing.list_filters import read_filters
from adapters.rest_v2.listing.list_query import ListQuery, read_list_query
from adapters.rest_v2.listing.list_reader import Documents, ListReader, ListRequest
from adapters.rest_v2.recording.json_item import json_items
from adapters.rest_v2.recording.visibility import list_item
from adapters.rest_v2.request.envelope import success, to_json, trailer
from adapters.rest_v2.request.read_principal import read_principal
from adapters.rest_v2.request.request_context import JSON_TYPE, RequestContext
from adapters.rest_v2.request.v2_errors import bad_identifier, unpaged_too_large
from adapters.rest_v2.request.wanted_type import Kind
from adapters.rest_v2.v2_settings import V2Settings
from recordings.ports.clock import Clock
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.users import ManageUsers

MAX_BUFFERED: Final = 1_000
"""Maximum items of a response that is built in memory. A longer one is streamed, without an `ETag`."""


class ListEndpoint:
    """Serves `GET .../recordings`."""

    def __init__(self, *, recordings: Recordings, users: ManageUsers, clock: Clock, settings: V2Settings) -> None:
        self._recordings = recordings
        self._users = users
        self._clock = clock
        self._settings = settings

    async def list_recordings(self, context: RequestContext) -> Response:
        """List the recordings of an account."""
        return await self._list(context, None)

    async def list_user_recordings(self, context: RequestContext) -> Response:
        """List the recordings of a user, or answer 404 for an unknown user."""
        context.accepted_types()
        user_id = context.argument("user_id")
        principal = read_principal(context, self._settings)
        if not await self._users.is_known(principal, context.account_id, user_id):
            raise bad_identifier(user_id)
        return await self._list(context, user_id)

    async def _list(self, context: RequestContext, owner: str | None) -> Response:
        kind = context.accepted_types()[0].kind
        list_query = read_list_query(context.parameters, self._clock.now(), owner)
        principal = read_principal(context, self._settings)
        request = ListRequest(
            principal=principal,
            account_id=context.account_id,
            list_query=list_query,
            filters=read_filters(context.parameters.query),
            item=partial(list_item, reader=principal) if kind is Kind.CSV else json_items(principal),
        )
        reader = ListReader(self._recordings, request)
        chunks = reader.chunks()
        first = await self._first(context, reader, chunks, list_query)
        if kind is Kind.CSV:
            return _csv(context, first, chunks)
        if list_query.chunked or len(first) > MAX_BUFFERED:
            body = _StreamedBody(context, list_query, reader).stream(first, chunks)
            return StreamedResponse(body, 200, {"content-type": JSON_TYPE})
        return _buffered(context, list_query, reader, first)

    async def _first(
        self, context: RequestContext, reader: ListReader, chunks: AsyncGenerator[Documents], list_query: ListQuery
    ) -> Documents:
        """Read the first items: all items, unless there are more than `MAX_BUFFERED`. Check the size if unpaged.

        Filters may exclude every row of a large account, so reading stops when the client disconnects.
        """
        first: Documents = []
        async for chunk in chunks:
            first.extend(chunk)
            if len(first) > MAX_BUFFERED or (list_query.chunked and first):
                break
            if not reader.is_complete and await context.request.is_disconnected():
                raise ClientDisconnect
        if list_query.page_size is None and len(first) > MAX_BUFFERED:
            await self._check_unpaged_size(reader, first)
        return first

    async def _check_unpaged_size(self, reader: ListReader, first: Documents) -> None:
        """Raise 416 for a response that would be too large (`docs/v2_contract.md`, section 1.4)."""
        total = await reader.total(self._settings.max_rows + 1)
        size = len(to_json(first)) // len(first)
        if total > self._settings.max_rows or total * size > self._settings.max_bytes:
            raise unpaged_too_large()


def paging_fields(list_query: ListQuery, reader: ListReader) -> dict[str, Any]:
    """Return the keys of the envelope that describe the page."""
    if list_query.page_size is None:
        return {}
    paging: dict[str, Any] = {"page_size": reader.count, "start_key": list_query.start_key}
    return paging if reader.next_key is None else paging | {"next_start_key": reader.next_key}


def _buffered(context: RequestContext, list_query: ListQuery, reader: ListReader, documents: Documents) -> Response:
    paging = paging_fields(list_query, reader)
    if not documents:
        return context.reply([], paging=paging)
    body = to_json(success(documents, context.fields, paging))
    revision = hashlib.md5(body, usedforsecurity=False).hexdigest()
    # The revision is the digest of the body without it, so it is appended as the last key.
    headers = {"etag": f'"{revision}"'}
    whole = b"".join((memoryview(body)[:-1], b',"revision":', to_json(revision), b"}"))
    return Response(_indented(whole) if context.pretty else whole, 200, headers, JSON_TYPE)


class _StreamedBody:
    """Writes an envelope while its documents are read."""

    def __init__(self, context: RequestContext, list_query: ListQuery, reader: ListReader) -> None:
        self._context = context
        self._list_query = list_query
        self._reader = reader
        self._pretty = context.pretty and not list_query.chunked
        self._digest = hashlib.md5(usedforsecurity=False)

    async def stream(self, first: Documents, rest: AsyncIterator[Documents]) -> AsyncGenerator[bytes]:
        yield b'{"data":['
        # The first chunk may be large. It is sent in parts of the requested size.
        size = self._list_query.chunk_size
        for at in range(0, len(first), size):
            yield self._items(first[at : at + size], after_others=at > 0)
        after_others = bool(first)
        async for chunk in rest:
            for at in range(0, len(chunk), size):
                yield self._items(chunk[at : at + size], after_others=after_others)
                after_others = True
        yield b"]," + self._tail()

    def _items(self, documents: Documents, *, after_others: bool) -> bytes:
        if self._pretty:
            text = b",\n".join(to_json(document, pretty=True) for document in documents)
        else:
            text = to_json(documents)[1:-1]
        self._digest.update(text)
        return b"," + text if after_others else text

    def _tail(self) -> bytes:
        paging = paging_fields(self._list_query, self._reader)
        fields = self._context.fields
        if self._list_query.chunked:
            return to_json(trailer(fields, paging))[1:]
        tail = success(None, fields, paging) | {"revision": self._digest.hexdigest()}
        del tail["data"]
        return to_json(tail, pretty=self._pretty)[1:]


def _csv(context: RequestContext, first: Documents, rest: AsyncGenerator[Documents]) -> Response:
    """Return a table of all documents, or 204 without documents."""
    if not first:
        return Response(status_code=204)
    return StreamedResponse(_rows(CsvTable(), first, rest), 200, csv_headers(context))


def csv_headers(context: RequestContext) -> dict[str, str]:
    """Return the headers of a table."""
    name = file_name(context.request.headers.get("x-file-name"), context.parameters.find("file_name"))
    return {"content-type": "text/csv", "content-disposition": f'attachment; filename="{name}"'}


async def _rows(table: CsvTable, first: Documents, rest: AsyncIterator[Documents]) -> AsyncGenerator[bytes]:
    yield table.write(first).encode()
    async for chunk in rest:
        if chunk:
            yield table.write(chunk).encode()


def _indented(body: bytes) -> bytes:
    return msgspec.json.format(body, indent=2)
