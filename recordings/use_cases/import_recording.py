"""Taking in a recording that another system made, with its audio or without.

Audio goes the way that all audio goes: through the spool and the finalizer, which decodes, measures, stores and reads
it back. An import that dies half-way is finished by the next process, or by running it again.
"""

from dataclasses import replace
from enum import StrEnum

from recordings.model.events import Ended
from recordings.model.instants import Millis
from recordings.model.recording import EndCause, Lease, Reason, Recording, State
from recordings.ports.process import Clock
from recordings.ports.recording_store import RecordingStore, Taken
from recordings.rules.lifecycle import apply
from recordings.use_cases.upkeep import LEASE, Upkeep


class Imported(StrEnum):
    """What became of a recording that was to be imported."""

    WITH_AUDIO = "with_audio"
    WITHOUT_AUDIO = "without_audio"
    UNPLAYABLE = "unplayable"
    """Its audio cannot be decoded, or is empty; the recording says why."""
    LATER = "later"
    """Its audio is on this node's disk; the background work stores it when it can."""
    THERE = "already_there"


class ForeignError(Exception):
    """There is a recording of that id, and it is another account's or was not imported."""


class RecordingImporter:
    """Imports recordings on one node, beside a running server."""

    def __init__(self, store: RecordingStore, upkeep: Upkeep, clock: Clock, node: str) -> None:
        self._store = store
        self._upkeep = upkeep
        self._clock = clock
        self._node = node
        # Not the node's own name: a server that starts beside an import must not take it for its last process.
        self._holder = f"{node}/import"

    async def begin(self) -> None:
        """Let go of what an import on this node that died was about to do. Only one may run at a time."""
        await self._store.release_leases(self._holder, self._clock.now())

    async def missing(self, recording: Recording) -> bool:
        """Whether audio of this recording would be taken: it is not there yet, or was imported without.

        Raises:
            ForeignError: its id is taken by a recording of another origin.
        """
        return _wants_audio(self._check(recording, await self._store.load(recording.id)))

    async def take(self, recording: Recording, *, spooled: bool) -> Imported:
        """Keep an imported recording (`LOST` for want of audio); its audio is in the spool if `spooled`.

        Raises:
            ForeignError: its id is taken by a recording of another origin.
        """
        found = self._check(recording, await self._store.load(recording.id))
        if found is not None and not (spooled and _wants_audio(found)):
            return await self._finish(found)
        if not spooled:
            return await self._insert(recording, Imported.WITHOUT_AUDIO)
        ended = self._held(apply(found or recording, Ended(at=self._clock.now(), cause=EndCause.RECEIVED)))
        if found is None:
            if await self._insert(replace(ended, modified=recording.modified), Imported.WITH_AUDIO) is Imported.THERE:
                return Imported.THERE
        elif not await self._store.save(ended, found.revision):
            return Imported.THERE
        return _outcome(await self._upkeep.step(ended))

    async def _finish(self, found: Recording) -> Imported:
        """What an import that died left on this node's disk is finished here, unless the server is at it."""
        if found.state is not State.FINALIZING or found.node != self._node or found.lease is not None:
            return Imported.THERE
        held = self._held(replace(found, revision=found.revision + 1))
        if not await self._store.save(held, found.revision):
            return Imported.THERE
        return _outcome(await self._upkeep.step(held))

    async def _insert(self, recording: Recording, outcome: Imported) -> Imported:
        try:
            await self._store.insert(recording)
        except Taken:
            self._check(recording, await self._store.load(recording.id))
            return Imported.THERE
        return outcome

    def _held(self, recording: Recording) -> Recording:
        # Leased from its first moment: no other process begins the step that this one is about to do.
        until: Millis = self._clock.now() + LEASE
        return replace(recording, node=self._node, due_at=until, lease=Lease(self._holder, until))

    def _check(self, recording: Recording, found: Recording | None) -> Recording | None:
        if found is not None and (found.account_id != recording.account_id or not _came_so(found)):
            message = f"there is another recording {recording.id}"
            raise ForeignError(message)
        return found


def _came_so(found: Recording) -> bool:
    """Whether a recording was imported. What was purged since has nothing left to tell, and is not to come back."""
    return found.imported is not None or found.state is State.PURGED


def _wants_audio(found: Recording | None) -> bool:
    # It was imported without, or the node that was importing it has not come back.
    return found is None or (found.state is State.LOST and found.reason in {Reason.AUDIO_MISSING, Reason.RECORDER_GONE})


def _outcome(recording: Recording) -> Imported:
    if recording.state is State.STORED:
        return Imported.WITH_AUDIO
    return Imported.LATER if recording.state is State.FINALIZING else Imported.UNPLAYABLE
