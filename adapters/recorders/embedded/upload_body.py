"""Read the file in the body of an upload, in small chunks. Packed bodies are unpacked, and forms are parsed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from adapters.recorders.dialects.content_coding import CODINGS, DamagedCoding, Unpacker, unpacker
from adapters.recorders.dialects.kazoo_upload import KNOWN_PARAMETERS, ReceivedFile
from adapters.recorders.dialects.not_a_file import FORM, HEAD, SEND, RemovedBytes, describe, is_suspicious
from adapters.recorders.embedded.recorder_limits import Limits

if TYPE_CHECKING:
    from adapters.recorders.dialects.multipart_form import MultipartForm

MULTIPART: Final = "multipart/form-data"
FORM_OVERHEAD: Final = 1_048_576
"""How many bytes more than `max_body` a form may have."""


class BodyRefused(Exception):  # noqa: N818 - an expected result
    """The body cannot be an upload. Nothing of it is stored. The values are those of the response."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class UploadIncomplete(Exception):  # noqa: N818 - an expected result
    """The body is incomplete. `status` is the HTTP status of the response."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class UploadBody:
    """The body of one request. Use `read_head` if `needs_head`, and then `chunks`.

    `content_length` is the length of the file, if the request has it.

    Raises:
        BodyRefused: the service cannot unpack the body.
    """

    def __init__(self, request: Request, limits: Limits) -> None:
        headers = request.headers
        self._request = request
        self._limits = limits
        self._media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._form = _form(headers, self._media_type)
        self._removed = RemovedBytes() if self._media_type == FORM else None
        self._coding = _coding(headers)
        self._received = 0
        self._sent = _content_length(headers)
        self._head: list[bytes] = []
        self._source: AsyncIterator[bytes] | None = None
        is_plain = self._form is None and not headers.get("content-encoding")
        self.content_length = self._sent if is_plain else None
        self.file = ReceivedFile(content_type=headers.get("content-type", ""))

    @property
    def needs_head(self) -> bool:
        """Whether the body may be no file, or has parameters of the upload."""
        return self._form is not None or is_suspicious(self._media_type)

    def check_length(self, max_body: int) -> bool:
        """Return true if the body may be short enough."""
        return self._sent is None or self._sent <= max_body + (FORM_OVERHEAD if self._form is not None else 0)

    async def read_head(self) -> None:
        """Read the body until it is clear that there is a file, and set `file`.

        Raises:
            BodyRefused: there is no file.
            UploadIncomplete: the connection broke, or no data was received.
        """
        self._source = self._file_bytes()
        while self._form.file is None if self._form is not None else sum(map(len, self._head)) < HEAD:
            chunk = await anext(self._source, None)
            if chunk is None:
                break
            self._head.append(chunk)
        if self._form is not None:
            self._open_form(self._form)
        elif (problem := describe(self._media_type, b"".join(self._head))) is not None:
            raise BodyRefused(415, "NOT_A_FILE", problem)

    def _open_form(self, form: "MultipartForm") -> None:
        if form.file is None:
            raise BodyRefused(400, "NOT_A_FILE", f"the form has no file: use curl -F file=@FILE, or {SEND}")
        self.file = ReceivedFile(form.file.content_type, form.file.name, tuple(form.fields))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file.

        Raises:
            BodyRefused: the body is not a file.
            UploadIncomplete: the connection broke, no data was received, or the body is damaged or too short.
        """
        source = self._source or self._file_bytes()
        head, self._head = self._head, []
        for chunk in head:
            yield chunk
        async for chunk in source:
            yield chunk
        if self._sent is not None and self._received != self._sent:
            raise UploadIncomplete(400, f"{self._received} of {self._sent} bytes were received")
        if self._removed is not None and (problem := self._removed.problem) is not None:
            raise BodyRefused(415, "NOT_A_FILE", problem)
        if self._form is not None:
            _check_end(self._form)

    async def _file_bytes(self) -> AsyncIterator[bytes]:
        async for packed in self._received_chunks():
            for chunk in self._unpacked(self._coding.feed(packed)):
                yield chunk
        for chunk in self._unpacked(self._coding.finish()):
            yield chunk

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                chunk = piece if self._form is None else _feed(self._form, piece)
                if self._removed is not None:
                    self._removed.feed(chunk)
                # An empty chunk lets `read_head` look at the form.
                if chunk or self._form is not None:
                    yield chunk
        except DamagedCoding as error:
            raise UploadIncomplete(400, str(error)) from error

    async def _received_chunks(self) -> AsyncIterator[bytes]:
        received, time = self._request.stream(), asyncio.get_running_loop().time
        limits, waited, arrived = self._limits, 0.0, 0
        enough = limits.min_speed * limits.speed_window
        while True:
            # Only the time in which this server waits for the sender counts.
            started, wait = time(), limits.body_idle
            if arrived < enough:
                wait = min(wait, limits.speed_window - waited)
            try:
                async with asyncio.timeout(wait):
                    chunk = await anext(received, None)
            except TimeoutError as error:
                raise self._too_slow(wait) from error
            except ClientDisconnect as error:
                raise UploadIncomplete(400, "the connection broke before the body was complete") from error
            if chunk is None:
                return
            waited, arrived = waited + time() - started, arrived + len(chunk)
            if waited >= limits.speed_window:
                if arrived < enough:
                    raise self._too_slow(limits.speed_window)
                waited, arrived = 0.0, 0
            self._received += len(chunk)
            if chunk:
                yield chunk

    def _too_slow(self, wait: float) -> UploadIncomplete:
        if wait >= self._limits.body_idle:
            return UploadIncomplete(408, f"no data was received for {wait:g} seconds")
        limit = f"{self._limits.min_speed} bytes per second on average (--upload-min-speed)"
        return UploadIncomplete(408, f"the upload is too slow: it must send at least {limit}")


def _form(headers: Headers, media_type: str) -> "MultipartForm | None":
    if not media_type.startswith("multipart/"):
        return None
    # Few senders use forms: their parser is loaded when the first one arrives.
    from adapters.recorders.dialects.multipart_form import InvalidForm, MultipartForm, boundary_of

    boundary = boundary_of(headers["content-type"])
    if media_type != MULTIPART or not boundary:
        raise BodyRefused(415, "NOT_A_FILE", f"the body is {media_type} without a file in a form: {SEND}")
    try:
        return MultipartForm(boundary)
    except InvalidForm as error:
        raise BodyRefused(400, "INVALID_FORM", str(error)) from error


def _feed(form: "MultipartForm", piece: bytes) -> bytes:
    from adapters.recorders.dialects.multipart_form import InvalidForm

    try:
        return form.feed(piece)
    except InvalidForm as error:
        raise BodyRefused(400, "INVALID_FORM", str(error)) from error


def _check_end(form: "MultipartForm") -> None:
    if late := sorted(KNOWN_PARAMETERS.intersection(form.late_fields)):
        raise BodyRefused(400, "INVALID_FORM", f"the fields {', '.join(late)} must come before the file in the form")
    if not form.is_complete:
        raise UploadIncomplete(400, "the form ended before its last boundary")


def _coding(headers: Headers) -> Unpacker:
    given = ", ".join(headers.getlist("content-encoding"))
    coding = unpacker(given)
    if coding is None:
        message = f"Content-Encoding {given[:64]!r} is not supported, only {CODINGS}: {SEND}"
        raise BodyRefused(415, "UNSUPPORTED_CODING", message)
    return coding


def _content_length(headers: Headers) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None
