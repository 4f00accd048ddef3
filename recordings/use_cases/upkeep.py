"""The background steps: finalize what ended, purge what was deleted, find what was lost.

Background work is a state, not a queue. A recording that needs something has `due_at`; `claim` leases the due ones to
this process, `step` does what the state asks for and moves it on. Steps are idempotent: a process that dies in the
middle of one loses its lease, and whoever claims the recording next does the step again. `recover` runs once at the
start of a node, for what its last process left open.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from recordings.model.events import Delivered, DeliveryFailed, Ended, Event, Failed, Lost, Trashed
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY, MINUTE, SECOND, Millis
from recordings.model.recording import IN_PROGRESS, DeliveryState, EndCause, Reason, Recording, State
from recordings.ports.courier import Courier, Sent
from recordings.ports.process import Clock
from recordings.ports.recorder import Recorder
from recordings.ports.recording_store import Claim, MetadataStore
from recordings.rules.backoff import full_jitter
from recordings.rules.lifecycle import apply, due_at, retry_later
from recordings.use_cases.finalizer import CannotRender, Finalizer
from recordings.use_cases.save_event import change

LEASE: Final = 30 * MINUTE
"""How long a step has before another process may begin it anew; one that takes longer here is not begun twice."""
STRANDED: Final = DAY
"""How long a node's work may be overdue before others take it that the node is gone."""
MAX_ATTEMPTS: Final = 20
"""How often the audio processor tries audio that it fails on. With the waits between the tries, about one hour.

Whatever else a step fails for (a store that is away, a full disk) may pass at any time, and is tried for as long as
that takes: the audio is on this node's disk meanwhile, and stays there.
"""


class Reporter(Protocol):
    """Where the background work says what it did, and what went wrong."""

    def moved(self, recording: Recording, step: str) -> None:
        """A step moved a recording on."""

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """A step failed; it is tried again, or given up with a reason in the recording."""


