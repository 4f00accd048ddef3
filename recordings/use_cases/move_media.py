"""Move stored audio to another media store, while servers run.

Each recording is moved by itself: its audio is copied and compared, its URL is saved together with the former one, and
then the former copy is deleted. A play that has the former URL continues at the new one (`playback`). If the process
dies, the next run finds the rest of the work in the recordings themselves.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from recordings.model.events import Moved
from recordings.model.fields import RecordingRow
from recordings.model.query import MAX_PAGE
from recordings.model.recording import Media, Recording
from recordings.ports.audio import MediaMissing, MovableMedia
from recordings.ports.clock import Clock
from recordings.ports.recording_store import RecordingStore
from recordings.use_cases.save_event import RecordingWriter

Together = Callable[[Sequence[Callable[[], Awaitable[None]]]], Awaitable[Sequence[BaseException | None]]]
"""Runs actions, a few at a time, and returns their exceptions in their order."""
_FIELDS: Final = frozenset({"id", "account_id", "media"})
_TRIES: Final = 4


@dataclass(slots=True)
class MoveReport:
    """The result: how many recordings were moved, were there already, or are busy with another step."""

    moved: int = 0
    bytes: int = 0
    deleted: int = 0
    examined: int = 0
    busy: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """The recordings whose audio is missing or damaged, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSelection:
    """What to move: audio with a URL below `source` and of these accounts, if they are given.

    `location` is the URL of the target with a slash at its end. Audio of the accounts `other_than` is not moved. With
    `keep`, the former copies stay until the recordings are purged.
    """

    location: str
    source: str = ""
    account_ids: Collection[str] | None = None
    other_than: Collection[str] = ()
    keep: bool = False

    def selects(self, row: RecordingRow) -> bool:
        """Return true if there is something to do for a recording."""
        media = row["media"]
        if media is None or media.get("place") is not None or row["account_id"] in self.other_than:
            return False
        if self.account_ids is not None and row["account_id"] not in self.account_ids:
            return False
        has_copy = media.get("former_url") is not None and not self.keep
        return has_copy or (media["url"].startswith(self.source) and not media["url"].startswith(self.location))


class MediaMover:
    """Moves audio between the media stores of an installation."""

    def __init__(self, store: RecordingStore, media: MovableMedia, clock: Clock, together: Together) -> None:
        self._store = store
        self._media = media
        self._clock = clock
        self._together = together
        self._writer = RecordingWriter(store)

    async def move(self, selection: MoveSelection, progress: Callable[[MoveReport], None]) -> MoveReport:
        """Move the selected audio. Report the progress after each page of recordings.

        Raises:
            MediaStoreUnavailableError: a store failed. A second run continues.
        """
        report, after = MoveReport(), ""
        while rows := await self._store.scan(after, MAX_PAGE, _FIELDS):
            after = rows[-1]["id"]
            wanted = [row["id"] for row in rows if selection.selects(row)]
            for error in await self._together([partial(self._move, each, selection, report) for each in wanted]):
                if error is not None:
                    raise error
            report.examined += len(rows)
            progress(report)
        return report

    async def _move(self, recording_id: str, selection: MoveSelection, report: MoveReport) -> None:
        try:
            for _ in range(_TRIES):
                recording = await self._store.load(recording_id)
                if recording is None or recording.media is None:
                    return
                if await self._step(recording, recording.media, selection, report):
                    return
            report.busy += 1
        except MediaMissing as error:
            report.failed.append((recording_id, error.message))

    async def _step(self, recording: Recording, media: Media, selection: MoveSelection, report: MoveReport) -> bool:
        """Delete the former copy, or copy the audio. Return true if nothing is left to do."""
        is_there = media.url.startswith(selection.location)
        if media.former_url is not None and not (selection.keep and is_there):
            await self._media.delete(media.former_url)
            if await self._save(recording, replace(media, former_url=None)):
                report.deleted += 1
            return False
        if is_there or not media.url.startswith(selection.source):
            return True
        url = await self._media.copy(media.url, selection.location, media)
        if await self._save(recording, replace(media, url=url, former_url=media.url)):
            report.moved += 1
            report.bytes += media.length
            return False
        present = await self._store.load(recording.id)
        if present is None or present.media is None or url not in {present.media.url, present.media.former_url}:
            # It was purged in the meantime, or a step is working with its audio. No copy may stay without a recording.
            await self._media.delete(url)
        return False

    async def _save(self, recording: Recording, media: Media) -> bool:
        return await self._writer.move(recording, Moved(at=self._clock.now(), media=media)) is not None
