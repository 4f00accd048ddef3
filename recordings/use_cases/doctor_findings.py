"""The findings of the doctor, and the state of one examination."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from recordings.model.fields import MediaRow, RecordingRow
from recordings.model.installation import Installation
from recordings.model.recording import IN_PROGRESS, State
from recordings.ports.audio import StoredObject
from recordings.rules.media_keys import DIGEST, id_of, is_digest, location_of
from recordings.use_cases.orphan_audio import Orphans

_MOST_DIGESTS: Final = 100_000
_MAX_LOCATIONS: Final = 10_000
_BUSY: Final = IN_PROGRESS | {State.FINALIZING}


class Issue(StrEnum):
    """A kind of difference between the metadata and the stores."""

    MISSING_AUDIO = "MISSING_AUDIO"
    """A recording's audio does not exist. Repair: the recording becomes `LOST`."""
    WRONG_LENGTH = "WRONG_LENGTH"
    WRONG_HASH = "WRONG_HASH"
    ORPHAN_AUDIO = "ORPHAN_AUDIO"
    """Old audio that belongs to no recording. Repair: it is deleted, unless its recording is `LOST`."""
    COPY = "COPY"
    """Audio that its recording has at another URL: after a move of stores, or because one store has two names."""
    DEAD_SERVER = "DEAD_SERVER"
    """An unfinished recording whose server is not running. `Servers.forget` ends it."""
    STALE_SPOOL = "STALE_SPOOL"
    """Audio in this node's spool that no recording needs. Repair: it is removed if its recording is finished."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One issue, and whether it was repaired."""

    issue: Issue
    recording_id: str | None
    url: str | None
    detail: str
    repaired: bool = False


Progress = Callable[[str, int, int | None], None]
"""Called now and then: the kind of item (`recordings`, `objects`, `spool`), the number of examined items, and the total
number, if that is known."""


class Notes:
    """Receives what an examination could not do. Override the methods that you need."""

    def not_listed(self, location: str, reason: str) -> None:
        """Note a store, or a part of it, that could not be listed. Orphans there are not found."""

    def not_examined(self, url: str, reason: str) -> None:
        """Note audio of a recording that could not be examined."""

    def not_deleted(self, location: str, reason: str) -> None:
        """Note a store that looks wrong. For this reason, no audio is deleted from any store."""

    def not_own(self, name: str) -> None:
        """Note a file or a folder that this service did not make. It is left alone."""


class Examination:
    """The options and the state of one examination."""

    def __init__(
        self,
        *,
        share: float,
        repair: bool = False,
        orphans: Orphans[Finding] | None = None,
        progress: Progress | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.repair = repair
        self.orphans = orphans or Orphans(0, Installation("", 0))
        self.share = share
        self.progress: Progress = progress or (lambda _what, _done, _total: None)
        self.notes = notes or Notes()
        self.lost = 0
        self.listed = 0
        self.locations: set[str] = set()
        self.examined: list[str] = []
        self.unreachable: set[str] = set()
        """The storage providers that could not be examined."""
        self._digests: set[bytes] | None = set()

    def note(self, rows: Sequence[RecordingRow]) -> None:
        """Remember the stores in URLs, and the keys that do not contain their recording's id, up to a limit."""
        for row in rows:
            if provider_in(row) is not None:
                # This service stores and deletes nothing there.
                continue
            url = media_of(row)["url"]
            name, location = id_of(url), location_of(url, row["id"], row["account_id"])
            if location is not None and len(self.locations) < _MAX_LOCATIONS:
                self.locations.add(location)
            if name is not None and name != row["id"] and len(name) == DIGEST and self._digests is not None:
                self._digests.add(bytes.fromhex(name) if is_digest(name) else name.encode())
                if len(self._digests) > _MOST_DIGESTS:
                    self._digests = None

    def knows(self, name: str) -> bool:
        """Return true if a key with a digest belongs to a recording, or may belong to one."""
        if not is_digest(name):
            return False
        return self._digests is None or bytes.fromhex(name) in self._digests


def lasting_state(row: RecordingRow) -> State:
    """Return the state of a recording, or, if it is in the trash, the state that it had before."""
    return State((row["state"] == State.TRASHED and row["trashed_from"]) or row["state"])


def media_of(row: RecordingRow) -> MediaRow:
    """Return the media of a row that has some."""
    return cast("MediaRow", row["media"])


def provider_in(row: RecordingRow) -> str | None:
    """Return the storage provider that keeps the audio of a row with media; `None` if this service keeps it."""
    # Media that earlier releases stored have no such field.
    return media_of(row).get("place")


def file_name(url: str) -> str:
    """Return the last part of the path of a URL."""
    return url.rpartition("/")[2]


def finding_of(item: StoredObject, identity: str, row: RecordingRow | None) -> Finding | None:
    """Return the finding for an object whose recording is this row; `None` if there is no issue."""
    if row is not None and State(row["state"]) in _BUSY:
        return None
    media = None if row is None else row["media"]
    if media is None:
        detail = "no recording has this id" if row is None else f"its recording is {row['state']} and has no audio"
        return Finding(Issue.ORPHAN_AUDIO, identity, item.url, detail)
    if item.url in {media["url"], media.get("former_url")}:
        return None
    if file_name(media["url"]) == file_name(item.url):
        return Finding(Issue.COPY, identity, item.url, f"its recording has it at {media['url']}")
    return Finding(Issue.ORPHAN_AUDIO, identity, item.url, f"its recording has {media['url']}")