class Upkeep:
    """Does the background steps of one node."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        finalizer: Finalizer,
        recorder: Recorder,
        courier: Courier,
        clock: Clock,
        reporter: Reporter,
        node: str,
        policy: InstallationPolicy | None = None,
    ) -> None:
        self._store = store
        self._spool = finalizer.spool
        self._finalizer = finalizer
        self._recorder = recorder
        self._courier = courier
        self._policy = policy or InstallationPolicy()
        self._clock = clock
        self._reporter = reporter
        self._node = node
        self._working: dict[str, Millis] = {}
        self._doubtful: set[str] = set()
        self._steps: Mapping[State, Callable[[Recording], Awaitable[Event | None]]] = {
            State.FINALIZING: finalizer.finalize,
            State.STORED: self._tend,
            State.TRASHED: finalizer.purge,
            **dict.fromkeys((State.DISCARDED, State.FAILED, State.LOST), self._tend),
            **dict.fromkeys(IN_PROGRESS, self._watch),
        }

    async def claim(self, limit: int) -> Sequence[Recording]:
        """Lease up to `limit` recordings that are due."""
        await self._settle_doubts()
        now = self._clock.now()
        return await self._store.claim_due(
            Claim(
                now=now,
                until=now + LEASE,
                holder=self._node,
                node=self._node,
                limit=limit,
                stranded=now - STRANDED,
            )
        )

    def doubt(self, recording_id: str) -> None:
        """Something may be on this node's disk that nobody needs any more; it is looked at before the next claim."""
        self._doubtful.add(recording_id)

    async def _settle_doubts(self) -> None:
        """What a step left open that lost the store: it must not wait for its lease to end, nor the disk be kept."""
        for name in tuple(self._doubtful - self._working.keys()):
            recording = await self._store.load(name)
            if recording is not None:
                await self._finalizer.clear(recording)
                if recording.lease is not None and recording.lease.holder == self._node:
                    later = retry_later(recording, self._clock.now(), recording.reason_detail)
                    await self._store.save(later, recording.revision)
            self._doubtful.discard(name)

    @staticmethod
    def sends(recording: Recording) -> bool:
        """Whether the step of a claimed recording waits for somebody else's server, and may do so for long."""
        delivery = recording.delivery
        return recording.state is State.STORED and delivery is not None and delivery.state is DeliveryState.PENDING

    async def postpone(self, recording: Recording) -> None:
        """Give a claimed recording back untouched, to be claimed again in a minute or so."""
        later = self._clock.now() + MINUTE // 2 + secrets.randbelow(MINUTE)
        put_back = replace(recording, due_at=later, lease=None, revision=recording.revision + 1)
        # A lost race needs no care here: whoever won it made the recording due again.
        await self._store.save(put_back, recording.revision)

    async def step(self, recording: Recording) -> Recording:
        """Do what a claimed recording needs; what failed for a reason that may pass is tried again, up to a limit."""
        if (since := self._working.get(recording.id)) is not None:
            return await self._leave(recording, since)
        try:
            moved = await self._move(recording)
            # Whatever comes next for it need not wait for this, and is claimed already, perhaps.
            await self._finalizer.clear(moved)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the recording has to say so
            self.doubt(recording.id)
            self._reporter.fault(recording.id, recording.state.value.lower(), error)
            return await self._try_again(recording, error)
        self._reporter.moved(moved, recording.state.value.lower())
        return moved

    async def _leave(self, recording: Recording, since: Millis) -> Recording:
        """What becomes of a claim on a recording that a step is at work on since then."""
        now = self._clock.now()
        if now - since >= LEASE:
            # A long step outlived its lease. It goes on; what was claimed here is the lease that follows.
            return recording
        # Its step moved it on and is about to end, or somebody else did: that must not wait for the end of a lease.
        later = now + max(SECOND, now - since)
        put_back = replace(recording, due_at=later, lease=None, revision=recording.revision + 1)
        await self._store.save(put_back, recording.revision)
        return put_back

    async def _move(self, recording: Recording) -> Recording:
        self._working[recording.id] = self._clock.now()
        try:
            held_elsewhere = recording.node not in {None, self._node}
            step = self._strand if held_elsewhere else self._steps[recording.state]
            event = await step(recording)
            if event is None:
                return await self._settle(recording)
            if isinstance(event, Trashed):
                return await self._retire(recording, event)
            return await change(self._store, recording, event)
        finally:
            del self._working[recording.id]

    async def _retire(self, recording: Recording, event: Trashed) -> Recording:
        # Saved once and not run again: whoever won the race may have given it another date, and made it due for that.
        trashed = apply(recording, event)
        if await self._store.save(trashed, recording.revision):
            return trashed
        return await self._store.load(recording.id) or recording

    async def recover(self) -> Sequence[Recording]:
        """Bring to an end what the last process of this node left open; what was recovered.

        Audio that was being recorded is finalized with what there is; a body that was coming in is `INCOMPLETE`, and
        its sender may send it again.
        """
        await self._store.release_leases(self._node, self._clock.now())
        recovered: list[Recording] = []
        while held := [taken for taken in await self._store.held_by(self._node) if not await self._is_open(taken)]:
            recovered += [await self._close(recording) for recording in held]
        recovered += [found for name in await self._spool.ids() if (found := await self._adopt(name))]
        for name in await self._spool.ids_aside():
            await self._sweep(name)
        for recording in recovered:
            self._reporter.moved(recording, "recover")
        return recovered

    async def adopt(self) -> Sequence[Recording]:
        """Take up again what others gave up for lost because this node was not heard of for long; what was taken up."""
        adopted = []
        for name in await self._spool.ids():
            recording = await self._store.load(name)
            is_ours = recording is not None and recording.node == self._node and recording.state is State.LOST
            if recording is not None and is_ours and not await self._is_part(recording):
                adopted.append(await self._take_up(recording))
        return [recording for recording in adopted if recording is not None]

    async def _is_open(self, recording: Recording) -> bool:
        return await self._recorder.is_open(recording.id)

    async def _close(self, recording: Recording) -> Recording:
        now = self._clock.now()
        event: Event = Ended(at=now, cause=EndCause.SERVER_RESTART)
        if recording.source_key is not None:
            event = Failed(at=now, reason=Reason.INCOMPLETE, detail="the server restarted while it was coming in")
        closed = await change(self._store, recording, event)
        await self._finalizer.clear(closed)
        return closed

    async def _sweep(self, name: str) -> None:
        # A sender that came back went to another node, perhaps, and so did the purge.
        recording = await self._store.load(name)
        if recording is not None and recording.state is State.PURGED:
            await self._spool.forget(name)

    async def _adopt(self, name: str) -> Recording | None:
        # Something is on the disk. Either it is still needed, or a step died just before it cleared away.
        recording = await self._store.load(name)
        if recording is None or (recording.state is State.LOST and await self._is_part(recording)):
            await self._spool.set_aside(name)
        elif recording.in_progress or recording.state in {State.LOST, State.FINALIZING}:
            return await self._take_up(recording)
        else:
            await self._finalizer.clear(recording)
        return None

    async def _is_part(self, recording: Recording) -> bool:
        """Whether whoever brought it never came to the end of it."""
        is_upload = recording.source_key is not None and recording.imported is None
        unfinished = is_upload and recording.source_sha256 is None
        return unfinished or await self._spool.audio(recording.id) is None

    async def _take_up(self, recording: Recording) -> Recording | None:
        """Have this node finalize what it has audio of, and now: whatever its name, or the clock, was before."""
        now = self._clock.now()
        is_ours = recording.node == self._node
        # A sender goes to any node, so what came in here may be an earlier attempt than that of the other node.
        if recording.lease is not None or (recording.source_key is not None and not is_ours):
            return None
        if recording.in_progress and (is_ours or await self._is_open(recording)):
            return None
        ended = apply(recording, Ended(at=now, cause=EndCause.SERVER_RESTART))
        if is_ours and ended is recording and (recording.due_at or 0) <= now:
            return None
        taken = replace(ended, node=self._node, revision=recording.revision + 1)
        if taken.state is State.FINALIZING:
            taken = replace(taken, due_at=now)
        if not await self._store.save(taken, recording.revision):
            return None
        await self._finalizer.clear(taken)
        return taken

    async def _watch(self, recording: Recording) -> Event | None:
        # Its time limit is over for a while. Either the recorder is late, or nobody records it any more.
        if await self._is_open(recording):
            return None
        now = self._clock.now()
        if recording.state is State.REQUESTED:
            # Whoever asked for it did not hear that its row was kept, and so nobody began it.
            return Ended(at=now, cause=EndCause.DISCONNECTED)
        if recording.source_key is not None:
            return Failed(at=now, reason=Reason.INCOMPLETE, detail="its sender went silent")
        if await self._spool.audio(recording.id) is not None:
            return Ended(at=now, cause=EndCause.DISCONNECTED)
        return Lost(at=now, reason=Reason.RECORDER_GONE, detail="its recorder never said that it ended")

    async def _strand(self, recording: Recording) -> Event | None:
        # Its node holds audio that nobody else can reach. If it comes back, it adopts what it has.
        if recording.in_progress or recording.state is State.FINALIZING:
            detail = f"node {recording.node} has not come back"
            return Lost(at=self._clock.now(), reason=Reason.RECORDER_GONE, detail=detail)
        return await self._steps[recording.state](recording)

    async def _tend(self, recording: Recording) -> Event | None:
        now = self._clock.now()
        delivery = recording.delivery
        if delivery is not None and delivery.state is DeliveryState.PENDING and recording.media is not None:
            return await self._deliver(recording)
        if recording.hold is None and recording.delete_at is not None and recording.delete_at <= now:
            purge_at = now + self._policy.trash_window
            return Trashed(at=now, by="retention", purge_at=purge_at, reason="its retention is over")
        return None

    async def _deliver(self, recording: Recording) -> Event:
        receipt = await self._courier.deliver(recording)
        now = self._clock.now()
        delivery_id = recording.delivery.id if recording.delivery else None
        if receipt.sent is Sent.DELIVERED:
            return Delivered(at=now, delivery_id=delivery_id)
        attempts = recording.delivery.attempts + 1 if recording.delivery else 1
        wait = full_jitter(attempts, receipt.after) if receipt.sent is Sent.AGAIN else None
        retry_at = None if wait is None else now + wait
        return DeliveryFailed(at=now, error=receipt.error, retry_at=retry_at, delivery_id=delivery_id)

    async def _settle(self, recording: Recording) -> Recording:
        """Give a claimed recording back that needed nothing: due when its state says so, or a little later."""
        later = retry_later(recording, self._clock.now(), recording.reason_detail)
        if not recording.in_progress:
            later = replace(later, attempts=0, due_at=due_at(recording, self._clock.now()))
        await self._store.save(later, recording.revision)
        return later

    async def _try_again(self, recording: Recording, error: Exception) -> Recording:
        detail = f"{type(error).__name__}: {error}"[:500]
        if recording.attempts + 1 >= MAX_ATTEMPTS and isinstance(error, CannotRender):
            failed = Failed(at=self._clock.now(), reason=Reason.FINALIZER_FAILED, detail=detail)
            given_up = await change(self._store, recording, failed)
            await self._finalizer.clear(given_up)
            return given_up
        later = retry_later(recording, self._clock.now(), detail)
        # A lost race needs no care here: whoever won it made the recording due again.
        await self._store.save(later, recording.revision)
        return later
