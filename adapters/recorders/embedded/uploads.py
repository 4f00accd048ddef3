"""Audio files as request bodies. The recording is stored before its body arrives; the body goes to the disk in chunks.

How an upload ends, for its sender and as a recording:

    complete                                201 (200 if repeated)   FINALIZING; then the finalizer examines the file
    empty                                   201                     DISCARDED(EMPTY)
    longer than `max_body`                  413                     nothing is stored
    the connection breaks, or the body is   400 (if still possible) FAILED(INCOMPLETE), the received part is set aside
      shorter than its Content-Length
    no data for `body_idle`, or longer      408                     FAILED(INCOMPLETE), the received part is set aside
      than `body_total` in total
    the disk is full                        503, Retry-After        FAILED(INCOMPLETE), the received part is set aside
    the watchdog gave it up before its      503, Retry-After        FAILED(INCOMPLETE), the received part is set aside
      end, after a jump of the clock
    this server shuts down                  -                       FAILED(INCOMPLETE), the received part is set aside
    more than `max_uploads` at once         503, Retry-After        nothing is stored
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from adapters.http.error_body import error_response
from adapters.recorders.dialects.kazoo_upload import Upload
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.spool_ports import FileSpool, FileWriter
from recordings.model.account import Principal
from recordings.model.recording import Recording, State
from recordings.use_cases.ingest import Ingest

_log: Final[Any] = structlog.get_logger("recorder")

RETRY_AFTER: Final = 30
"""Seconds after which a rejected sender may try again."""
DRAIN: Final = 1.0
"""For how many seconds a body that is too long is read and dropped, so that its sender can read the response."""


class BodyTooLong(Exception):  # noqa: N818 - an expected result
    """The body is longer than allowed."""


class UploadIncomplete(Exception):  # noqa: N818 - an expected result
    """The body is incomplete. `status` is the HTTP status of the response."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Uploads:
    """Receives files for the accounts of ingest addresses, up to `max_uploads` at once."""

    def __init__(self, *, ingest: Ingest, spool: FileSpool, limits: Limits | None = None) -> None:
        self._ingest = ingest
        self._spool = spool
        self._limits = limits or Limits()
        self._open = 0

    async def receive(self, principal: Principal, upload: Upload, request: Request) -> Response:
        """Receive the body of a request. A success means that the body and the recording are stored durably."""
        content_length = _content_length(request)
        if content_length is not None and content_length > self._limits.max_body:
            return await self._reject_too_long(request)
        if self._open >= self._limits.max_uploads:
            return _reject(503, "BUSY", "too many uploads at once: try again later")
        self._open += 1
        try:
            return await self._receive(principal, upload, request, content_length)
        finally:
            self._open -= 1

    async def _receive(
        self, principal: Principal, upload: Upload, request: Request, content_length: int | None
    ) -> Response:
        recording = await self._ingest.open(
            principal,
            upload.call,
            name=upload.name,
            extension=upload.extension,
            source_key=upload.source_key,
            recording_id=upload.recording_id,
        )
        try:
            digest = await self._spool_body(recording, upload, request, content_length)
            return await self._finish(recording, digest)
        except BodyTooLong:
            await self._ingest.refuse(recording.id)
            return await self._reject_too_long(request)
        except UploadIncomplete as incomplete:
            await self._ingest.break_off(recording.id, str(incomplete))
            return _reject(incomplete.status, "INCOMPLETE", str(incomplete))
        except BaseException:
            # This server shuts down, or its store is unavailable. The sender receives an error and will retry.
            with suppress(Exception):
                await self._ingest.break_off(recording.id, "the server stopped before the upload was complete")
            raise

    async def _spool_body(
        self, recording: Recording, upload: Upload, request: Request, content_length: int | None
    ) -> str:
        """Write the body to the spool and return its SHA-256."""
        try:
            writer = await self._spool.open_body(recording.id, upload.extension)
        except OSError as error:
            raise _disk_full(recording, error) from error
        try:
            async with asyncio.timeout(self._limits.body_total):
                await self._write_chunks(writer, request, content_length)
            await writer.close()
        except OSError as error:
            raise _too_slow(error) if isinstance(error, TimeoutError) else _disk_full(recording, error) from error
        finally:
            # After a success this does nothing. After an error the file must be closed before it is moved or deleted.
            with suppress(OSError):
                await writer.close(sync=False)
        return writer.sha256

    async def _write_chunks(self, writer: FileWriter, request: Request, content_length: int | None) -> None:
        async for chunk in _chunks(request, self._limits.body_idle):
            if writer.length + len(chunk) > self._limits.max_body:
                raise BodyTooLong
            await writer.write(chunk)
        if content_length is not None and writer.length != content_length:
            raise UploadIncomplete(400, f"{writer.length} of {content_length} bytes were received")

    async def _finish(self, recording: Recording, digest: str) -> Response:
        stored = await self._ingest.finish(recording.id, digest)
        if stored.state is State.FAILED:
            # The watchdog gave the upload up because it took too long by the clock. The sender must send it again.
            raise UploadIncomplete(503, "the upload was given up before its end: send it again")
        status = 201 if stored.id == recording.id else 200
        return JSONResponse({"id": stored.id, "state": stored.state.value}, status)

    async def _reject_too_long(self, request: Request) -> Response:
        if "expect" not in request.headers:
            with suppress(TimeoutError, ClientDisconnect):
                async with asyncio.timeout(DRAIN):
                    while (await request.receive()).get("more_body"):
                        pass
        return _reject(413, "TOO_LONG", f"the body must be at most {self._limits.max_body} bytes")


async def _chunks(request: Request, idle: float) -> AsyncIterator[bytes]:
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout(idle):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise UploadIncomplete(408, f"no data was received for {idle:g} seconds") from error
        except ClientDisconnect as error:
            raise UploadIncomplete(400, "the connection broke before the body was complete") from error
        if chunk is None:
            return
        if chunk:
            yield chunk


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _too_slow(_error: OSError) -> UploadIncomplete:
    return UploadIncomplete(408, "the upload took too long")


def _disk_full(recording: Recording, error: OSError) -> UploadIncomplete:
    _log.error("upload not written: disk error", error=error.strerror, recording_id=recording.id)
    return UploadIncomplete(503, "the disk of this server cannot be written: try again later")


def _reject(status: int, code: str, message: str) -> Response:
    # The rest of the body is not read, so the connection cannot be used again.
    headers = {"Connection": "close"} | ({"Retry-After": str(RETRY_AFTER)} if status == 503 else {})  # noqa: PLR2004
    return error_response(status, code, message, headers)
