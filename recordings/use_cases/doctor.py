"""The doctor: compares the metadata with the media stores and the spool, and makes safe repairs.

It works page by page, in both directions. It checks the URL of each recording in the media store. It cannot compare two
sorted lists, because the recordings of an installation may be in several stores. Then it checks each stored object: the
object's key contains the id of its recording. An error of a store ends the examination; it is not missing audio.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, cast

from recordings.model.errors import Refused
from recordings.model.events import Missing
from recordings.model.fields import MediaRow, RecordingRow
from recordings.model.instants import DAY, Millis
from recordings.model.query import MAX_PAGE, HasMedia, Query
from recordings.model.recording import IN_PROGRESS, Shelf, State
from recordings.ports.account_stores import all_accounts, all_places
from recordings.ports.audio import ExaminedMedia, MediaMissing, Spool, StoredObject
from recordings.ports.process import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.lifecycle import is_being_purged
from recordings.rules.media_keys import DIGEST, id_of, is_digest, place_of, plain_place
from recordings.use_cases.save_event import RecordingWriter

SAFETY: Final = DAY
"""Minimum age of an orphan. The row of an object that was just stored may not have its URL yet."""
MOST_LOST: Final = 100
"""How many recordings one examination marks as `LOST`. If more are missing, the store itself may be wrong."""
_MOST_DIGESTS: Final = 100_000
_MOST_PLACES: Final = 10_000
_NO_LISTING: Final = "this kind of store cannot list its objects"
_BUSY: Final = IN_PROGRESS | {State.FINALIZING}
_DONE: Final = frozenset({State.STORED, State.DISCARDED, State.PURGED})


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


Note = Callable[[str, str], None]
"""Called for each store that could not be listed, with the reason. Orphans in that store are not found."""


class Doctor:
    """Examines one installation from one node. `safety` is in milliseconds. `discard` is the audio processor's."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        media: ExaminedMedia,
        spool: Spool,
        clock: Clock,
        safety: Millis = SAFETY,
        discard: Callable[[str], Awaitable[None]] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._media = media
        self._spool = spool
        self._clock = clock
        self._safety = safety
        self._discard = discard
        self._chance = chance

    async def examine(
        self,
        *,
        repair: bool = False,
        verify: float = 0.0,
        progress: Progress | None = None,
        not_listed: Note | None = None,
    ) -> AsyncIterator[Finding]:
        """Return all issues. `verify` is the share of recordings (0 to 1) whose audio is read and hashed."""
        examination = _Examination(repair, verify, progress, not_listed)
        async for finding in self._examine_recordings(examination):
            yield finding
        async for finding in self._examine_objects(examination):
            yield finding
        async for finding in self._examine_spool(examination):
            yield finding

    async def verify(self, share: float = 1.0, progress: Progress | None = None) -> AsyncIterator[Finding]:
        """Read and hash the audio of a share of the recordings (1: all). Nothing is changed."""
        examination = _Examination(False, share, progress)  # noqa: FBT003
        async for finding in self._examine_recordings(examination):
            yield finding

    # From the metadata to the media stores

    async def _examine_recordings(self, examination: "_Examination") -> AsyncIterator[Finding]:
        total = sum([await self._store.count(query) async for query in self._queries()])
        done = 0
        async for rows in self._pages():
            examination.note(rows)
            lengths = await self._media.lengths([_media(row)["url"] for row in rows])
            for row, length in zip(rows, lengths, strict=True):
                if (finding := await self._examine_row(row, length, examination)) is not None:
                    yield finding
            done += len(rows)
            examination.progress("recordings", done, max(total, done))

    async def _queries(self) -> AsyncIterator[Query]:
        async for account in all_accounts(self._store):
            for shelf in (Shelf.LIVE, Shelf.TRASH):
                yield Query(account_id=account.id, shelf=shelf, where=HasMedia())

    async def _pages(self) -> AsyncIterator[Sequence[RecordingRow]]:
        """Return all recordings with audio, sorted by id, so that a deletion does not move the other rows."""
        fields, after = frozenset({"id", "account_id", "media", "state"}), ""
        while found := await self._store.scan(after, MAX_PAGE, fields):
            after = found[-1]["id"]
            if rows := [row for row in found if row["media"] is not None]:
                yield rows

    async def _examine_row(self, row: RecordingRow, length: int | None, examination: "_Examination") -> Finding | None:
        media = _media(row)
        if length is None:
            return await self._missing(row, examination)
        if length != media["length"]:
            return Finding(Issue.WRONG_LENGTH, row["id"], media["url"], f"{length} bytes instead of {media['length']}")
        if examination.share and self._chance() < examination.share:
            return await self._verify(row)
        return None

    async def _missing(self, row: RecordingRow, examination: "_Examination") -> Finding | None:
        url = _media(row)["url"]
        finding = Finding(Issue.MISSING_AUDIO, row["id"], url, "there is no audio at its URL")
        recording = await self._store.load(row["id"])
        if recording is None or recording.media is None or recording.media.url != url or recording.state is State.LOST:
            # It was deleted or moved since the page was read, or it is `LOST` already.
            return None
        if is_being_purged(recording, self._clock.now()):
            return None
        if not examination.repair or examination.lost >= MOST_LOST or recording.state is not State.STORED:
            return finding
        examination.lost += 1
        try:
            missing = Missing(at=self._clock.now(), detail=finding.detail)
            await self._writer.save_event(recording, missing)
        except Refused:
            return finding
        return replace(finding, repaired=True)

    async def _verify(self, row: RecordingRow) -> Finding | None:
        media, digest = _media(row), hashlib.sha256()
        try:
            async for chunk in self._media.read(media["url"]):
                digest.update(chunk)
        except MediaMissing:
            # It was deleted since the page was read. If not, the next examination reports it.
            return None
        if digest.hexdigest() == media["sha256"]:
            return None
        return Finding(Issue.WRONG_HASH, row["id"], media["url"], f"SHA-256 {digest.hexdigest()}")

    # From the media stores to the metadata

    async def _examine_objects(self, examination: "_Examination") -> AsyncIterator[Finding]:
        async for account in all_accounts(self._store):
            if account.media is not None:
                self._media.include(account.media)
        for place in (current := self._media.places()):
            async for finding in self._examine_place(place, self._media.objects_at(place), examination):
                yield finding
        await self._include_former(examination)
        for place in self._media.places():
            if place not in current:
                async for finding in self._examine_place(place, self._former(place, examination), examination):
                    yield finding

    async def _include_former(self, examination: "_Examination") -> None:
        """Add the stores that were used before: the ones in recordings' URLs, and the ones in the metadata store."""
        for place in examination.places:
            self._include(place, examination)
        # A recorded store has no user in its URL. The same store may be known with its user.
        known = set(map(plain_place, self._media.places()))
        async for place in all_places(self._store):
            if place not in known:
                self._include(place, examination)

    def _include(self, place: str, examination: "_Examination") -> None:
        try:
            self._media.include(place)
        except (ValueError, ImportError) as error:
            examination.not_listed(place, str(error))

    async def _former(self, place: str, examination: "_Examination") -> AsyncIterator[StoredObject]:
        """Return the objects of a store that is no longer used. If it is unreachable, skip it and continue."""
        try:
            listing = self._media.objects_at(place)
            if listing is None:
                examination.not_listed(place, _NO_LISTING)
                return
            async for item in listing:
                yield item
        except Exception as error:  # noqa: BLE001 - each kind of store has its own errors
            examination.not_listed(place, str(error) or type(error).__name__)

    async def _examine_place(
        self, place: str, listing: AsyncIterator[StoredObject] | None, examination: "_Examination"
    ) -> AsyncIterator[Finding]:
        if listing is None:
            examination.not_listed(place, _NO_LISTING)
            return
        # A store inside this one was examined separately.
        inside = tuple(other for other in examination.examined if other.startswith(place))
        examination.examined.append(place)
        async for found in _pages_of(listing):
            objects = [item for item in found if not item.url.startswith(inside)]
            rows = await self._rows({identity for item in objects if (identity := id_of(item.url))})
            for item in objects:
                finding = self._examine_object(item, rows, examination)
                # If the object is gone, it was purged since it was listed.
                if finding is not None and await self._media.lengths([item.url]) != [None]:
                    yield await self._delete(item, finding) if examination.repair else finding
            examination.listed += len(objects)
            examination.progress("objects", examination.listed, None)

    async def _rows(self, ids: set[str]) -> Mapping[str, RecordingRow]:
        return await self._store.rows(ids, frozenset({"id", "media", "state", "trashed_from"})) if ids else {}

    def _examine_object(
        self, item: StoredObject, rows: Mapping[str, RecordingRow], examination: "_Examination"
    ) -> Finding | None:
        if item.modified is None or self._clock.now() - item.modified < self._safety:
            return None
        identity = id_of(item.url)
        if identity is None:
            is_partial = _file_name(item.url).startswith(".") and item.url.endswith(".part")
            return Finding(Issue.ORPHAN_AUDIO, None, item.url, "an incomplete transfer") if is_partial else None
        if examination.knows(identity):
            return None
        return _finding_of(item, identity, rows.get(identity))

    async def _delete(self, item: StoredObject, finding: Finding) -> Finding:
        if finding.issue is not Issue.ORPHAN_AUDIO:
            return finding
        identity = finding.recording_id
        # The row may have changed since the page was read, so it is read again just before the deletion.
        now = (await self._rows({identity})).get(identity) if identity else None
        if identity and _finding_of(item, identity, now) != finding:
            return finding
        if now is not None and _lasting_state(now) is State.LOST:
            # Its node died after it stored the object and before it saved the URL. This may be the only copy.
            return finding
        await self._media.delete(item.url)
        return replace(finding, repaired=True)

    # The spool of this node

    async def _examine_spool(self, examination: "_Examination") -> AsyncIterator[Finding]:
        names = await self._spool.ids()
        for done, name in enumerate(names, 1):
            row = (await self._rows({name})).get(name)
            state = None if row is None else _lasting_state(row)
            if state is None or state in _DONE:
                # Audio without a recording may belong to a running import. A node sets it aside when it starts.
                repaired = examination.repair and state is not None
                if repaired:
                    # The rendered file goes first, as after a step: the processor finds it by the spooled audio.
                    if self._discard is not None:
                        await self._discard(name)
                    await self._spool.remove(name)
                detail = "no recording has this id" if state is None else f"its recording is {state.value}"
                yield Finding(Issue.STALE_SPOOL, name, None, detail, repaired)
            examination.progress("spool", done, len(names))


