"""Check the SHA-256 of a body that is sent whole, so that damaged audio never looks like a complete download."""

from collections.abc import AsyncGenerator, AsyncIterator
from hashlib import sha256

from recordings.model.recording import Media
from recordings.ports.audio import MediaDamaged


async def verified(chunks: AsyncIterator[bytes], media: Media) -> AsyncGenerator[bytes]:
    """Return the chunks of the whole audio. The last bytes are returned only if the length and the SHA-256 are right.

    Raises:
        MediaDamaged: they are not. A client that has received a part sees a broken connection.
    """
    digest, length, last = sha256(), 0, b""
    try:
        async for chunk in chunks:
            length += len(chunk)
            if length > media.length:
                raise MediaDamaged(media.url)
            digest.update(chunk)
            if length < media.length:
                yield chunk
            else:
                last = chunk
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if length != media.length or digest.hexdigest() != media.sha256:
        raise MediaDamaged(media.url)
    if last:
        yield last
