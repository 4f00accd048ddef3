"""The background steps: finalize ended recordings, deliver them, purge deleted ones, and recover after a crash.

Background work is a state, not a queue. A recording that needs a step has `due_at`. `claim` leases the due recordings
to this process; `step` does what the state needs and saves the result. Steps are idempotent: if a process dies during a
step, its lease expires, and the next process that claims the recording does the step again. `recover` runs once when a
server starts. It ends what the last process of this node left open.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Final

from recordings.model.events import (
    Begun,
    Delivered,
    DeliveryFailed,
    Ended,
    Event,
    Failed,
    Lost,
    Rescheduled,
    Stored,
    Trashed,
)
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import SECOND, Millis
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import IN_PROGRESS, DeliveryState, EndCause, Reason, Recording, State
from recordings.ports.audio import SpoolDamaged
from recordings.ports.clock import Clock, ClockMark
from recordings.ports.courier import Courier, DeliveryOutcome
from recordings.ports.recorder import Capability, Recorder
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError, Taken
from recordings.rules.backoff import full_jitter
from recordings.rules.fault_words import describe_fault
from recordings.rules.lifecycle import WITH_AUDIO, due_at, retry_later
from recordings.use_cases.clock_repair import ClockRepair
from recordings.use_cases.finalizer import CannotRender, Finalizer, Unreadable
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.unclear_writes import Reporter, UnclearWrites
from recordings.use_cases.work_claims import LEASE, NODE_GONE_AFTER, WorkClaims

MAX_ATTEMPTS: Final = 20
"""How often the audio processor tries audio that it fails on, and how often a storage provider is tried.

With the waits between the tries, this takes about one hour.

