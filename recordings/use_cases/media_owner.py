"""The check whether a media store belongs to this installation, before the first audio is stored in it."""

from collections.abc import AsyncIterator
from typing import Final, Protocol

from recordings.model.instants import to_iso
from recordings.ports.account_stores import LocationStore
from recordings.ports.audio import MediaAccessError, StoredObject
from recordings.rules.media_keys import id_of

_EXAMINED: Final = 1_000
"""How many objects of a store are examined, if it has no mark."""


class MarkedMedia(Protocol):
    """The media stores, with the methods that this check needs."""

    async def owner_of(self, location: str) -> str | None:
        """Return the id of the installation that marked a store; `None` if there is no mark."""

    async def mark(self, location: str, installation_id: str) -> None:
        """Write the mark of an installation into a store."""

    def objects_at(self, location: str) -> AsyncIterator[StoredObject] | None:
        """Return all objects in a store; `None` if it cannot list them."""


async def check_owner(location: str, store: LocationStore, media: MarkedMedia) -> str | None:
    """Return why a media store seems to belong to another installation; `None` if it does not.

    A store without a mark and without older audio gets the mark of this installation. Raises the errors of the stores.
    """
    installation = await store.installation()
    try:
        owner = await media.owner_of(location)
    except MediaAccessError:
        # With credentials that may not list, a store rejects to read an object that does not exist. If this server may
        # write, but never read, audio could not be played: then the second read fails, too.
        await media.mark(location, installation.id)
        owner = await media.owner_of(location)
    if owner == installation.id:
        return None
    since = f"this metadata store was created at {to_iso(installation.created)}"
    advice = "check that the metadata was not lost or moved; if you restored it from a backup, restore all of it"
    if owner is not None:
        return f"the media store has the mark of another installation, and {since}: {advice}"
    if await _has_older_audio(media.objects_at(location), installation.created):
        return f"the media store has audio that is older than the metadata, and {since}: {advice}"
    if owner is None:
        await media.mark(location, installation.id)
    return None


async def _has_older_audio(objects: AsyncIterator[StoredObject] | None, created: int) -> bool:
    if objects is None:
        return False
    number = 0
    async for item in objects:
        if id_of(item.url) is not None and item.modified is not None and item.modified < created:
            return True
        number += 1
        if number >= _EXAMINED:
            break
    return False
