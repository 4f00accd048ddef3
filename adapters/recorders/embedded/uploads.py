"""Files as the bodies of requests: written to the disk as they arrive, and known before they are.

How an upload ends, for its sender and as a recording:

    all of it came                      201 (200 for a repetition)   FINALIZING; then the finalizer says what it is
    an empty body                       201                          DISCARDED(EMPTY)
    longer than `max_body`              413                          nothing is left
    it breaks off, or is shorter than   400 (if anybody listens)     FAILED(INCOMPLETE), what came kept aside
      its Content-Length
    silent for `body_idle`, or longer   408                          FAILED(INCOMPLETE), what came kept aside
      than `body_total` in all
    the disk is full                    503, Retry-After             FAILED(INCOMPLETE), what came kept aside
    it was given up before its end,     503, Retry-After             FAILED(INCOMPLETE), what came kept aside
      for a leap of the clock
    this server stops                   -                            FAILED(INCOMPLETE), what came kept aside
    more than `max_uploads` at once     503, Retry-After             nothing begins
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from adapters.http.error_body import error_response
from adapters.recorders.dialects.kazoo_upload import Upload
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.spool_ports import FileSpool, FileWriter
from recordings.model.account import Principal
from recordings.model.recording import Recording, State
from recordings.use_cases.ingest import Ingest

log = logging.getLogger(__name__)

RETRY_AFTER: Final = 30
"""Seconds after which a sender that was turned away may come back."""
DRAIN: Final = 1.0
"""Seconds for which a body that is too long is read and dropped, so that its sender gets to read the answer."""
_STRIPES: Final = 64


class TooLong(Exception):  # noqa: N818 - an answer
    """The body is longer than allowed."""


class BrokenOff(Exception):  # noqa: N818 - an answer
    """The body did not come to its end."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Uploads:
    """Takes in files for the accounts of ingest addresses, no more at once than its limits say."""

    def __init__(self, *, receiving: Ingest, spool: FileSpool, limits: Limits | None = None) -> None:
        self._receiving = receiving
        self._spool = spool
        self._limits = limits or Limits()
        self._open = 0
        # Of two identical files that end at once, one has to be first.
        self._locks = [asyncio.Lock() for _ in range(_STRIPES)]

    async def receive(self, principal: Principal, upload: Upload, request: Request) -> Response:
        """Take in the body of a request. The answer says that it is on the disk and that its row is durable."""
        declared = _declared(request)
        if declared is not None and declared > self._limits.max_body:
            return await self._too_long(request)
        if self._open >= self._limits.max_uploads:
            return _refusal(503, "BUSY", "too many files at once: try again later")
        self._open += 1
        try:
            return await self._receive(principal, upload, request, declared)
        finally:
            self._open -= 1

    async def _receive(self, principal: Principal, upload: Upload, request: Request, declared: int | None) -> Response:
        recording = await self._receiving.open(
            principal,
            upload.call,
            name=upload.name,
            extension=upload.extension,
            source_key=upload.source_key,
            recording_id=upload.recording_id,
        )
        try:
            digest = await self._keep(recording, upload, request, declared)
            return await self._finish(recording, digest)
        except TooLong:
            await self._receiving.refuse(recording.id)
            return await self._too_long(request)
        except BrokenOff as broken:
            await self._receiving.break_off(recording.id, str(broken))
            return _refusal(broken.status, "INCOMPLETE", str(broken))
        except BaseException:
            # This server stops, or its store is away: the sender hears nothing good and will send it again.
            with suppress(Exception):
                await self._receiving.break_off(recording.id, "the server did not see it through")
            raise

    async def _keep(self, recording: Recording, upload: Upload, request: Request, declared: int | None) -> str:
        try:
            writer = await self._spool.open_body(recording.id, upload.extension)
        except OSError as error:
            raise _disk_full(recording, error) from error
        try:
            async with asyncio.timeout(self._limits.body_total):
                await self._fill(writer, request, declared)
            await writer.close()
        except OSError as error:
            raise _too_slow(error) if isinstance(error, TimeoutError) else _disk_full(recording, error) from error
        finally:
            # Closed already where all went well. What is to be dropped or kept aside is closed before it is moved.
            with suppress(OSError):
                await writer.close(sync=False)
        return writer.sha256

    async def _fill(self, writer: FileWriter, request: Request, declared: int | None) -> None:
        async for chunk in _chunks(request, self._limits.body_idle):
            if writer.length + len(chunk) > self._limits.max_body:
                raise TooLong
            await writer.write(chunk)
        if declared is not None and writer.length != declared:
            raise BrokenOff(400, f"{writer.length} bytes came of {declared}")

    async def _finish(self, recording: Recording, digest: str) -> Response:
        async with self._locks[hash(recording.source_key) % _STRIPES]:
            kept = await self._receiving.finish(recording.id, digest)
        if kept.state is State.FAILED:
            # It took so long, by the clock, that it was given up meanwhile: its sender must not take it for delivered.
            raise BrokenOff(503, "it was given up before it came to its end")
        status = 201 if kept.id == recording.id else 200
        return JSONResponse({"id": kept.id, "state": kept.state.value}, status)

    async def _too_long(self, request: Request) -> Response:
        if "expect" not in request.headers:
            with suppress(TimeoutError, ClientDisconnect):
                async with asyncio.timeout(DRAIN):
                    while (await request.receive()).get("more_body"):
                        pass
        return _refusal(413, "TOO_LONG", f"at most {self._limits.max_body} bytes")


async def _chunks(request: Request, idle: float) -> AsyncIterator[bytes]:
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise BrokenOff(408, f"nothing came for {idle:g} seconds") from error
        except ClientDisconnect as error:
            raise BrokenOff(400, "the connection broke") from error
        if chunk is None:
            return
        if chunk:
            yield chunk


def _declared(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _too_slow(_error: OSError) -> BrokenOff:
    return BrokenOff(408, "it took too long")


def _disk_full(recording: Recording, error: OSError) -> BrokenOff:
    log.error("a file cannot be written: %s", error.strerror, extra={"recording_id": recording.id})
    return BrokenOff(503, "the disk takes nothing now")


def _refusal(status: int, code: str, message: str) -> Response:
    # The rest of the body is not read: the connection cannot be used again.
    headers = {"Connection": "close"} | ({"Retry-After": str(RETRY_AFTER)} if status == 503 else {})  # noqa: PLR2004
    return error_response(status, code, message, headers)