Other errors (an unreachable store, a full disk) may pass at any time. Those steps are retried without a limit. The
audio stays on this node's disk.
"""


class Upkeep:
    """Runs the background steps of one node."""

    def __init__(  # noqa: PLR0913 - each dependency by its name
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
        mark: ClockMark | None = None,
    ) -> None:
        self._store = store
        self.claims = WorkClaims(store, clock, node)
        self._writer = RecordingWriter(store)
        self._clock_repair = ClockRepair(store, clock, LEASE, mark)
        self._unclear = UnclearWrites(store=store, finalizer=finalizer, clock=clock, reporter=reporter, node=node)
        self._spool = finalizer.spool
        self._finalizer = finalizer
        self._recorder = recorder
        self._courier = courier
        self._policy = policy or InstallationPolicy()
        self._clock = clock
        self._reporter = reporter
        self._node = node
        self._running: dict[str, Millis] = {}
        self._steps: Mapping[State, Callable[[Recording], Awaitable[Event | None]]] = {
            State.FINALIZING: finalizer.finalize,
            State.STORED: self._deliver_or_expire,
            State.TRASHED: finalizer.purge,
            **dict.fromkeys((State.DISCARDED, State.FAILED, State.LOST), self._deliver_or_expire),
            **dict.fromkeys(IN_PROGRESS, self._check_take),
        }

    async def prepare(self) -> None:
        """Repair what a wrong clock or an unclear write has left. Call it before a claim."""
        await self._clock_repair.run(self._running.keys)
        await self._unclear.resolve(self._running.keys())

    async def claim(self, limit: int) -> Sequence[Recording]:
        """Lease up to `limit` due recordings to this node, of all kinds of work. The oldest come first."""
        await self.prepare()
        return await self.claims.claim_all(limit)

    def check_later(self, recording_id: str) -> None:
        """Check a recording before the next claim: its audio may still be on this node's disk without need."""
        self._unclear.check_later(recording_id)

    def undo_later(self, recording: Recording) -> None:
        """Undo a write of a new upload before a later claim, if the store did it without a confirmation."""
        self._unclear.undo_later(recording)

    async def step(self, recording: Recording) -> Recording:
        """Do the step that a claimed recording needs. A step that fails is retried; see `MAX_ATTEMPTS`."""
        if (since := self._running.get(recording.id)) is not None:
            return await self._release_running(recording, since)
        try:
            moved = await self._run_step(recording)
            # The next step of this recording does not wait for this. It may be claimed already.
            await self._finalizer.clear(moved)
        except Exception as error:  # noqa: BLE001 - every error must be visible in the recording
            self.check_later(recording.id)
            self._reporter.fault(recording.id, recording.state.value.lower(), error)
            return await self._retry(recording, error)
        self._reporter.moved(moved, recording.state.value.lower())
        return moved

    async def _release_running(self, recording: Recording, since: Millis) -> Recording:
        """Handle a claim on a recording that this process already works on. `since` is when that step started."""
        now = self._clock.now()
        if now - since >= LEASE:
            # The running step is longer than its lease. It continues, and this claim is its new lease.
            return recording
        # The running step has saved its result and is about to end, or another process changed the recording. The next
        # step must not wait until the lease expires.
        later = now + max(SECOND, now - since)
        return await self._writer.reschedule(recording, Rescheduled(at=now, due_at=later)) or recording

    async def _run_step(self, recording: Recording) -> Recording:
        self._running[recording.id] = self._clock.now()
        try:
            is_elsewhere = recording.node not in {None, self._node}
            step = self._abandon if is_elsewhere else self._steps[recording.state]
            event = await step(recording)
            if event is None:
                return await self._release(recording)
            if isinstance(event, Trashed):
                return await self._trash(recording, event)
            return await self._save(recording, event)
        finally:
            del self._running[recording.id]

    async def _save(self, recording: Recording, event: Event) -> Recording:
        try:
            return await self._writer.save_event(recording, event)
        except Taken:
            original = await self._finalizer.first_copy(recording)
            if not isinstance(event, Stored) or original is None:
                raise
            # Another server has just stored the same uploaded file.
            return await self._writer.save_event(recording, await self._finalizer.discard_copy(event, original))

    async def _trash(self, recording: Recording, event: Trashed) -> Recording:
        await self._finalizer.note_expiry(recording)
        # If another process wins the race, it may have set another `delete_at`. Its own due date is right then.
        trashed = await self._writer.save_event_once(recording, event)
        return trashed or await self._store.load(recording.id) or recording

    async def recover(self, before: Millis | None = None) -> Sequence[Recording]:
        """End the recordings that the last process of this node left open. Return them.

        A recording in progress is finalized with the audio that it has. An upload becomes `FAILED(INCOMPLETE)`, and
        its sender may send it again. A recording that cannot be recovered is reported, and the others are recovered.
        With `before`, recordings that were changed later are left alone: they belong to this process.
        """
        await self._store.release_leases(self._node, self._clock.now())
        recovered: list[Recording | None] = []
        tried: set[str] = set()
        while open_here := [each for each in await self._store.held_by(self._node) if each.id not in tried]:
            for recording in open_here:
                tried.add(recording.id)
                is_own = before is not None and recording.modified >= before
                if not is_own and not self._continues(recording) and not await self._recorder.is_open(recording.id):
                    recovered.append(await self._guarded(recording.id, self._close(recording)))
        names, unknown = await self._spool.ids(), dict[str, str]()
        for path in await self._spool.others():
            name = path.rpartition("/")[2]
            if name not in names or name in unknown:
                self._reporter.left_alone(path)
            else:
                unknown[name] = path
        for name in names:
            recovered.append(await self._guarded(name, self._recover_spooled(name, unknown.get(name))))  # noqa: PERF401
        for name in await self._spool.ids_aside():
            await self._guarded(name, self._forget_purged(name))
        done = [recording for recording in recovered if recording is not None]
        for recording in done:
            self._reporter.moved(recording, "recover")
        return done

    async def _guarded(self, recording_id: str, work: Coroutine[None, None, Recording | None]) -> Recording | None:
        """Do a part of the recovery. Report an error of one recording, and return `None`."""
        try:
            return await work
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - no recording may stop the recovery of the others
            self._reporter.fault(recording_id, "recover", error)
            return None

    async def adopt(self) -> Sequence[Recording]:
        """Take over recordings whose audio is on this disk, but which other nodes marked as `LOST`. Return them.

        Other nodes do that if this node was unreachable for long.
        """
        adopted = [await self._guarded(name, self._adopt(name)) for name in await self._spool.ids()]
        return [recording for recording in adopted if recording is not None]

    async def _adopt(self, name: str) -> Recording | None:
        recording = await self._store.load(name)
        is_own = recording is not None and recording.node == self._node and recording.state is State.LOST
        if recording is None or not is_own or await self._is_incomplete(recording):
            return None
        return await self._take_over(recording)

    def _continues(self, recording: Recording) -> bool:
        """Return true if the switch goes on with a take: its recorder continues it when it is connected."""
        return Capability.CONTINUES in self._recorder.capabilities_of(recording.recorder)

    async def _close(self, recording: Recording) -> Recording:
        now = self._clock.now()
        recording = await self._with_beginning(recording)
        event: Event = Ended(at=now, cause=EndCause.SERVER_RESTART)
        if recording.source_key is not None:
            event = Failed(at=now, reason=Reason.INCOMPLETE, detail="the server restarted during the upload")
        closed = await self._writer.save_event(recording, event)
        await self._clear(closed)
        return closed

    async def _with_beginning(self, recording: Recording) -> Recording:
        """Save the beginning of a take that has audio, if the server died before it saved that."""
        if recording.state not in {State.REQUESTED, State.ARMED} or not await self._has_audio(recording.id):
            return recording
        return await self._writer.save_event(recording, Begun(at=recording.created))

    async def _clear(self, recording: Recording) -> None:
        """Free the disk. If that fails, try again before a later claim."""
        try:
            await self._finalizer.clear(recording)
        except Exception as error:  # noqa: BLE001 - the recording itself was saved
            self.check_later(recording.id)
            self._reporter.fault(recording.id, "clear", error)

    async def _forget_purged(self, name: str) -> None:
        # The sender may have sent the upload to another node, and the recording was purged there.
        recording = await self._store.load(name)
        if recording is not None and recording.state is State.PURGED:
            await self._spool.forget(name)

    async def _recover_spooled(self, name: str, unknown: str | None) -> Recording | None:
        """Take over or clear spooled audio: a step needs it, or a step died just before it cleared the spool.

        `unknown` is the path of a folder that has no description. Without a recording, it is left alone.
        """
        recording = await self._store.load(name)
        if recording is None and unknown is not None:
            self._reporter.left_alone(unknown)
            return None
        if recording is None or (recording.state is State.LOST and await self._is_incomplete(recording)):
            await self._spool.set_aside(name)
        elif recording.in_progress or recording.state in {State.LOST, State.FINALIZING}:
            return await self._take_over(recording)
        else:
            await self._clear(recording)
        return None

    async def _is_incomplete(self, recording: Recording) -> bool:
        """Return true if the sender did not complete the upload, or nothing of it is in the spool."""
        is_upload = recording.source_key is not None and recording.imported is None
        unfinished = is_upload and recording.source_sha256 is None
        return unfinished or not await self._has_audio(recording.id)

    async def _has_audio(self, recording_id: str) -> bool:
        try:
            return await self._spool.audio(recording_id) is not None
        except SpoolDamaged:
            # The finalizer sets it aside, with the reason.
            return True

    async def _take_over(self, recording: Recording) -> Recording | None:
        """Let this node finalize a recording now, because its audio is on this disk.

        The recording may belong to another node, or be due later; both can be wrong after a copy of the data folder or
        a change of the clock. Return `None` if there is nothing to take over.
        """
        now = self._clock.now()
        is_own = recording.node == self._node
        # A sender may use any node, so this may be an earlier attempt than the one on the other node.
        if recording.lease is not None or (recording.source_key is not None and not is_own):
            return None
        if recording.in_progress and (is_own or await self._recorder.is_open(recording.id)):
            return None
        if recording.state is not State.FINALIZING:
            ended = Ended(at=now, cause=EndCause.SERVER_RESTART, node=self._node)
            taken = await self._writer.save_event_once(recording, ended)
        elif is_own and (recording.due_at or 0) <= now:
            return None
        else:
            taken = await self._writer.reschedule(recording, Rescheduled(at=now, due_at=now, node=self._node))
        if taken is not None:
            await self._clear(taken)
        return taken

    async def _check_take(self, recording: Recording) -> Event | None:
        """Check a recording that is still in progress after its time limit: its recorder is late, or gone."""
        now = self._clock.now()
        waits = NODE_GONE_AFTER + recording.options.time_limit * SECOND
        # No server of this installation may be connected to the switch now.
        is_awaited = recording.state in WITH_AUDIO and self._continues(recording)
        if (is_awaited and now - recording.start < waits) or await self._recorder.is_open(recording.id):
            return None
        recording = await self._with_beginning(recording)
        if recording.state is State.REQUESTED:
            # The caller's request failed after the insert, so that nothing called the recorder.
            return Ended(at=now, cause=EndCause.DISCONNECTED)
        if recording.consent is not None and recording.consent.state is ConsentState.WAITING:
            return Ended(at=now, cause=EndCause.TIME_LIMIT)
        if recording.source_key is not None:
            return Failed(at=now, reason=Reason.INCOMPLETE, detail="the sender stopped sending")
        if await self._has_audio(recording.id):
            return Ended(at=now, cause=EndCause.DISCONNECTED)
        return Lost(at=now, reason=Reason.RECORDER_GONE, detail="the recorder did not report an end")

    async def _abandon(self, recording: Recording) -> Event | None:
        """Do the step of a recording whose node is gone. Only that node can read its audio, and may adopt it later."""
        if recording.in_progress or recording.state is State.FINALIZING:
            if recording.node is not None and not await self._recorder.is_gone(recording.node):
                # The node is running, so this server's clock is wrong.
                return None
            detail = f"node {recording.node} has not come back"
            return Lost(at=self._clock.now(), reason=Reason.RECORDER_GONE, detail=detail)
        return await self._steps[recording.state](recording)

    async def _deliver_or_expire(self, recording: Recording) -> Event | None:
        now = self._clock.now()
        delivery = recording.delivery
        if delivery is not None and delivery.state is DeliveryState.PENDING and recording.media is not None:
            return await self._deliver(recording)
        if recording.hold is None and recording.delete_at is not None and recording.delete_at <= now:
            purge_at = now + self._policy.trash_window
            return Trashed(at=now, by="retention", purge_at=purge_at, reason="its retention is over")
        return None

    async def _deliver(self, recording: Recording) -> Event:
        result = await self._courier.deliver(recording)
        now = self._clock.now()
        delivery_id = recording.delivery.id if recording.delivery else None
        if result.outcome is DeliveryOutcome.DELIVERED:
            return Delivered(at=now, delivery_id=delivery_id)
        attempts = recording.delivery.attempts + 1 if recording.delivery else 1
        wait = full_jitter(attempts, result.retry_after) if result.outcome is DeliveryOutcome.RETRY else None
        retry_at = None if wait is None else now + wait
        return DeliveryFailed(at=now, error=result.error, retry_at=retry_at, delivery_id=delivery_id)

    async def _release(self, recording: Recording) -> Recording:
        """Release a claimed recording that needed no step. Its state gives the due date, or it is tried again."""
        now = self._clock.now()
        event = retry_later(recording, now)
        if not recording.in_progress and recording.state is not State.FINALIZING:
            event = Rescheduled(at=now, due_at=due_at(recording, now), attempts=0)
        return await self._writer.reschedule(recording, event) or recording

    async def _retry(self, recording: Recording, error: Exception) -> Recording:
        detail = describe_fault(error)[:500]
        if recording.attempts + 1 >= MAX_ATTEMPTS and isinstance(error, CannotRender | Unreadable):
            last: Event = Failed(at=self._clock.now(), reason=Reason.FINALIZER_FAILED, detail=detail)
            if isinstance(error, Unreadable):
                last = Lost(at=self._clock.now(), reason=Reason.AUDIO_MISSING, detail=str(error)[:500])
            given_up = await self._writer.save_event(recording, last)
            await self._clear(given_up)
            return given_up
        event = retry_later(recording, self._clock.now(), detail)
        return await self._writer.reschedule(recording, event) or recording
