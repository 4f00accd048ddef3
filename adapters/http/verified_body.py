"""Check the SHA-256 of a body that is sent whole, so that damaged audio never looks like a complete download."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from hashlib import sha256
from typing import Final

from adapters.http.streaming_response import prepend
from recordings.model.recording import Media
from recordings.ports.audio import AudioFile, Chunk, FilePart, MediaDamaged

PIECE: Final = 256 * 1024
"""Maximum bytes that are hashed at a time."""


async def verified(chunks: AsyncIterator[Chunk], media: Media) -> AsyncGenerator[Chunk]:
    """Return the chunks of the whole audio. The last bytes are returned only if the length and the SHA-256 are right.

    The digest of a file is computed once. While the file stays unchanged, its parts are returned without a read.

    Raises:
        MediaDamaged: they are not. A client that has received a part sees a broken connection.
    """
    first = await anext(chunks, None)
    if first is None:
        raise MediaDamaged(media.url)
    file = _file_of(first)
    if file is not None and file.is_verified(media.sha256):
        return _unchanged(prepend(first, chunks), media, file)
    return _hashed(prepend(first, chunks), media, file)


async def _unchanged(chunks: AsyncGenerator[Chunk], media: Media, file: AudioFile) -> AsyncGenerator[Chunk]:
    """Return the chunks of a file with a known digest, the last one only if the file is still unchanged."""
    length = 0
    async with aclosing(chunks):
        async for chunk in chunks:
            length += len(chunk)
            if length > media.length or (length == media.length and not file.is_verified(media.sha256)):
                raise MediaDamaged(media.url)
            yield chunk
    if length != media.length:
        raise MediaDamaged(media.url)


async def _hashed(chunks: AsyncGenerator[Chunk], media: Media, file: AudioFile | None) -> AsyncGenerator[Chunk]:
    """Return the bytes of the chunks. If all of them are parts of one file, its digest is known afterwards."""
    digest, length, last = sha256(), 0, b""
    async with aclosing(chunks):
        async for chunk in chunks:
            if file is not _file_of(chunk):
                file = None
            for data in _pieces(chunk):
                length += len(data)
                if length > media.length:
                    raise MediaDamaged(media.url)
                digest.update(data)
                if length < media.length:
                    yield data
                    continue
                last = data
                if file is not None and digest.hexdigest() == media.sha256:
                    file.note_verified(media.sha256)
    if length != media.length or digest.hexdigest() != media.sha256:
        raise MediaDamaged(media.url)
    yield last


def _pieces(chunk: Chunk) -> Iterator[bytes]:
    """Yield the bytes of a chunk. A part of a file notes how many of them the client has got."""
    if not isinstance(chunk, FilePart):
        yield chunk
        return
    while chunk.sent < len(chunk):
        start = chunk.start + chunk.sent
        data = chunk.file.read_now(start, min(start + PIECE, chunk.end))
        yield data
        chunk.sent += len(data)
        if not data:
            return


def _file_of(chunk: Chunk) -> AudioFile | None:
    return chunk.file if isinstance(chunk, FilePart) else None
