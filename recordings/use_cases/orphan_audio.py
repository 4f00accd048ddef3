"""The decision whether the doctor may delete audio that no recording has.

Audio without a recording may also mean that the metadata is wrong: it was lost, restored, or belongs to another
installation. So the doctor first examines all stores. It deletes files only if none of them looks wrong, and never more
than the operator allowed.
"""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from recordings.model.installation import Installation
from recordings.model.instants import Millis, to_iso
from recordings.ports.audio import ExaminedMedia, MediaStoreUnavailableError, StoredObject
from recordings.rules.media_keys import id_of

Item = TypeVar("Item")
SMALL_SHARE: Final = 10
"""At most one of this many files of a store may be without a recording. One file is always allowed."""


class Orphans(Generic[Item]):
    """The audio without a recording that one examination found. At most `limit` items are candidates for deletion."""

    def __init__(self, limit: int, installation: Installation) -> None:
        self._limit = limit
        self._installation = installation
        self._audio = 0
        self._orphans = 0
        self._oldest: Millis | None = None
        self.candidates: list[tuple[StoredObject, Item]] = []
        self.refusals: list[tuple[str, str]] = []
        """Each store that looks wrong, and the reason. If there is one, nothing is deleted."""

    def count(self, audio: int) -> None:
        """Count audio files of the current store."""
        self._audio += audio

    def add(self, item: StoredObject, finding: Item) -> bool:
        """Add audio without a recording. Return true if it is a candidate for deletion, which is reported later."""
        # An incomplete transfer is not the audio of any recording.
        self._orphans += id_of(item.url) is not None
        if item.modified is not None and (self._oldest is None or item.modified < self._oldest):
            self._oldest = item.modified
        if len(self.candidates) >= self._limit:
            return False
        self.candidates.append((item, finding))
        return True

    async def finish(self, location: str, media: ExaminedMedia) -> None:
        """Check the current store after its last file."""
        self.refusals += [(location, reason) for reason in await self._reasons(location, media)]
        self._audio = self._orphans = 0
        self._oldest = None

    async def _reasons(self, location: str, media: ExaminedMedia) -> Sequence[str]:
        if self._oldest is None:
            return ()
        reasons = []
        if self._orphans > max(1, self._audio // SMALL_SHARE):
            reasons.append(f"{self._orphans} of its {self._audio} audio files belong to no recording")
        if self._oldest < self._installation.created:
            reasons.append(f"it has audio that is older than the metadata store ({to_iso(self._installation.created)})")
        try:
            owner = await media.owner_of(location)
        except MediaStoreUnavailableError as error:
            reasons.append(f"its installation mark cannot be read: {error}")
        else:
            if owner not in {None, self._installation.id}:
                reasons.append(f"its installation mark names another installation ({owner})")
        return reasons
