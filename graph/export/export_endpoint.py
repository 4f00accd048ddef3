"""`GET /export/recordings`: recordings as a table, streamed.

The header `Export-Cursor` has the cursor of the start, and the last column of every row has the cursor of that row. A
client resumes after the last row that it has, or after the start if it has none. If an export fails in the middle, the
connection breaks: the chunked body, the gzip stream and the Parquet file have no end.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.compression import compress_response
from adapters.http.error_body import RETRY, error_response
from adapters.http.streaming_response import StreamedResponse
from graph.export.export_request import WantedExport, parse
from graph.export.table_formats import MEDIA_TYPES, Format, ParquetMissingError, TableWriter, writer_of
from recordings.model.account import Principal
from recordings.model.errors import Forbidden, InvalidInput, NotFound, Refused, Unauthenticated
from recordings.rules.cursor import Cursors
from recordings.use_cases.export_recordings import Chunk, Exports

Authenticate = Callable[[Mapping[str, str]], Awaitable[Principal]]
"""Returns the caller of a request by its headers. Raises `Unauthenticated`."""

PER_ACCOUNT: Final = 2
"""The exports that one account may run at once on one server."""
PER_SERVER: Final = 16
CURSOR_HEADER: Final = "export-cursor"
_STATUSES: Final[Mapping[type[Refused], int]] = {Unauthenticated: 401, Forbidden: 403, NotFound: 404}
_HEADERS: Final = {401: {"www-authenticate": "Bearer"}}
_COMPRESSED: Final = frozenset({MEDIA_TYPES[Format.CSV], MEDIA_TYPES[Format.NDJSON]})


class TooManyExportsError(Exception):
    """The account, or the server, runs as many exports as it may."""


class ExportSlots:
    """Counts the running exports of one server."""

    def __init__(self, per_account: int = PER_ACCOUNT, per_server: int = PER_SERVER, what: str = "exports") -> None:
        self._what = what
        self._per_account = per_account
        self._per_server = per_server
        self._running: Counter[str] = Counter()

    @contextmanager
    def take(self, account_id: str) -> Iterator[None]:
        """Count an export until the end of the block.

        Raises:
            TooManyExportsError: no slot is free.
        """
        if self._running[account_id] >= self._per_account:
            message = f"this account already runs {self._per_account} {self._what}: wait until one of them ends"
            raise TooManyExportsError(message)
        if self._running.total() >= self._per_server:
            raise TooManyExportsError(f"the server already runs as many {self._what} as it may: try again later")
        self._running[account_id] += 1
        try:
            yield
        finally:
            self._running[account_id] -= 1
            if not self._running[account_id]:
                del self._running[account_id]


class ExportEndpoint:
    """The endpoint of exports."""

    def __init__(
        self, *, exports: Exports, cursors: Cursors, authenticate: Authenticate, slots: ExportSlots | None = None
    ) -> None:
        self._exports = exports
        self._cursors = cursors
        self._authenticate = authenticate
        self._slots = slots or ExportSlots()

    def route(self) -> Route:
        """Return the route of the endpoint."""
        return Route("/export/recordings", self.respond, methods=["GET"], name="export")

    async def respond(self, request: Request) -> Response:
        """Return the table, or an error response."""
        try:
            return await self._export(request)
        except TooManyExportsError as error:
            return error_response(429, "RATE_LIMITED", str(error), RETRY)
        except ParquetMissingError as error:
            return error_response(501, "NOT_INSTALLED", str(error))
        except Refused as refused:
            status = next((status for kind, status in _STATUSES.items() if isinstance(refused, kind)), 400)
            return error_response(status, refused.code, refused.message, _HEADERS.get(status))

    async def _export(self, request: Request) -> Response:
        principal = await self._authenticate(request.headers)
        wanted = parse(_parameters(request), principal.account_id, self._cursors)
        writer = writer_of(wanted.format, wanted.table, bom=wanted.bom)
        body = self._body(principal, wanted, writer)
        # The first piece is read before the response starts, so that an error up to there has a status.
        first = await anext(body)
        headers = {
            "content-type": MEDIA_TYPES[wanted.format],
            "content-disposition": f'attachment; filename="recordings.{wanted.format}"',
            "cache-control": "no-store",
            CURSOR_HEADER: wanted.start,
        }
        if request.method == "HEAD":
            await body.aclose()
            empty = Response(None, 200, headers)
            # The length of the table is not known, so it must not be announced as 0.
            del empty.headers["content-length"]
            return empty
        response = StreamedResponse(_joined(first, body), 200, headers)
        compress_response(response, request.headers.get("accept-encoding"), media_types=_COMPRESSED, min_size=0)
        return response

    async def _body(self, principal: Principal, wanted: WantedExport, writer: TableWriter) -> AsyncGenerator[bytes]:
        with self._slots.take(principal.account_id):
            async with aclosing(await self._exports.open(principal, wanted.request)) as chunks:
                async for piece in encoded(chunks, wanted, writer):
                    yield piece


async def encoded(chunks: AsyncGenerator[Chunk], wanted: WantedExport, writer: TableWriter) -> AsyncGenerator[bytes]:
    """Yield the bytes of a table, one piece for each chunk. A piece may be empty."""
    head = writer.begin()
    async for chunk in chunks:
        # In a thread: encoding a thousand rows takes as long as many short requests.
        piece = await asyncio.to_thread(_encode, chunk, wanted, writer) if chunk else b""
        yield head + piece
        head = b""
    yield head + await asyncio.to_thread(writer.end)


def _encode(chunk: Chunk, wanted: WantedExport, writer: TableWriter) -> bytes:
    return writer.write(wanted.table.values(chunk))


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            if piece:
                yield piece


def _parameters(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in found:
            raise InvalidInput.of((name,), "maxItems", value[:100], "given once")
        found[name] = value
    return found
