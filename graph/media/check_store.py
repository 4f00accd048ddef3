"""Trying a place for audio out: what cannot be written, read back and deleted there is no place for recordings."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from graph.server.log_setup import scrub
from graph.services import Services
from recordings.model.account import Account
from recordings.model.ids import new_secret
from recordings.use_cases.account_settings import check_place

_BYTES: Final = b"A trial of this place for audio. It can be deleted.\n"


class PlaceFailedError(Exception):
    """A place does not work; the message says how."""


async def try_place(services: Services, account: Account, url: str) -> None:
    """Write, read and delete a small object at a place, as the account's audio will be.

    Raises:
        InvalidInput: it is no absolute URL without a password.
        PlaceFailedError: it does not work.
    """
    check_place(url)
    try:
        store = services.media.include(url)
        with tempfile.TemporaryDirectory(dir=services.settings.data) as folder:
            path = Path(folder) / "trial"
            await asyncio.to_thread(path.write_bytes, _BYTES)
            written = await store.put(f"{account.id}/trial/{new_secret()[:32]}.txt", str(path), "text/plain")
        read = b"".join([chunk async for chunk in store.read(written)])
        await store.delete(written)
        left = await store.length(written)
    except Exception as error:
        said = scrub(str(error)) or type(error).__name__
        message = f"{url} is no place for audio: {said}"
        raise PlaceFailedError(message) from error
    if read != _BYTES or left is not None:
        how = "gives back other bytes than it got" if read != _BYTES else "keeps what was deleted"
        message = f"{url} is no place for audio: it {how}"
        raise PlaceFailedError(message)
