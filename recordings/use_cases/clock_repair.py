"""The repair of due dates that were set by a wrong clock.

A clock that was ahead for a while sets retries, leases, deliveries and deletions too late, by the size of its error.
When the clock goes back, this repair examines all recordings once. It brings forward the dates that no correct clock
sets. The clock may also go back while the server is stopped, so the server keeps the last instant that it has seen.
"""

from collections.abc import Callable, Collection
from typing import Final

from recordings.model.events import Rescheduled
from recordings.model.fields import RecordingRow
from recordings.model.instants import MINUTE, Millis
from recordings.model.recording import DeliveryState, Recording, State
from recordings.ports.clock import Clock, ClockMark
from recordings.ports.recording_store import RecordingStore
from recordings.rules.backoff import LONGEST
from recordings.use_cases.save_event import RecordingWriter

JUMP: Final = MINUTE
"""By how much the clock must go back between two claims, before the due dates are examined."""
_MARK: Final = MINUTE
"""How often the instant of a claim is kept."""
_RETRY: Final = 5 * MINUTE
_PAGE: Final = 1_000
_FIELDS: Final = frozenset({
    "id", "state", "due_at", "lease", "delivery", "purge_at", "trashed_at", "delete_at", "start", "hold",
})  # fmt: skip


class ClockRepair:
    """Notices that the clock went back, and repairs the due dates in the store."""

    def __init__(self, store: RecordingStore, clock: Clock, lease: Millis, mark: ClockMark | None = None) -> None:
        """`lease` is the duration of the lease of a step. Without a `mark`, a restart forgets the clock."""
        self._store = store
        self._writer = RecordingWriter(store)
        self._clock = clock
        self._lease = lease
        self._mark = mark
        self._marked: Millis | None = None
        self._last: Millis | None = None

    async def run(self, running: Callable[[], Collection[str]]) -> None:
        """Repair the due dates if the clock went back since the last call, also of an earlier process."""
        if self._last is None and self._mark is not None:
            self._last = await self._mark.read()
        now = self._clock.now()
        if self._last is not None and now < self._last - JUMP:
            await self.repair(running)
            self._marked = None
        self._last = now
        # Only after the repair. If it fails, the next call repairs again.
        if self._mark is not None and (self._marked is None or now >= self._marked + _MARK):
            await self._mark.write(now)
            self._marked = now

    async def repair(self, running: Callable[[], Collection[str]]) -> int:
        """Bring forward the due dates that are too late. Return their number. Skip recordings whose step is running."""
        after, repaired = "", 0
        while rows := await self._store.scan(after, _PAGE, _FIELDS):
            after = rows[-1]["id"]
            for row in rows:
                wanted = self._due_at(row)
                if wanted is not None and row["id"] not in running():
                    repaired += await self._bring_forward(row, wanted)
        return repaired

    async def _bring_forward(self, row: RecordingRow, wanted: Millis) -> bool:
        recording = await self._store.load(row["id"])
        if recording is None or recording.due_at != row["due_at"]:
            return False
        event = Rescheduled(at=self._clock.now(), due_at=wanted)
        moved: Recording | None = await self._writer.reschedule(recording, event)
        return moved is not None

    def _due_at(self, row: RecordingRow) -> Millis | None:
        """Return the correct due date of a recording; `None` if its due date may be correct."""
        now, due = self._clock.now(), row["due_at"]
        if due is None or due <= now + self._lease + JUMP:
            return None
        if row["lease"] is not None:
            return now
        if row["state"] == State.FINALIZING:
            return now
        delivery = row["delivery"]
        if delivery is not None and delivery["state"] == DeliveryState.PENDING and due > now + LONGEST + _RETRY:
            return now
        if row["state"] == State.TRASHED:
            return _shifted(now, row["trashed_at"], row["purge_at"], due)
        return _shifted(now, row["start"], row["delete_at"], due)


def _shifted(now: Millis, since: Millis | None, until: Millis | None, due: Millis) -> Millis | None:
    """Return the end of a period that began in the future, as if it had begun now."""
    if since is None or until is None or due != until or since <= now + JUMP:
        return None
    return now + (until - since)
