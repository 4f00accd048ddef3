"""Check a media store before it is used: write, read back and delete a test object."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from graph.server.log_setup import scrub
from graph.services import Services
from recordings.model.ids import new_secret
from recordings.ports.audio import MediaAccessError
from recordings.use_cases.account_settings import check_media_url

_CONTENT: Final = b"A test of this media store. This object can be deleted.\n"


class MediaStoreCheckError(Exception):
    """A media store does not work. The message gives the reason."""


async def check_media_store(services: Services, account_id: str, url: str) -> None:
    """Write, read and delete a small object at a URL, in the same way as the account's audio.

    Raises:
        InvalidInput: the URL is not absolute, or contains a password.
        MediaStoreCheckError: the media store does not work.
    """
    check_media_url(url)
    try:
        store = services.media.include(url)
        with tempfile.TemporaryDirectory(dir=services.settings.data) as folder:
            path = Path(folder) / "check"
            await asyncio.to_thread(path.write_bytes, _CONTENT)
            written = await store.put(f"{account_id}/trial/{new_secret()[:32]}.txt", str(path), "text/plain")
        read = b"".join([chunk async for chunk in store.read(written)])
        await store.delete(written)
        try:
            remaining_length = await store.length(written)
        except MediaAccessError:
            # Credentials that may not list cannot see that an object does not exist.
            remaining_length = None
    except Exception as error:
        reason = scrub(str(error)) or type(error).__name__
        message = f"{url} cannot store audio: {reason}"
        raise MediaStoreCheckError(message) from error
    if read != _CONTENT or remaining_length is not None:
        reason = "it returned other bytes than were written" if read != _CONTENT else "it did not delete an object"
        message = f"{url} cannot store audio: {reason}"
        raise MediaStoreCheckError(message)
