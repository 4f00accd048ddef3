"""Comparing what the metadata says with what the stores have, both ways, and putting right what may be put right.

Everything is streamed, a page at a time: recordings are looked up in the store by their own URLs (a recording remembers
where its audio lies, and places can be mixed, so two sorted lists would not match), and objects are looked up in the
metadata by the id that their key is made of. A fault of a store ends the examination; it never counts as missing audio.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol, cast

from recordings.model.errors import Refused
from recordings.model.events import Missing
from recordings.model.fields import MediaRow, RecordingRow
from recordings.model.instants import DAY, Millis
from recordings.model.query import MAX_PAGE, HasMedia, Query
from recordings.model.recording import IN_PROGRESS, Shelf, State
from recordings.ports.account_stores import all_accounts, all_places
from recordings.ports.audio import MediaMissing, Spool
from recordings.ports.process import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.lifecycle import is_being_purged
from recordings.rules.media_keys import DIGEST, id_of, is_digest, place_of, plain_place
from recordings.use_cases.save_event import RecordingWriter

SAFETY: Final = DAY
"""How old an object must be before it can be an orphan: what is being stored just now has no row that names it yet."""
MOST_LOST: Final = 100
"""How many recordings one examination marks as lost. Where more are missing, the store itself is in question."""
_MOST_DIGESTS: Final = 100_000
_MOST_PLACES: Final = 10_000
_NO_LISTING: Final = "it lists nothing, as web servers do"
_BUSY: Final = IN_PROGRESS | {State.FINALIZING}
_DONE: Final = frozenset({State.STORED, State.DISCARDED, State.PURGED})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store says of one object: where it is, its bytes, and when it was last written, if it knows."""

    url: str
    length: int
    modified: Millis | None


class ExaminedMedia(Protocol):
    """The media store, as the doctor needs it."""

    def include(self, url: str) -> object:
        """Make a place known. Raises if there can be no such one."""

    def places(self) -> Sequence[str]:
        """The beginnings of URLs of the places that are known: the installation's own, and what was included."""

    def objects_at(self, place: str) -> AsyncIterator[StoredObject] | None:
        """Everything in one of these; `None` where nothing can be listed."""

    async def lengths(self, urls: Sequence[str]) -> Sequence[int | None]:
        """Lengths in bytes of many URLs, in their order; `None` for what is not there."""

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `MediaStore.read`."""

    async def delete(self, url: str) -> None:
        """As `MediaStore.delete`."""


class Problem(StrEnum):
    """What can be wrong."""

    MISSING_AUDIO = "MISSING_AUDIO"
    """A recording's audio is not there. Repair: the recording says so, and is `LOST`."""
    WRONG_LENGTH = "WRONG_LENGTH"
    WRONG_HASH = "WRONG_HASH"
    ORPHAN_AUDIO = "ORPHAN_AUDIO"
    """Audio that no recording has, older than the safety time. Repair: it is deleted, but for that of a `LOST` one."""
    COPY = "COPY"
    """Audio whose recording has it at another URL, be it after a move of stores, be it one place by two names."""
    STALE_SPOOL = "STALE_SPOOL"
    """Something in this node's spool that no recording needs. Repair: it is removed, if its recording is done."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and whether it was put right."""

    problem: Problem
    recording_id: str | None
    url: str | None
    detail: str
    repaired: bool = False


Progress = Callable[[str, int, int | None], None]
"""Told now and then: what is looked at (`recordings`, `objects`, `spool`), how many were, and of how many if known."""


Note = Callable[[str, str], None]
"""Told of each place in which nothing could be listed, and why: audio that nobody has is not found there."""


