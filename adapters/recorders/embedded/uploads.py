"""Audio files as request bodies. The recording is stored before its file arrives; the file goes to the disk in chunks.

How an upload ends, for its sender and as a recording:

    complete                                201 (200 if repeated)   FINALIZING; then the finalizer examines the file
    empty                                   201                     DISCARDED(EMPTY)
    longer than `max_body` when unpacked,   413                     nothing is stored
      or audio longer than `max_received`,
      if the request tells the length
    a form without a file, a callback, a    400 or 415              nothing is stored
      coding that cannot be unpacked
    the connection breaks, or the body is   400 (if still possible) FAILED(INCOMPLETE), the received part is set aside
      damaged or shorter than announced
    no data for `body_idle`, or longer      408                     FAILED(INCOMPLETE), the received part is set aside
      than `body_total` in total
    the disk is full                        503, Retry-After        FAILED(INCOMPLETE), the received part is set aside
    this server shuts down                  -                       FAILED(INCOMPLETE), the received part is set aside
    more than `max_uploads` at once         503, Retry-After        nothing is stored
    more than the share of the account or   429, Retry-After        nothing is stored
      the client address
    slower than `min_speed`                 408                     FAILED(INCOMPLETE), the received part is set aside
    a lock NEVER forbids to record the call 403                     nothing is stored
    a quota of the account is used up       429, Retry-After        nothing is stored

`docs/ingest.md` describes the forms of a body that are accepted.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from adapters.http.error_body import error_response
from adapters.recorders.dialects.content_coding import CODINGS
from adapters.recorders.dialects.kazoo_upload import NotAnUpload, ReceivedFile, Upload
from adapters.recorders.dialects.wav_length import wav_length
from adapters.recorders.embedded.recorder_limits import Limits
from adapters.recorders.embedded.slot_shares import ClientOf, NoSlot, SlotShares, client_of
from adapters.recorders.embedded.spool_ports import FileSpool, FileWriter
from adapters.recorders.embedded.spool_use import SpoolUse
from adapters.recorders.embedded.upload_body import BodyRefused, UploadBody, UploadIncomplete
from recordings.model.account import Principal
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.model.recording import Recording, State
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.fault_words import is_disk_full
from recordings.use_cases.ingest import Ingest

_log: Final[Any] = structlog.get_logger("recorder")

RETRY_AFTER: Final = 30
"""Seconds after which a rejected sender may try again."""
MIN_FREE: Final = 1 << 20
"""Bytes that stay free on the disk of the spool. An upload that would need them is rejected."""
NOTED: Final = 16 << 20
"""The use of the disk is checked after this many bytes."""
DRAIN: Final = 1.0
"""For how many seconds a refused body is read and dropped, so that its sender can read the response."""


ReadAddress = Callable[[ReceivedFile], Upload]
"""Reads the address of a request, with what the request says about its file. Raises `NotAnUpload`."""


class Uploads:
    """Receives files for the accounts of ingest addresses, up to `max_uploads` at once."""

    def __init__(
        self,
        *,
        ingest: Ingest,
        spool: FileSpool,
        limits: Limits | None = None,
        receiving: set[str] | None = None,
        client_of: ClientOf = client_of,
    ) -> None:
        """`receiving` has the recordings whose uploads are received now."""
        self._client_of = client_of
        self._ingest = ingest
        self._spool = spool
        self._limits = limits or Limits()
        self._slots = SlotShares("uploads", self._limits.max_uploads, self._limits.account_share, "--max-uploads")
        self._use = SpoolUse(self._limits.account_share, spool.ids)
        self._receiving: set[str] = set() if receiving is None else receiving

    async def receive(self, principal: Principal, request: Request, read_address: ReadAddress) -> Response:
        """Receive the body of a request. A success means that the file and the recording are stored durably."""
        try:
            body = UploadBody(request, self._limits)
            # A form may have the parameters that the address lacks.
            upload = None if body.needs_head else read_address(body.file)
            if not body.check_length(self._limits.max_body):
                raise self._too_long()
            free = await self._free_bytes()
            if (refused := await self._refused_by_disk(principal, body.content_length or 0, free)) is not None:
                return refused
            with self._slots.slot(principal.account_id, self._client_of(request)):
                if upload is None:
                    await self._read_head(body)
                    upload = read_address(body.file)
                with self._ingest.slot(principal):
                    return await self._receive(principal, upload, body, free)
        except NoSlot as no_slot:
            return _reject(429 if no_slot.is_share else 503, "BUSY", str(no_slot))
        except BodyRefused as refused:
            return await self._refuse(request, refused)
        except NotAnUpload as error:
            return await self._refuse(request, BodyRefused(400, "NOT_AN_UPLOAD", str(error)))
        except UploadIncomplete as incomplete:
            return _reject(incomplete.status, "INCOMPLETE", str(incomplete))

    async def _free_bytes(self) -> int | None:
        """Return the free bytes of the spool's disk, or `None` if they are unknown: its first write tells why."""
        try:
            return await self._spool.free_bytes()
        except OSError as error:
            return 0 if is_disk_full(error) else None

    async def _refused_by_disk(self, principal: Principal, content_length: int, free: int | None) -> Response | None:
        # Checked before the recording is created, so that the space that is left serves the deletion of recordings.
        if free is None:
            return None
        if free < content_length + MIN_FREE:
            return _full_disk()
        if not await self._use.is_over_share(principal.account_id, content_length, free):
            return None
        share = f"{self._limits.account_share} percent of the free space (--account-share)"
        return _reject(429, "DISK_SHARE", f"the uploads of this account that wait to be stored have reached {share}")

    async def _read_head(self, body: UploadBody) -> None:
        try:
            async with asyncio.timeout(self._limits.body_total):
                await body.read_head()
        except TimeoutError as error:
            raise _too_slow() from error

    async def _receive(self, principal: Principal, upload: Upload, body: UploadBody, free: int | None) -> Response:
        self._check_duration(upload.duration_ms, "duration_ms")
        recording = await self._ingest.open(
            principal,
            upload.call,
            name=upload.name,
            extension=upload.extension,
            source_key=upload.source_key,
            recording_id=upload.recording_id,
            label=upload.label,
        )
        self._receiving.add(recording.id)
        try:
            digest = await self._spool_body(recording, upload, body, free)
            return await self._finish(recording, upload, digest)
        except BodyRefused:
            await self._end(recording, self._ingest.refuse(recording.id))
            raise
        except UploadIncomplete as incomplete:
            await self._end(recording, self._ingest.break_off(recording.id, str(incomplete)))
            raise
        except BaseException:
            # This server shuts down, or its store is unavailable. The sender receives an error and will retry.
            detail = "the server stopped before the upload was complete"
            with suppress(Exception):
                await self._end(recording, self._ingest.break_off(recording.id, detail))
            raise
        finally:
            self._receiving.discard(recording.id)

    async def _end(self, recording: Recording, ending: Awaitable[object]) -> None:
        """End an upload without success; later, if the store is unavailable. `recording` is that of `Ingest.open`."""
        try:
            await ending
        except StoreUnavailableError:
            self._ingest.end_later(recording)

    async def _spool_body(self, recording: Recording, upload: Upload, body: UploadBody, free: int | None) -> str:
        """Write the file to the spool and return its SHA-256. `free` bytes were free before."""
        try:
            writer = await self._spool.open_body(recording.id, upload.extension)
        except OSError as error:
            raise _disk_full(recording, error) from error
        try:
            async with asyncio.timeout(self._limits.body_total):
                await self._write_chunks(recording, writer, body, free)
            await writer.close()
        except OSError as error:
            raise _too_slow() if isinstance(error, TimeoutError) else _disk_full(recording, error) from error
        finally:
            # After a success this does nothing. After an error the file must be closed before it is moved or deleted.
            with suppress(OSError):
                await writer.close(sync=False)
        return writer.sha256

    async def _write_chunks(self, recording: Recording, writer: FileWriter, body: UploadBody, free: int | None) -> None:
        noted = 0
        async for chunk in body.chunks():
            if writer.length >= noted:
                # An upload without a length counts as it arrives.
                noted = writer.length + NOTED
                self._use.note(recording.id, recording.account_id, body.content_length or writer.length)
                if writer.length or free is None:
                    free = await self._spool.free_bytes()
                if await self._use.is_over_share(recording.account_id, 0, free):
                    raise UploadIncomplete(429, "the uploads of this account have reached their share of the disk")
            if not writer.length and body.content_length is not None:
                self._check_duration(wav_length(chunk, body.content_length), "the header")
            if writer.length + len(chunk) > self._limits.max_body:
                raise self._too_long()
            if chunk:
                await writer.write(chunk)
        self._use.note(recording.id, recording.account_id, writer.length)

    def _check_duration(self, duration: Millis | None, source: str) -> None:
        limit = self._limits.max_received * SECOND
        if duration is not None and duration > limit:
            lengths = f"{duration / HOUR:.1f} hours by {source}, at most {limit / HOUR:g} hours are accepted"
            message = f"the audio is too long: {lengths} (--max-received-hours)"
            raise BodyRefused(413, "TOO_LONG", message)

    def _too_long(self) -> BodyRefused:
        return BodyRefused(413, "TOO_LONG", f"the body must be at most {self._limits.max_body} bytes")

    async def _finish(self, recording: Recording, upload: Upload, digest: str) -> Response:
        stored = await self._ingest.finish(recording, digest)
        if stored.state is State.FAILED:
            # The watchdog gave the upload up because it took too long by the clock. The sender must send it again.
            raise UploadIncomplete(503, "the upload was given up before its end: send it again")
        status = 201 if stored.id == recording.id else 200
        warnings = {"warnings": upload.warnings} if upload.warnings else {}
        return JSONResponse({"id": stored.id, "state": stored.state.value, **warnings}, status)

    async def _refuse(self, request: Request, refused: BodyRefused) -> Response:
        if "expect" not in request.headers:
            with suppress(TimeoutError, ClientDisconnect):
                async with asyncio.timeout(DRAIN):
                    while (await request.receive()).get("more_body"):
                        pass
        return _reject(refused.status, refused.code, refused.message)


def _full_disk() -> Response:
    return _reject(503, "UNAVAILABLE", "the disk of this server is full: try again later")


def _too_slow() -> UploadIncomplete:
    return UploadIncomplete(408, "the upload took too long")


def _disk_full(recording: Recording, error: OSError) -> UploadIncomplete:
    _log.error("upload not written: disk error", error=error.strerror, recording_id=recording.id)
    reason = "is full" if is_disk_full(error) else "cannot be written"
    return UploadIncomplete(503, f"the disk of this server {reason}: try again later")


def _reject(status: int, code: str, message: str) -> Response:
    # The rest of the body is not read, so the connection cannot be used again.
    headers = {"Connection": "close"} | ({"Retry-After": str(RETRY_AFTER)} if status in {429, 503} else {})
    if code == "UNSUPPORTED_CODING":
        # RFC 9110, section 12.5.3: the codings that a new request may use.
        headers["Accept-Encoding"] = CODINGS
    return error_response(status, code, message, headers)