class _Examination:
    """The options and the state of one examination."""

    def __init__(
        self,
        repair: bool,  # noqa: FBT001 - private
        share: float,
        progress: Progress | None = None,
        not_listed: Note | None = None,
    ) -> None:
        self.repair = repair
        self.share = share
        self.progress: Progress = progress or (lambda _what, _done, _total: None)
        self.not_listed: Note = not_listed or (lambda _place, _why: None)
        self.lost = 0
        self.listed = 0
        self.places: set[str] = set()
        self.examined: list[str] = []
        self._digests: set[bytes] | None = set()

    def note(self, rows: Sequence[RecordingRow]) -> None:
        """Remember the stores in URLs, and the keys that do not contain their recording's id, up to a limit."""
        for row in rows:
            url = _media(row)["url"]
            name, place = id_of(url), place_of(url, row["id"], row["account_id"])
            if place is not None and len(self.places) < _MOST_PLACES:
                self.places.add(place)
            if name is not None and name != row["id"] and len(name) == DIGEST and self._digests is not None:
                self._digests.add(bytes.fromhex(name) if is_digest(name) else name.encode())
                if len(self._digests) > _MOST_DIGESTS:
                    self._digests = None

    def knows(self, name: str) -> bool:
        """Return true if a key with a digest belongs to a recording, or may belong to one."""
        if not is_digest(name):
            return False
        return self._digests is None or bytes.fromhex(name) in self._digests


