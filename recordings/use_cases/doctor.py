"""The doctor: compares the metadata with the media stores and the spool, and makes safe repairs.

It works page by page, in both directions. It checks the URL of each recording in the media store. It cannot compare two
sorted lists, because the recordings of an installation may be in several stores. Then it checks each stored object: the
object's key contains the id of its recording. An error of a store ends the examination; it is not missing audio.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from recordings.model.errors import Refused
from recordings.model.events import Missing
from recordings.model.fields import RecordingRow
from recordings.model.instants import DAY, Millis
from recordings.model.query import MAX_PAGE, UNLIMITED, HasMedia, Query
from recordings.model.recording import Shelf, State
from recordings.ports.account_stores import all_accounts, all_locations
from recordings.ports.audio import (
    ExaminedMedia,
    MediaAccessError,
    MediaArchived,
    MediaMissing,
    Spool,
    StoredObject,
)
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.fault_words import describe_fault
from recordings.rules.lifecycle import is_being_purged
from recordings.rules.media_keys import AUDIT_FOLDER, MARK, id_of, plain_location
from recordings.use_cases.doctor_findings import (
    Examination,
    Finding,
    Issue,
    Notes,
    Progress,
    file_name,
    finding_of,
    lasting_state,
    media_of,
    provider_in,
)
from recordings.use_cases.orphan_audio import Orphans
from recordings.use_cases.save_event import RecordingWriter

SAFETY: Final = DAY
"""Minimum age of an orphan. The row of an object that was just stored may not have its URL yet."""
MOST_LOST: Final = 100
"""How many recordings one examination marks as `LOST`. If more are missing, the store itself may be wrong."""
_NO_LISTING: Final = "this kind of store cannot list its objects"
_DONE: Final = frozenset({State.STORED, State.DISCARDED, State.PURGED})


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
        of_gone_servers: Callable[[], AsyncIterator[RecordingRow]] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._media = media
        self._spool = spool
        self._clock = clock
        self._safety = safety
        self._discard = discard
        self._of_gone_servers = of_gone_servers
        self._chance = chance

    async def examine(
        self,
        *,
        repair: bool = False,
        repair_orphans: int = 0,
        verify: float = 0.0,
        progress: Progress | None = None,
        notes: Notes | None = None,
    ) -> AsyncIterator[Finding]:
        """Return all issues.

        `repair_orphans` is how many files without a recording may be deleted; see `orphans`. `verify` is the share of
        recordings (0 to 1) whose audio is read and hashed.
        """
        orphans = Orphans[Finding](repair_orphans, await self._store.installation())
        examination = Examination(share=verify, repair=repair, orphans=orphans, progress=progress, notes=notes)
        async for finding in self._examine_servers():
            yield finding
        async for finding in self._examine_recordings(examination):
            yield finding
        async for finding in self._examine_objects(examination):
            yield finding
        async for finding in self._examine_spool(examination):
            yield finding

    async def verify(
        self, share: float = 1.0, progress: Progress | None = None, notes: Notes | None = None
    ) -> AsyncIterator[Finding]:
        """Read and hash the audio of a share of the recordings (1: all). Nothing is changed."""
        examination = Examination(share=share, progress=progress, notes=notes)
        async for finding in self._examine_recordings(examination):
            yield finding

    # The servers

    async def _examine_servers(self) -> AsyncIterator[Finding]:
        if self._of_gone_servers is None:
            return
        async for row in self._of_gone_servers():
            detail = f"it is {row['state']} on the server {row['node']}, which is not running: start or forget it"
            yield Finding(Issue.DEAD_SERVER, row["id"], None, detail)

    # From the metadata to the media stores

    async def _examine_recordings(self, examination: Examination) -> AsyncIterator[Finding]:
        total = sum([(await self._store.count(query, UNLIMITED)).number async for query in self._queries()])
        done = 0
        async for rows in self._pages():
            examination.note(rows)
            async for finding in self._examine_rows([row for row in rows if provider_in(row) is None], examination):
                yield finding
            async for finding in self._examine_at_providers(rows, examination):
                yield finding
            done += len(rows)
            examination.progress("recordings", done, max(total, done))

    async def _examine_rows(self, rows: Sequence[RecordingRow], examination: Examination) -> AsyncIterator[Finding]:
        lengths = await self._media.lengths([media_of(row)["url"] for row in rows])
        for row, length in zip(rows, lengths, strict=True):
            if (finding := await self._examine_row(row, length, examination)) is not None:
                yield finding

    async def _examine_at_providers(
        self, rows: Sequence[RecordingRow], examination: Examination
    ) -> AsyncIterator[Finding]:
        """Examine audio that storage providers keep. If a provider is unreachable, skip it and continue."""
        providers = {provider for row in rows if (provider := provider_in(row)) is not None}
        for provider in providers - examination.unreachable:
            try:
                kept_there = [row for row in rows if provider_in(row) == provider]
                async for finding in self._examine_rows(kept_there, examination):
                    yield finding
            except Exception as error:  # noqa: BLE001 - each kind of store has its own errors
                examination.unreachable.add(provider)
                examination.notes.not_examined(provider, describe_fault(error))

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

    async def _examine_row(
        self, row: RecordingRow, length: int | MediaAccessError | None, examination: Examination
    ) -> Finding | None:
        media = media_of(row)
        if isinstance(length, MediaAccessError):
            examination.notes.not_examined(media["url"], str(length))
            return None
        if length is None:
            return await self._missing(row, examination)
        if length != media["length"]:
            return Finding(Issue.WRONG_LENGTH, row["id"], media["url"], f"{length} bytes instead of {media['length']}")
        if examination.share and self._chance() < examination.share:
            return await self._verify(row, examination)
        return None

    async def _missing(self, row: RecordingRow, examination: Examination) -> Finding | None:
        url = media_of(row)["url"]
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

    async def _verify(self, row: RecordingRow, examination: Examination) -> Finding | None:
        media, digest = media_of(row), hashlib.sha256()
        try:
            async for chunk in self._media.read(media["url"]):
                digest.update(chunk)
        except (MediaAccessError, MediaArchived) as error:
            reason = error.message if isinstance(error, MediaArchived) else str(error)
            examination.notes.not_examined(media["url"], reason)
            return None
        except MediaMissing:
            # It was deleted since the page was read. If not, the next examination reports it.
            return None
        if digest.hexdigest() == media["sha256"]:
            return None
        return Finding(Issue.WRONG_HASH, row["id"], media["url"], f"SHA-256 {digest.hexdigest()}")

    # From the media stores to the metadata

    async def _examine_objects(self, examination: Examination) -> AsyncIterator[Finding]:
        async for account in all_accounts(self._store):
            if account.media is not None:
                self._media.include(account.media)
        for location in (current := self._media.locations()):
            async for finding in self._examine_location(location, self._readable(location, examination), examination):
                yield finding
        await self._include_former(examination)
        for location in self._media.locations():
            if location not in current:
                async for finding in self._examine_location(location, self._former(location, examination), examination):
                    yield finding
        for finding in await self._delete_orphans(examination):
            yield finding

    async def _include_former(self, examination: Examination) -> None:
        """Add the stores that were used before: the ones in recordings' URLs, and the ones in the metadata store."""
        for location in examination.locations:
            self._include(location, examination)
        # A recorded store has no user in its URL. The same store may be known with its user.
        known = set(map(plain_location, self._media.locations()))
        async for location in all_locations(self._store):
            if location not in known:
                self._include(location, examination)

    def _include(self, location: str, examination: Examination) -> None:
        try:
            self._media.include(location)
        except (ValueError, ImportError) as error:
            examination.notes.not_listed(location, str(error))

    async def _readable(self, location: str, examination: Examination) -> AsyncIterator[StoredObject]:
        """Return the objects of a store. Note and skip the parts that the credentials do not permit to list."""
        listing = self._media.objects_at(location)
        if listing is None:
            examination.notes.not_listed(location, _NO_LISTING)
            return
        try:
            async for item in listing:
                yield item
        except MediaAccessError as error:
            examination.notes.not_listed(location, str(error))

    async def _former(self, location: str, examination: Examination) -> AsyncIterator[StoredObject]:
        """Return the objects of a store that is no longer used. If it is unreachable, skip it and continue."""
        try:
            async for item in self._readable(location, examination):
                yield item
        except Exception as error:  # noqa: BLE001 - each kind of store has its own errors
            examination.notes.not_listed(location, str(error) or type(error).__name__)

    async def _examine_location(
        self, location: str, listing: AsyncIterator[StoredObject], examination: Examination
    ) -> AsyncIterator[Finding]:
        orphans = examination.orphans
        # A store inside this one was examined separately.
        inside = tuple(other for other in examination.examined if other.startswith(location))
        examination.examined.append(location)
        async for found in _pages_of(listing):
            objects = [item for item in found if not item.url.startswith(inside)]
            rows = await self._rows({identity for item in objects if (identity := id_of(item.url))})
            for item in objects:
                finding = self._examine_object(item, rows, examination)
                # If the object is gone, it was purged since it was listed.
                if finding is None or await self._media.lengths([item.url]) == [None]:
                    continue
                if finding.issue is not Issue.ORPHAN_AUDIO or not orphans.add(item, finding):
                    yield finding
            orphans.count(sum(id_of(item.url) is not None for item in objects))
            examination.listed += len(objects)
            examination.progress("objects", examination.listed, None)
        await orphans.finish(location, self._media)

    async def _rows(self, ids: set[str]) -> Mapping[str, RecordingRow]:
        return await self._store.rows(ids, frozenset({"id", "media", "state", "trashed_from"})) if ids else {}

    def _examine_object(
        self, item: StoredObject, rows: Mapping[str, RecordingRow], examination: Examination
    ) -> Finding | None:
        identity, name = id_of(item.url), file_name(item.url)
        is_partial = name.startswith(".") and item.url.endswith(".part")
        is_seal = f"{AUDIT_FOLDER}/" in item.url and name.endswith(".json")
        if identity is None and not is_partial and not is_seal and name != MARK:
            examination.notes.not_own(item.url)
        if item.modified is None or self._clock.now() - item.modified < self._safety:
            return None
        if identity is None:
            return Finding(Issue.ORPHAN_AUDIO, None, item.url, "an incomplete transfer") if is_partial else None
        if examination.knows(identity):
            return None
        return finding_of(item, identity, rows.get(identity))

    async def _delete_orphans(self, examination: Examination) -> Sequence[Finding]:
        """Delete the candidates, if no store looks wrong."""
        orphans = examination.orphans
        for location, reason in orphans.refusals:
            examination.notes.not_deleted(location, reason)
        if orphans.refusals:
            return [finding for _item, finding in orphans.candidates]
        return [await self._delete(item, finding) for item, finding in orphans.candidates]

    async def _delete(self, item: StoredObject, finding: Finding) -> Finding:
        identity = finding.recording_id
        # The row may have changed since the page was read, so it is read again just before the deletion.
        now = (await self._rows({identity})).get(identity) if identity else None
        if identity and finding_of(item, identity, now) != finding:
            return finding
        if now is not None and lasting_state(now) is State.LOST:
            # Its node died after it stored the object and before it saved the URL. This may be the only copy.
            return finding
        try:
            await self._media.delete(item.url)
        except Exception as error:  # noqa: BLE001 - a file that cannot be deleted must not end the examination
            return replace(finding, detail=f"{finding.detail}; it cannot be deleted: {error}")
        return replace(finding, repaired=True)

    # The spool of this node

    async def _examine_spool(self, examination: Examination) -> AsyncIterator[Finding]:
        for other in (others := await self._spool.others()):
            examination.notes.not_own(other)
        names = [name for name in await self._spool.ids() if not any(each.endswith(f"/{name}") for each in others)]
        for done, name in enumerate(names, 1):
            row = (await self._rows({name})).get(name)
            state = None if row is None else lasting_state(row)
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


async def _pages_of(objects: AsyncIterator[StoredObject]) -> AsyncIterator[list[StoredObject]]:
    page: list[StoredObject] = []
    async for item in objects:
        page.append(item)
        if len(page) == MAX_PAGE:
            yield page
            page = []
    if page:
        yield page
