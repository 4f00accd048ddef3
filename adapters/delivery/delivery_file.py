"""What is sent: the stored audio, never half and never changed."""

import asyncio
from asyncio import Task
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256

from adapters.delivery.target_url import file_name, query_of
from recordings.model.recording import Media, Recording

Read = Callable[[str], AsyncIterator[bytes]]
"""`MediaStore.read` of the whole."""


class SourceError(Exception):
    """The stored audio cannot be read, or is not what was stored. The receiver is not to blame."""


@dataclass(frozen=True, slots=True)
class DeliveryFile:
    """A stored recording on its way, under a delivery's id that stays the same over all attempts."""

    recording: Recording
    media: Media
    delivery_id: str
    read: Read

    @property
    def name(self) -> str:
        """The name of its file."""
        return file_name(self.recording)

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """What is told of it."""
        return query_of(self.recording)

    def headers(self) -> dict[str, str]:
        """What goes with it over HTTP. A receiver tells a repetition by the delivery's id (RFC 9530 for the digest)."""
        digest = b64encode(bytes.fromhex(self.media.sha256)).decode()
        return {
            "Content-Type": self.media.content_type,
            "Content-Length": str(self.media.length),
            "Repr-Digest": f"sha-256=:{digest}:",
            "Recording-Delivery-Id": self.delivery_id,
        }

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The audio; while one chunk is sent the next one comes.

        The last chunk is only given when all of them are what was stored: a receiver never gets a whole wrong file.

        Raises:
            SourceError: it cannot be read, or is something else.
        """
        digest, length, held = sha256(), 0, b""
        async with aclosing(_ahead(self.read(self.media.url))) as chunks:
            async for chunk in chunks:
                if (length := length + len(chunk)) > self.media.length:
                    break
                if held:
                    yield held
                digest.update(chunk)
                held = chunk
        if (length, digest.hexdigest()) != (self.media.length, self.media.sha256):
            raise SourceError(f"the stored audio is not what was stored: {length} bytes of {self.media.length}")
        if held:
            yield held


async def _ahead(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    coming: Task[bytes | None] = asyncio.ensure_future(_next(chunks))
    try:
        while (chunk := await coming) is not None:
            coming = asyncio.ensure_future(_next(chunks))
            yield chunk
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await anext(chunks, None)
    except Exception as error:
        raise SourceError(f"the stored audio cannot be read: {type(error).__name__}") from error
