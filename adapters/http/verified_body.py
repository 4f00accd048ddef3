"""Check the SHA-256 of a body that is sent whole, so that damaged audio never looks like a complete download."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from adapters.http.body_digests import BodyDigests
from adapters.http.fastest_zlib import fastest_zlib
from adapters.http.streaming_response import prepend
from recordings.model.recording import Media
from recordings.ports.audio import AudioFile, Chunk, FilePart, MediaDamaged, ObjectPart, ObjectVersion

PIECE: Final = 256 * 1024
"""Maximum bytes of a file that are read at a time."""


async def verified(chunks: AsyncIterator[Chunk], media: Media) -> AsyncGenerator[Chunk]:
    """Return the chunks of the whole audio. The last bytes are returned only if the length and the SHA-256 are right.

    The SHA-256 of a file, or of a version of an object, is computed once. Then the parts of an unchanged file are
    returned without a read, and the bytes of an unchanged object are compared by their CRC-32.

    Raises:
        MediaDamaged: they are not. A client that has received a part sees a broken connection.
    """
    first = await anext(chunks, None)
    if first is None:
        raise MediaDamaged(media.url)
    whole = prepend(first, chunks)
    if isinstance(first, FilePart) and first.file.is_verified(media.sha256):
        return _unchanged_file(whole, media, first.file)
    if isinstance(first, ObjectPart) and (checksum := first.version.checksum(media.sha256)) is not None:
        return _unchanged_object(whole, media, checksum)
    return _hashed(whole, media, first)


async def _unchanged_file(chunks: AsyncGenerator[Chunk], media: Media, file: AudioFile) -> AsyncGenerator[Chunk]:
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


async def _unchanged_object(chunks: AsyncGenerator[Chunk], media: Media, checksum: int) -> AsyncGenerator[Chunk]:
    """Return the bytes of an object with a known digest, the last ones only if the CRC-32 of all bytes is right."""
    length, computed = 0, 0
    async with aclosing(chunks):
        async for chunk in chunks:
            for data in _pieces(chunk):
                length += len(data)
                computed = fastest_zlib.crc32(data, computed)
                if length > media.length or (length == media.length and computed != checksum):
                    raise MediaDamaged(media.url)
                yield data
    if length != media.length:
        raise MediaDamaged(media.url)


async def _hashed(chunks: AsyncGenerator[Chunk], media: Media, first: Chunk) -> AsyncGenerator[Chunk]:
    """Return the bytes of the chunks. If all of them are from one source, its digest is known afterwards."""
    source, is_one_source = _source_of(first), True
    digests, length, last = BodyDigests(checksum=isinstance(first, ObjectPart)), 0, b""
    async with aclosing(chunks):
        async for chunk in chunks:
            is_one_source = is_one_source and _source_of(chunk) is source
            for data in _pieces(chunk):
                length += len(data)
                if length > media.length:
                    raise MediaDamaged(media.url)
                await digests.add(data)
                if length < media.length:
                    yield data
                else:
                    last = data
    if length != media.length or await digests.sha256() != media.sha256:
        raise MediaDamaged(media.url)
    if is_one_source and isinstance(first, FilePart):
        first.file.note_verified(media.sha256)
    elif is_one_source and isinstance(first, ObjectPart):
        first.version.note_verified(media.sha256, digests.checksum)
    yield last


def _pieces(chunk: Chunk) -> Iterator[bytes]:
    """Yield the bytes of a chunk. A part of a file notes how many of them the client has got."""
    if isinstance(chunk, ObjectPart):
        yield chunk.data
        return
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


def _source_of(chunk: Chunk) -> AudioFile | ObjectVersion | None:
    match chunk:
        case FilePart():
            return chunk.file
        case ObjectPart():
            return chunk.version
        case _:
            return None
