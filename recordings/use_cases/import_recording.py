"""The import of a recording that another system made, with or without its audio.

The audio takes the same path as all audio: the spool, then the finalizer, which decodes, measures, stores and reads it
back. Audio at a storage provider is measured in the same way, but stays there. If an import dies, the next process or
the next import finishes its work.

An import can be repeated. A later one repairs the recordings whose audio was missing or could not be used.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from recordings.model.events import AudioFound, Created, Rescheduled
from recordings.model.recording import Lease, Reason, Recording, Reference, State
from recordings.ports.clock import Clock
from recordings.ports.recording_store import RecordingStore, Taken
from recordings.rules.lifecycle import apply, leased
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.work_claims import LEASE


class Imported(StrEnum):
    """The result of importing one recording."""

    WITH_AUDIO = "with_audio"
    WITHOUT_AUDIO = "without_audio"
    """The archive names no audio for it, or no folder with audio files was given."""
    UNPLAYABLE = "unplayable"
    """Its audio cannot be decoded, is empty, or is not the file that the archive describes. See its `reason_detail`."""
    LATER = "later"
    """A background step of a server will store its audio."""
    MISSING = "missing"
    """The archive names audio for it, but this audio does not exist."""
    THERE = "already_there"


class IdTakenError(Exception):
    """The id belongs to a recording of another account, or to a recording that was not imported."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of importing one recording, and the reason if its audio cannot be played."""

    outcome: Imported
    detail: str | None = None


_UNUSABLE: Final = frozenset({State.FAILED, State.DISCARDED})
_LOST_REASONS: Final = frozenset({Reason.AUDIO_MISSING, Reason.RECORDER_GONE})


class RecordingImporter:
    """Imports recordings on one node. It can run beside a server."""

    def __init__(self, store: RecordingStore, upkeep: Upkeep, clock: Clock, node: str) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._upkeep = upkeep
        self._clock = clock
        self._node = node
        # This is not the node's own name: a server that starts now releases the leases of its own last process.
        self._holder = f"{node}/import"

    async def begin(self) -> None:
        """Release the leases of an earlier import on this node that died. Only one import may run at a time."""
        await self._store.release_leases(self._holder, self._clock.now())

    async def find(self, recording: Recording) -> Recording | None:
        """Return the recording that an earlier import made of the same document.

        Raises:
            IdTakenError: a recording of another origin has its id.
        """
        return self._check(recording, await self._store.load(recording.id))

    async def take(
        self, recording: Recording, *, sha256: str | None = None, reference: Reference | None = None
    ) -> Result:
        """Import a recording.

        With a `reference`, its audio is at a storage provider. Otherwise, with a `sha256`, its audio is in the spool.
        With neither, the recording is `LOST` until audio is imported.

        Raises:
            IdTakenError: a recording of another origin has its id.
        """
        found = await self.find(recording)
        now = self._clock.now()
        node = self._node if reference is None else None
        event = AudioFound(at=now, source_sha256=sha256, node=node, reference=reference)
        has_audio = sha256 is not None or reference is not None
        if found is None:
            return await self._create(recording, event if has_audio else None)
        if not has_audio or not _can_repair(found, event):
            return await self._finish(found)
        finalizing = await self._writer.save_event_once(found, event, lease=self._lease())
        return Result(Imported.THERE) if finalizing is None else await self._step(finalizing)

    async def _create(self, recording: Recording, event: AudioFound | None) -> Result:
        if event is None:
            is_new = await self._insert(recording)
            return Result(Imported.WITHOUT_AUDIO if is_new else Imported.THERE)
        new = leased(apply(recording, event), self._lease())
        finalizing = replace(new, modified=recording.modified)
        return await self._step(finalizing) if await self._insert(finalizing) else Result(Imported.THERE)

    async def _finish(self, found: Recording) -> Result:
        """Finish the work of an import that died on this node, unless the server does it now."""
        is_waiting = found.state is State.FINALIZING and found.lease is None
        if not is_waiting or found.node not in {None, self._node}:
            return _existing(found)
        lease = self._lease()
        held = await self._writer.reschedule(found, Rescheduled(at=self._clock.now(), due_at=lease.until, lease=lease))
        return Result(Imported.THERE) if held is None else await self._step(held)

    async def _step(self, recording: Recording) -> Result:
        return _new(await self._upkeep.step(recording))

    async def _insert(self, recording: Recording) -> bool:
        """Insert a recording. Return false if it exists already."""
        try:
            await self._writer.create(recording, Created(at=self._clock.now()))
        except Taken:
            self._check(recording, await self._store.load(recording.id))
            return False
        return True

    def _lease(self) -> Lease:
        # Each write of an import also leases the recording, so no other process starts the step of this one.
        return Lease(self._holder, self._clock.now() + LEASE)

    def _check(self, recording: Recording, found: Recording | None) -> Recording | None:
        if found is not None and (found.account_id != recording.account_id or not _was_imported(found)):
            message = f"there is another recording {recording.id}"
            raise IdTakenError(message)
        return found


def needs_audio(found: Recording | None) -> bool:
    """Return true if an import needs audio for a recording: it is new, or its audio is missing or could not be used."""
    if found is None:
        return True
    return found.state in _UNUSABLE or (found.state is State.LOST and found.reason in _LOST_REASONS)


def _was_imported(found: Recording) -> bool:
    """Return true if a recording was imported. A tombstone counts too, so that a purged recording does not return."""
    return found.imported is not None or found.state is State.PURGED


def _can_repair(found: Recording, event: AudioFound) -> bool:
    """Return true if this audio is new for a recording that has none."""
    is_other = event.source_sha256 is None or event.source_sha256 != found.source_sha256
    return needs_audio(found) and (is_other or found.state is State.LOST)


def _new(recording: Recording) -> Result:
    if recording.state is State.STORED:
        return Result(Imported.WITH_AUDIO, None if recording.media is None else recording.media.damage)
    return _existing(recording)


def _existing(recording: Recording) -> Result:
    """Return the result for a recording that this import did not change."""
    detail = recording.reason_detail or recording.reason
    if recording.state is State.FINALIZING:
        return Result(Imported.LATER, recording.reason_detail)
    if recording.state in _UNUSABLE:
        return Result(Imported.UNPLAYABLE, detail)
    if recording.state is State.LOST and recording.reference is not None:
        return Result(Imported.MISSING, detail)
    return Result(Imported.THERE)
