"""Writes whose result is unclear, because the metadata store did not answer. They are resolved before a later claim."""

import time
from collections.abc import Collection
from typing import Final, Protocol

from recordings.model.events import Failed, Withdrawn
from recordings.model.recording import Reason, Recording
from recordings.ports.audio import Spool
from recordings.ports.clock import Clock
from recordings.ports.recording_store import RecordingStore
from recordings.rules.lifecycle import retry_later
from recordings.use_cases.save_event import RecordingWriter

_LONGEST_WAIT: Final = 300
_MAX_TRIES: Final = 16
_UNDO_TRIES: Final = 8
"""How often the service looks for a write that the store may still do: for about two minutes, with the waits."""


class Reporter(Protocol):
    """Reports what the background steps did and which of them failed."""

    def moved(self, recording: Recording, step: str) -> None:
        """Report a step that succeeded."""

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """Report a step that failed. It is retried, or the recording becomes `FAILED` with a reason."""

    def left_alone(self, name: str) -> None:
        """Report a file or a folder in the spool that this service did not make."""


class DiskCleaner(Protocol):
    """The part of the finalizer that this module uses."""

    spool: Spool

    async def clear(self, recording: Recording) -> None:
        """Delete the files on the node's disk that a recording in this state does not need."""


class Retry:
    """The wait before the next try: 1, 2, 4 ... 300 seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.tries = 0
        self._due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the wait is over."""
        return time.monotonic() >= self._due

    def postpone(self) -> None:
        """Wait again, longer than before."""
        self._due = time.monotonic() + min(2**self.tries, _LONGEST_WAIT)
        self.tries = min(self.tries + 1, _MAX_TRIES)


class UnclearWrites:
    """Resolves unclear writes of one node. An error of one recording is reported, and does not affect the others."""

    def __init__(
        self, *, store: RecordingStore, finalizer: DiskCleaner, clock: Clock, reporter: Reporter, node: str
    ) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._finalizer = finalizer
        self._clock = clock
        self._reporter = reporter
        self._node = node
        self._to_check: dict[str, Retry] = {}
        self._unconfirmed: dict[str, tuple[Recording, Retry]] = {}

    async def resolve(self, running: Collection[str]) -> None:
        """Resolve the writes that are due, except those of recordings whose step is running."""
        await self._undo_unconfirmed()
        await self._check_unclear_steps(running)

    def check_later(self, recording_id: str) -> None:
        """Free the disk and the lease of a recording later, after a step whose result is unclear."""
        self._to_check.setdefault(recording_id, Retry())

    def undo_later(self, recording: Recording) -> None:
        """Undo a write of a new upload before a later claim, if the store did it without a confirmation.

        Its sender got an error, so no upload continues this recording. If bytes of it were received, it becomes
        `FAILED(INCOMPLETE)`.
        """
        self._unconfirmed[recording.id] = recording, Retry()

    async def _undo_unconfirmed(self) -> None:
        for recording_id, (intended, retry) in tuple(self._unconfirmed.items()):
            if not retry.is_due:
                continue
            try:
                is_done = await self._undo(intended) or retry.tries >= _UNDO_TRIES
            except Exception as error:  # noqa: BLE001 - no recording may stop the work on the others
                self._reporter.fault(recording_id, "undo", error)
                is_done = False
            if is_done:
                del self._unconfirmed[recording_id]
            else:
                # The store may still do the write.
                retry.postpone()

    async def _undo(self, intended: Recording) -> bool:
        """Undo an unconfirmed write. Return false if the store does not have it."""
        found = await self._store.load(intended.id)
        if found is None or found.revision < intended.revision:
            return False
        if (found.revision, found.modified) != (intended.revision, intended.modified):
            return True
        now = self._clock.now()
        if found.revision == 0 and found.id not in await self._finalizer.spool.ids():
            await self._writer.withdraw(found, Withdrawn(at=now))
            return True
        event = Failed(at=now, reason=Reason.INCOMPLETE, detail="the metadata store did not confirm the upload")
        if (failed := await self._writer.save_event_once(found, event)) is not None:
            await self._finalizer.clear(failed)
        return True

    async def _check_unclear_steps(self, running: Collection[str]) -> None:
        """Free the disk and the lease after steps that lost the connection to the store, before the lease expires."""
        for recording_id in self._to_check.keys() - set(running):
            retry = self._to_check[recording_id]
            if not retry.is_due:
                continue
            try:
                await self._check_unclear_step(recording_id)
            except Exception as error:  # noqa: BLE001 - no recording may stop the work on the others
                retry.postpone()
                self._reporter.fault(recording_id, "check", error)
            else:
                del self._to_check[recording_id]

    async def _check_unclear_step(self, recording_id: str) -> None:
        recording = await self._store.load(recording_id)
        if recording is None:
            return
        try:
            await self._finalizer.clear(recording)
        finally:
            if recording.lease is not None and recording.lease.holder == self._node:
                await self._writer.reschedule(recording, retry_later(recording, self._clock.now()))
