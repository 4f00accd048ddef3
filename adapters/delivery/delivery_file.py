"""The file of a delivery: the stored audio, complete and unchanged."""

import asyncio
from asyncio import Task
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256

from adapters.delivery.target_url import file_name, query_parameters
from recordings.model.recording import Media, Recording
from recordings.rules.webhook_signature import MessageSignature

Read = Callable[[str], AsyncIterator[bytes]]
"""`MediaStore.read` of the whole audio."""


class SourceError(Exception):
    """The stored audio cannot be read, or does not match its digest. The receiver is not the cause."""


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """A stored recording and the id of its delivery, which is the same for all attempts."""

    recording: Recording
    media: Media
    delivery_id: str
    read: Read

    @property
    def name(self) -> str:
        """The file name."""
        return file_name(self.recording)

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The query parameters that describe the recording."""
        return query_parameters(self.recording)

    def headers(self) -> dict[str, str]:
        """Return the HTTP headers. A receiver recognizes a repeated delivery by its id. RFC 9530 defines the digest."""
        digest = b64encode(bytes.fromhex(self.media.sha256)).decode()
        return {
            "Content-Type": self.media.content_type,
            "Content-Length": str(self.media.length),
            "Repr-Digest": f"sha-256=:{digest}:",
            "Recording-Delivery-Id": self.delivery_id,
        }

    async def signature(self, keys: Sequence[bytes], timestamp: int) -> dict[str, str]:
        """Return the headers with the signature of the body. This reads the audio once more, in bounded memory.

        Raises:
            SourceError: as in `body`.
        """
        signature = MessageSignature(keys, self.delivery_id, timestamp)
        async with aclosing(self.body()) as chunks:
            async for chunk in chunks:
                signature.update(chunk)
        return signature.headers()

    async def body(self) -> AsyncGenerator[bytes, None]:
        """Yield the audio. The next chunk is read while one is sent.

        The last chunk is only yielded if the whole audio has the stored length and digest. A receiver therefore never
        gets a wrong file that looks complete.

        Raises:
            SourceError: the audio cannot be read, or does not match its length and digest.
        """
        digest, length, pending = sha256(), 0, b""
        async with aclosing(_read_ahead(self.read(self.media.url))) as chunks:
            async for chunk in chunks:
                if (length := length + len(chunk)) > self.media.length:
                    break
                if pending:
                    yield pending
                digest.update(chunk)
                pending = chunk
        if (length, digest.hexdigest()) != (self.media.length, self.media.sha256):
            raise SourceError(f"the stored audio does not match its digest: {length} of {self.media.length} bytes")
        if pending:
            yield pending


async def _read_ahead(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    upcoming: Task[bytes | None] = asyncio.ensure_future(_next(chunks))
    try:
        while (chunk := await upcoming) is not None:
            upcoming = asyncio.ensure_future(_next(chunks))
            yield chunk
    finally:
        upcoming.cancel()
        await asyncio.wait([upcoming])
        if not upcoming.cancelled():
            upcoming.exception()
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await anext(chunks, None)
    except Exception as error:
        raise SourceError(f"the stored audio cannot be read: {type(error).__name__}") from error
