"""Copy stored audio from one store to another: the bytes are hashed on the way, and read back from the target."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from adapters.media.open_store import Store
from adapters.media.store_errors import MediaFaultError
from recordings.ports.audio import MediaDamaged


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes that an object must have."""

    length: int
    sha256: str
    content_type: str = "application/octet-stream"


async def copy_verified(chunks: AsyncIterator[bytes], content: Content, store: Store, key: str) -> str:
    """Store these bytes under a key, and read them back. Return the URL.

    Raises:
        MediaMissing: the source does not exist.
        MediaDamaged: the source has other bytes. Nothing is stored.
        MediaFaultError: a store failed, or the target returns other bytes.
    """
    with tempfile.NamedTemporaryFile(prefix="recordings-copy-") as file:
        digest, length = hashlib.sha256(), 0
        async for chunk in chunks:
            digest.update(chunk)
            length += len(chunk)
            await asyncio.to_thread(file.write, chunk)
        if (length, digest.hexdigest()) != (content.length, content.sha256):
            raise MediaDamaged
        file.flush()
        url = await store.put(key, file.name, content.content_type)
    if not await has_content(store, url, content):
        raise MediaFaultError(f"the store returns other bytes than it has received for {url}")
    return url


async def put_file(path: Path, store: Store, key: str) -> Content:
    """Store a file of this machine under a key, and read it back. Return its content."""
    length, digest = await asyncio.to_thread(_digest, path)
    content = Content(length, digest)
    url = await store.put(key, str(path), content.content_type)
    if not await has_content(store, url, content):
        raise MediaFaultError(f"the store returns other bytes than it has received for {url}")
    return content


async def has_content(store: Store, url: str, content: Content) -> bool:
    """Return true if an object has these bytes. All of it is read. Raise `MediaMissing` if there is none."""
    digest, length = hashlib.sha256(), 0
    async for chunk in store.read(url):
        digest.update(chunk)
        length += len(chunk)
    return (length, digest.hexdigest()) == (content.length, content.sha256)


def _digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
