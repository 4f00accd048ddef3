"""The import of a recording that another system made, with or without its audio.

The audio takes the same path as all audio: the spool, then the finalizer, which decodes, measures, stores and reads it
back. If an import dies, the next process or the next import finishes its work.
"""

from dataclasses import replace
from enum import StrEnum

from recordings.model.events import Created, Ended, Rescheduled
from recordings.model.recording import EndCause, Lease, Reason, Recording, State
from recordings.ports.clock import Clock
from recordings.ports.recording_store import RecordingStore, Taken
from recordings.rules.lifecycle import apply, leased
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.upkeep import LEASE, Upkeep


class Imported(StrEnum):
    """The result of importing one recording."""

    WITH_AUDIO = "with_audio"
    WITHOUT_AUDIO = "without_audio"
    UNPLAYABLE = "unplayable"
    """Its audio cannot be decoded, or is empty. The recording has the reason."""
    LATER = "later"
    """Its audio is on this server's disk. A background step will store it."""
    THERE = "already_there"


class IdTakenError(Exception):
    """The id belongs to a recording of another account, or to a recording that was not imported."""


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

    async def missing(self, recording: Recording) -> bool:
        """Return true if the import needs this recording's audio: it is new, or was imported without audio.

        Raises:
            IdTakenError: a recording of another origin has its id.
        """
        return _wants_audio(self._check(recording, await self._store.load(recording.id)))

    async def take(self, recording: Recording, *, spooled: bool) -> Imported:
        """Import a recording. Its audio is in the spool if `spooled`; otherwise it is `LOST` until audio is imported.

        Raises:
            IdTakenError: a recording of another origin has its id.
        """
        found = self._check(recording, await self._store.load(recording.id))
        if found is not None and not (spooled and _wants_audio(found)):
            return await self._finish(found)
        if not spooled:
            return Imported.WITHOUT_AUDIO if await self._create(recording) else Imported.THERE
        ended = Ended(at=self._clock.now(), cause=EndCause.RECEIVED, node=self._node)
        if found is not None:
            finalizing = await self._writer.save_event_once(found, ended, lease=self._lease())
        else:
            new = leased(apply(recording, ended), self._lease())
            finalizing = new if await self._create(replace(new, modified=recording.modified)) else None
        return Imported.THERE if finalizing is None else _outcome(await self._upkeep.step(finalizing))

    async def _finish(self, found: Recording) -> Imported:
        """Finish the work of an import that died on this node, unless the server does it now."""
        if found.state is not State.FINALIZING or found.node != self._node or found.lease is not None:
            return Imported.THERE
        lease = self._lease()
        held = await self._writer.reschedule(found, Rescheduled(at=self._clock.now(), due_at=lease.until, lease=lease))
        return Imported.THERE if held is None else _outcome(await self._upkeep.step(held))

    async def _create(self, recording: Recording) -> bool:
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


def _was_imported(found: Recording) -> bool:
    """Return true if a recording was imported. A tombstone counts too, so that a purged recording does not return."""
    return found.imported is not None or found.state is State.PURGED


def _wants_audio(found: Recording | None) -> bool:
    # Its audio was not imported, or the node that imported it did not return.
    return found is None or (found.state is State.LOST and found.reason in {Reason.AUDIO_MISSING, Reason.RECORDER_GONE})


def _outcome(recording: Recording) -> Imported:
    if recording.state is State.STORED:
        return Imported.WITH_AUDIO
    return Imported.LATER if recording.state is State.FINALIZING else Imported.UNPLAYABLE