def _lasting_state(row: RecordingRow) -> State:
    """Return the state of a recording, or, if it is in the trash, the state that it had before."""
    return State((row["state"] == State.TRASHED and row["trashed_from"]) or row["state"])


def _media(row: RecordingRow) -> MediaRow:
    """Return the media of a row that has some."""
    return cast("MediaRow", row["media"])


def _file_name(url: str) -> str:
    return url.rpartition("/")[2]


def _finding_of(item: StoredObject, identity: str, row: RecordingRow | None) -> Finding | None:
    """Return the finding for an object whose recording is this row; `None` if there is no issue."""
    if row is not None and State(row["state"]) in _BUSY:
        return None
    media = None if row is None else row["media"]
    if media is None:
        detail = "no recording has this id" if row is None else f"its recording is {row['state']} and has no audio"
        return Finding(Issue.ORPHAN_AUDIO, identity, item.url, detail)
    if media["url"] == item.url:
        return None
    if _file_name(media["url"]) == _file_name(item.url):
        return Finding(Issue.COPY, identity, item.url, f"its recording has it at {media['url']}")
    return Finding(Issue.ORPHAN_AUDIO, identity, item.url, f"its recording has {media['url']}")


async def _pages_of(objects: AsyncIterator[StoredObject]) -> AsyncIterator[list[StoredObject]]:
    page: list[StoredObject] = []
    async for item in objects:
        page.append(item)
        if len(page) == MAX_PAGE:
            yield page
            page = []
    if page:
        yield page