class Doctor:
    """Examines one installation from one node. `safety` in milliseconds, `discard` is that of the audio processor."""

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
        """Everything that is wrong. `verify` is the share of recordings (0 to 1) whose audio is read and hashed."""
        examination = _Examination(repair, verify, progress, not_listed)
        async for finding in self._examine_recordings(examination):
            yield finding
        async for finding in self._examine_objects(examination):
            yield finding
        async for finding in self._examine_spool(examination):
            yield finding

    async def verify(self, share: float = 1.0, progress: Progress | None = None) -> AsyncIterator[Finding]:
        """Read and hash the audio of a share of the recordings (1: all); nothing is changed."""
        examination = _Examination(False, share, progress)  # noqa: FBT003
        async for finding in self._examine_recordings(examination):
            yield finding

    # From the metadata to the stores

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
        """All recordings with audio, by their ids: what is deleted or restored meanwhile stays at its place."""
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
            return Finding(
                Problem.WRONG_LENGTH, row["id"], media["url"], f"{length} bytes in place of {media['length']}"
            )
        if examination.share and self._chance() < examination.share:
            return await self._verify(row)
        return None

    async def _missing(self, row: RecordingRow, examination: "_Examination") -> Finding | None:
        url = _media(row)["url"]
        finding = Finding(Problem.MISSING_AUDIO, row["id"], url, "there is nothing at its URL")
        recording = await self._store.load(row["id"])
        if recording is None or recording.media is None or recording.media.url != url or recording.state is State.LOST:
            # It was deleted, or moved, while we looked; or it says so already.
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
            # Deleted while we looked; if not, the next examination says so.
            return None
        if digest.hexdigest() == media["sha256"]:
            return None
        return Finding(Problem.WRONG_HASH, row["id"], media["url"], f"SHA-256 {digest.hexdigest()}")

    # From the stores to the metadata

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
        """Make known where audio was put once: where recordings lie, and what was written down when it was put."""
        for place in examination.places:
            self._include(place, examination)
        # Written down without its user, it may be one that is known with it.
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
        """What lies in a place to which nothing is put any more. One that is gone for good ends no examination."""
        try:
            listing = self._media.objects_at(place)
            if listing is None:
                examination.not_listed(place, _NO_LISTING)
                return
            async for item in listing:
                yield item
        except Exception as error:  # noqa: BLE001 - each store has faults of its own
            examination.not_listed(place, str(error) or type(error).__name__)

    async def _examine_place(
        self, place: str, listing: AsyncIterator[StoredObject] | None, examination: "_Examination"
    ) -> AsyncIterator[Finding]:
        if listing is None:
            examination.not_listed(place, _NO_LISTING)
            return
        # What lies in a place inside this one was looked at by itself.
        inside = tuple(other for other in examination.looked_at if other.startswith(place))
        examination.looked_at.append(place)
        async for found in _by_hundreds(listing):
            objects = [item for item in found if not item.url.startswith(inside)]
            rows = await self._rows({identity for item in objects if (identity := id_of(item.url))})
            for item in objects:
                finding = self._examine_object(item, rows, examination)
                # Not there any more, it was purged while we looked.
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
            passing = _file_name(item.url).startswith(".") and item.url.endswith(".part")
            return Finding(Problem.ORPHAN_AUDIO, None, item.url, "a transfer that broke off") if passing else None
        if examination.knows(identity):
            return None
        return _judge(item, identity, rows.get(identity))

    async def _delete(self, item: StoredObject, finding: Finding) -> Finding:
        if finding.problem is not Problem.ORPHAN_AUDIO:
            return finding
        identity = finding.recording_id
        # Once more, just before: the page was read a while ago.
        now = (await self._rows({identity})).get(identity) if identity else None
        if identity and _judge(item, identity, now) != finding:
            return finding
        if now is not None and _stays(now) is State.LOST:
            # Its node died after it was put, and before that was noted down: this may be all there is of it.
            return finding
        await self._media.delete(item.url)
        return replace(finding, repaired=True)

    # This node's disk

    async def _examine_spool(self, examination: "_Examination") -> AsyncIterator[Finding]:
        names = await self._spool.ids()
        for done, name in enumerate(names, 1):
            row = (await self._rows({name})).get(name)
            state = None if row is None else _stays(row)
            if state is None or state in _DONE:
                # What nobody knows may be an import's that has no row yet: a node sets it aside when it starts.
                repaired = examination.repair and state is not None
                if repaired:
                    # In this order, as after a step: what is rendered is looked for by what is in the spool.
                    if self._discard is not None:
                        await self._discard(name)
                    await self._spool.remove(name)
                detail = "no recording has this id" if state is None else f"its recording is {state.value}"
                yield Finding(Problem.STALE_SPOOL, name, None, detail, repaired)
            examination.progress("spool", done, len(names))


class _Examination:
    """What one examination is to do, and what it has seen."""

    def __init__(
        self,
        repair: bool,  # noqa: FBT001 - of this module alone
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
        self.looked_at: list[str] = []
        self._digests: set[bytes] | None = set()

    def note(self, rows: Sequence[RecordingRow]) -> None:
        """Remember places, and recordings whose key does not show their id, as long as they are not too many."""
        for row in rows:
            name = id_of(_media(row)["url"])
            if (place := place_of(_media(row)["url"], row["id"], row["account_id"])) is not None and len(
                self.places
            ) < _MOST_PLACES:
                self.places.add(place)
            if name is not None and name != row["id"] and len(name) == DIGEST and self._digests is not None:
                self._digests.add(bytes.fromhex(name) if is_digest(name) else name.encode())
                if len(self._digests) > _MOST_DIGESTS:
                    self._digests = None

    def knows(self, name: str) -> bool:
        """Whether a key that is made of a digest belongs to a recording, or may do so."""
        if not is_digest(name):
            return False
        return self._digests is None or bytes.fromhex(name) in self._digests


def _stays(row: RecordingRow) -> State:
    """The state of a recording, or the one that it comes back to out of the trash."""
    return State((row["state"] == State.TRASHED and row["trashed_from"]) or row["state"])


def _media(row: RecordingRow) -> MediaRow:
    """Return the media of a row that has some."""
    return cast("MediaRow", row["media"])


def _file_name(url: str) -> str:
    return url.rpartition("/")[2]


def _judge(item: StoredObject, identity: str, row: RecordingRow | None) -> Finding | None:
    """What is wrong with an object whose recording is this row."""
    if row is not None and State(row["state"]) in _BUSY:
        return None
    media = None if row is None else row["media"]
    if media is None:
        said = "no recording has this id" if row is None else f"its recording is {row['state']} and has no audio"
        return Finding(Problem.ORPHAN_AUDIO, identity, item.url, said)
    if media["url"] == item.url:
        return None
    if _file_name(media["url"]) == _file_name(item.url):
        return Finding(Problem.COPY, identity, item.url, f"its recording has it at {media['url']}")
    return Finding(Problem.ORPHAN_AUDIO, identity, item.url, f"its recording has {media['url']}")


async def _by_hundreds(objects: AsyncIterator[StoredObject]) -> AsyncIterator[list[StoredObject]]:
    page: list[StoredObject] = []
    async for item in objects:
        page.append(item)
        if len(page) == MAX_PAGE:
            yield page
            page = []
    if page:
        yield page
