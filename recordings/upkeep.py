"""The background steps: finalize what ended, purge what was deleted, find what was lost.

Background work is a state, not a queue. A recording that needs something has `due_at`; `claim` leases the due ones to
this process, `step` does what the state asks for and moves it on. Steps are idempotent: a process that dies in the
middle of one loses its lease, and whoever claims the recording next does the step again. `recover` runs once at the
start of a node, for what its last process left open.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from recordings.changes import change
from recordings.instants import HOUR, MINUTE, SECOND, Millis
from recordings.lifecycle import Discarded, Ended, Event, Failed, Lost, Purged, Stored, retry_later
from recordings.options import MAX_TIME_LIMIT
from recordings.ports import (
    Clock,
    MediaStore,
    MetadataStore,
    NotAudio,
    Recorder,
    Rendered,
    Spool,
    Target,
    Workshop,
)
from recordings.recording import IN_PROGRESS, EndCause, Media, Reason, Recording, State

LEASE: Final = 15 * MINUTE
"""How long a step may take before another process may begin it anew."""
MAX_ATTEMPTS: Final = 20
"""How often a step is tried when it fails for reasons that may pass; with the waits between, about an hour."""
MAX_RECEIVED: Final = MAX_TIME_LIMIT * SECOND + HOUR
"""The longest audio that is taken in one piece from a sender."""


class Reporter(Protocol):
    """Where the background work says what it did, and what went wrong."""

    def moved(self, recording: Recording, step: str) -> None:
        """A step moved a recording on."""

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """A step failed; it is tried again, or given up with a reason in the recording."""


class Damaged(Exception):  # noqa: N818 - a passing state of a store, tried again
    """What the media store gives back is not what was put."""


class Upkeep:
    """Does the background steps of one node."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        media: MediaStore,
        spool: Spool,
        workshop: Workshop,
        recorder: Recorder,
        clock: Clock,
        reporter: Reporter,
        node: str,
    ) -> None:
        self._store = store
        self._media = media
        self._spool = spool
        self._workshop = workshop
        self._recorder = recorder
        self._clock = clock
        self._reporter = reporter
        self._node = node
        self._steps: Mapping[State, Callable[[Recording], Awaitable[Event | None]]] = {
            State.FINALIZING: self._finalize,
            State.TRASHED: self._purge,
            **dict.fromkeys(IN_PROGRESS, self._watch),
        }

    async def claim(self, limit: int) -> Sequence[Recording]:
        """Lease up to `limit` recordings that are due."""
        now = self._clock.now()
        return await self._store.claim_due(now=now, until=now + LEASE, holder=self._node, node=self._node, limit=limit)

    async def step(self, recording: Recording) -> Recording:
        """Do what a claimed recording needs; what failed for a reason that may pass is tried again, up to a limit."""
        name = recording.state.value.lower()
        try:
            event = await self._steps[recording.state](recording)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the recording has to say so
            self._reporter.fault(recording.id, name, error)
            return await self._try_again(recording, error)
        moved = await self._postpone(recording) if event is None else await change(self._store, recording, event)
        await self._clear(moved)
        self._reporter.moved(moved, name)
        return moved

    async def recover(self) -> Sequence[Recording]:
        """Bring to an end what the last process of this node left open; what was recovered.

        Audio that was being recorded is finalized with what there is; a body that was coming in is `INCOMPLETE`, and
        its sender may send it again.
        """
        recovered: list[Recording] = []
        while held := [taken for taken in await self._store.held_by(self._node) if not await self._is_open(taken)]:
            recovered += [await self._close(recording) for recording in held]
        recovered += [found for name in await self._spool.ids() if (found := await self._adopt(name))]
        for recording in recovered:
            self._reporter.moved(recording, "recover")
        return recovered

    async def _is_open(self, recording: Recording) -> bool:
        return await self._recorder.is_open(recording.id)

    async def _close(self, recording: Recording) -> Recording:
        now = self._clock.now()
        event: Event = Ended(at=now, cause=EndCause.SERVER_RESTART)
        if recording.source_key is not None:
            event = Failed(at=now, reason=Reason.INCOMPLETE, detail="the server restarted while it was coming in")
        closed = await change(self._store, recording, event)
        await self._clear(closed)
        return closed

    async def _adopt(self, name: str) -> Recording | None:
        # Something is on the disk. Either it is still needed, or a step died just before it cleared away.
        recording = await self._store.load(name)
        if recording is None:
            await self._spool.set_aside(name)
        elif recording.state is State.LOST:
            return await change(self._store, recording, Ended(at=self._clock.now(), cause=EndCause.SERVER_RESTART))
        else:
            await self._clear(recording)
        return None

    async def _clear(self, recording: Recording) -> None:
        """Free the node's disk of what a recording in this state does not need there."""
        if recording.in_progress or recording.state is State.FINALIZING:
            return
        await self._workshop.discard(recording.id)
        if recording.state is State.FAILED:
            await self._spool.set_aside(recording.id)
        elif recording.state is not State.LOST:
            await self._spool.remove(recording.id)

    async def _finalize(self, recording: Recording) -> Event:
        audio = await self._spool.audio(recording.id)
        if audio is None:
            return Lost(at=self._clock.now(), reason=Reason.AUDIO_MISSING, detail="its audio is not on the disk")
        try:
            rendered = await self._workshop.render(recording.id, audio, target_of(recording))
        except NotAudio as answer:
            return Failed(at=self._clock.now(), reason=Reason.NOT_AUDIO, detail=str(answer)[:500])
        if (discarded := self._worthless(recording, rendered)) is not None:
            return discarded
        media = await self._keep(recording, rendered)
        return Stored(at=self._clock.now(), media=media, format=rendered.format)

    def _worthless(self, recording: Recording, rendered: Rendered) -> Event | None:
        least = recording.options.record_min_sec * SECOND
        if 0 < rendered.duration_ms >= least:
            return None
        reason = Reason.TOO_SHORT if rendered.duration_ms else Reason.EMPTY
        detail = f"{rendered.duration_ms} ms of audio, at least {least} ms were asked for" if least else None
        return Discarded(at=self._clock.now(), reason=reason, detail=detail, duration_ms=rendered.duration_ms)

    async def _keep(self, recording: Recording, rendered: Rendered) -> Media:
        url = await self._media.put(media_key(recording, rendered.format), rendered.path, rendered.content_type)
        await self._verify(url, rendered)
        return Media(
            url=url,
            content_type=rendered.content_type,
            length=rendered.length,
            duration_ms=rendered.duration_ms,
            sample_rate=rendered.sample_rate,
            channels=rendered.channels,
            sha256=rendered.sha256,
            stored_at=self._clock.now(),
        )

    async def _verify(self, url: str, rendered: Rendered) -> None:
        digest = hashlib.sha256()
        async for chunk in self._media.read(url):
            digest.update(chunk)
        if digest.hexdigest() != rendered.sha256:
            message = f"read back {digest.hexdigest()} in place of {rendered.sha256}"
            raise Damaged(message)

    async def _purge(self, recording: Recording) -> Event:
        if recording.media is not None:
            await self._media.delete(recording.media.url)
        await self._spool.remove(recording.id)
        return Purged(at=self._clock.now())

    async def _watch(self, recording: Recording) -> Event | None:
        # Its time limit is over for a while. Either the recorder is late, or nobody records it any more.
        if await self._is_open(recording):
            return None
        now = self._clock.now()
        if recording.source_key is not None:
            return Failed(at=now, reason=Reason.INCOMPLETE, detail="its sender went silent")
        if await self._spool.audio(recording.id) is not None:
            return Ended(at=now, cause=EndCause.DISCONNECTED)
        return Lost(at=now, reason=Reason.RECORDER_GONE, detail="its recorder never said that it ended")

    async def _postpone(self, recording: Recording) -> Recording:
        later = retry_later(recording, self._clock.now(), recording.reason_detail)
        await self._store.save(later, recording.revision)
        return later

    async def _try_again(self, recording: Recording, error: Exception) -> Recording:
        detail = f"{type(error).__name__}: {error}"[:500]
        if recording.attempts + 1 >= MAX_ATTEMPTS and recording.state is State.FINALIZING:
            failed = Failed(at=self._clock.now(), reason=Reason.FINALIZER_FAILED, detail=detail)
            given_up = await change(self._store, recording, failed)
            await self._clear(given_up)
            return given_up
        later = retry_later(recording, self._clock.now(), detail)
        # A lost race needs no care here: whoever won it made the recording due again.
        await self._store.save(later, recording.revision)
        return later


def target_of(recording: Recording) -> Target:
    """What the finalizer makes of a recording's audio."""
    limit: Millis = recording.options.time_limit * SECOND if recording.source_key is None else MAX_RECEIVED
    return Target(recording.options.format, recording.options.record_sample_rate, limit)


def media_key(recording: Recording, audio_format: str) -> str:
    """Where audio is kept in a store: made of ids alone, never of anything that somebody named."""
    safe = recording.id if recording.id.replace("-", "").isalnum() and recording.id.isascii() else None
    name = safe or hashlib.sha256(recording.id.encode()).hexdigest()
    return f"{recording.account_id}/{name[:6]}/{name}.{audio_format}"
