"""The use cases for uploads: a sender opens an upload, and it is finished, broken off or refused.

The receiver writes the bytes to the spool and calls these use cases. A recording is in the store before its first byte
is acknowledged. So a crash never leaves audio without a recording.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from recordings.model.account import Account, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.call import Call
from recordings.model.errors import Conflict
from recordings.model.events import Created, Discarded, Ended, Failed, Reopened, Withdrawn
from recordings.model.options import FORMATS, MAX_TIME_LIMIT, RecordingOptions
from recordings.model.recording import EndCause, Lease, Reason, Recording, State
from recordings.model.retention import delete_at
from recordings.ports.audio import Spool
from recordings.ports.audit import Audit, Refusals, list_object
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError, Taken, Unique
from recordings.ports.wake_up import NoSlots, StepSlots, WakeUp
from recordings.rules.access import require_scope
from recordings.rules.held_source import first_of, has_stored_audio
from recordings.rules.lifecycle import apply, due_at
from recordings.use_cases.authorized import Authorized, no_recording
from recordings.use_cases.quotas import Quotas
from recordings.use_cases.save_event import MAX_TRIES, RecordingWriter
from recordings.use_cases.start import describe_origin, recording_of_call
from recordings.use_cases.work_claims import LEASE

EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The SHA-256 of no bytes."""


class Ingest:
    """Receives uploads from switches, for the account of an ingest address."""

    def __init__(  # noqa: PLR0913 - each dependency by its name
        self,
        *,
        store: MetadataStore,
        spool: Spool,
        clock: Clock,
        audit: Audit,
        wake: WakeUp,
        node: str,
        admit: Callable[[Call], Awaitable[None]] | None = None,
        quotas: Quotas | None = None,
        undo_later: Callable[[Recording], None] | None = None,
        slots: StepSlots | None = None,
    ) -> None:
        """Make the use cases. By default, `slots` has no free slots.

        - `admit` raises `ForbiddenByPolicy` if a lock forbids to record a call.
        - `undo_later` receives a recording that the store may have written without a confirmation, or that could not
          be ended.
        """
        self._admit = admit
        self._quotas = quotas or Quotas(store, clock, audit)
        self._undo_later = undo_later or (lambda _recording: None)
        self._store = store
        self._writer = RecordingWriter(store)
        self._spool = spool
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._slots = slots or NoSlots()
        self._node = node
        self._authorized = Authorized(store)

    def slot(self, principal: Principal) -> AbstractContextManager[None]:
        """Return the context in which an upload of an account is opened and received. It counts the upload."""
        return self._quotas.upload(principal.account_id)

    async def open(
        self,
        principal: Principal,
        call: Call,
        *,
        name: str,
        extension: str,
        source_key: str,
        recording_id: str | None = None,
        label: str | None = None,
    ) -> Recording:
        """Return the recording for a new upload. It is `RECORDING` on this server.

        If an incomplete upload has the same `source_key`, that recording is opened again: this is the sender's next
        attempt. The sender's own `recording_id` is used if it is free. `call.started` is when the audio began.

        Raises:
            Forbidden: the principal does not have the scope INGEST.
            ForbiddenByPolicy: a lock of the account forbids to record the call.
            QuotaExceeded: a quota of the account is used up. The next attempt of an accepted upload is not refused.
        """
        require_scope(principal, Scope.INGEST)
        if self._admit is not None:
            await self._admit(call)
        account = await self._authorized.account(principal, principal.account_id)
        self._quotas.require_upload(account)
        recording = await self._reopen(principal.account_id, source_key)
        if recording is None:
            target = AuditObject("call", call.call_id, call.account_id)
            with Refusals(self._audit, principal, AuditAction.RECEIVE, target):
                await self._quotas.require_recording(account)
            fresh = self._new(account, call, label)
            audio_format = extension if extension in FORMATS else "mp3"
            fresh = replace(fresh, name=name, format=audio_format, source_key=source_key)
            recording = await self._create(fresh, recording_id)
        self._audit.count(principal, AuditAction.RECEIVE, list_object(recording.account_id))
        return recording

    async def finish(self, recording: Recording, sha256: str) -> Recording:
        """End an upload. All its bytes are on the disk. Return its recording, or the earlier recording of these bytes.

        `recording` is that of `open`: its later changes are not lost.

        The same bytes under the same `source_key` are a sender's retry: the new recording becomes
        `DISCARDED(DUPLICATE)`, and the earlier one is returned. Other bytes are another take of the call. An empty
        upload becomes `DISCARDED(EMPTY)`. It is safe to finish copies at the same time, also on several servers.

        Raises:
            Conflict: the recording was removed, or other copies of these bytes kept changing.
        """
        if sha256 == EMPTY_SHA256:
            return await self._discard(recording, Reason.EMPTY, "the body was empty")
        complete = replace(recording, source_sha256=sha256)
        for _ in range(MAX_TRIES):
            original = first_of(found for found in await self._copies(complete) if self._is_safe(found))
            if original is not None:
                await self._discard(recording, Reason.DUPLICATE, f"the same bytes are recording {original.id}")
                return original
            ended = Ended(at=self._clock.now(), cause=EndCause.RECEIVED, source_sha256=sha256)
            try:
                finished = await self._end(recording, ended)
            except Taken:
                # Another copy was finished in this moment.
                continue
            return await self._first_copy(finished)
        message = f"other copies of recording {recording.id} keep changing: try again"
        raise Conflict(message, recording_id=recording.id)

    async def _end(self, recording: Recording, ended: Ended) -> Recording:
        """Save the end of an upload. Start its next step at once if there is a slot for it, without a claim."""
        slot = self._slots.reserve(recording.account_id)
        if slot is None:
            finished = await self._writer.save_event(recording, ended)
            self._wake()
            return finished
        lease = Lease(self._node, ended.at + LEASE)
        try:
            finished = await self._writer.save_event(recording, ended, lease=lease)
        except Taken:
            slot.free()
            raise
        except BaseException:
            slot.free_unclear(recording.id)
            raise
        if finished.lease == lease:
            slot.start(finished)
        else:
            slot.free()
        return finished

    async def _first_copy(self, finished: Recording) -> Recording:
        """Return the recording that will be stored of these bytes.

        If it is not `finished`, that one is kept until the other is stored; then the finalizer discards it.
        """
        if finished.state is not State.FINALIZING:
            return finished
        return first_of([finished, *await self._copies(finished)]) or finished

    async def _copies(self, recording: Recording) -> Sequence[Recording]:
        """Return the other recordings that hold the uploaded file of a recording."""
        found = await self._store.find_holders(recording.account_id, recording.source) if recording.source else ()
        return [each for each in found if each.id != recording.id]

    def _is_safe(self, copy: Recording) -> bool:
        # Audio on another server's disk can be lost with that disk. Then these bytes are the only copy.
        return has_stored_audio(copy) or copy.node == self._node

    async def break_off(self, recording_id: str, detail: str) -> Recording:
        """Mark an incomplete upload as `FAILED(INCOMPLETE)` and set its bytes aside.

        A completed upload stays as it is: its receiver may have lost the store's reply, and so not know the result.

        Raises:
            NotFound: there is no such recording.
        """
        failed = Failed(at=self._clock.now(), reason=Reason.INCOMPLETE, detail=detail[:500])
        recording = await self._load(recording_id)
        changed = await self._writer.save_event(recording, failed, only_in=State.RECORDING)
        if changed.state is State.FAILED:
            await self._spool.set_aside(recording_id)
        return changed

    async def refuse(self, recording_id: str) -> None:
        """Remove an upload that is refused, and its bytes. If an earlier attempt failed, the recording fails again."""
        await self._spool.remove(recording_id)
        recording = await self._store.load(recording_id)
        if recording is None:
            return
        now = self._clock.now()
        if recording.revision == 0:
            await self._writer.withdraw(recording, Withdrawn(at=now))
            return
        failed = Failed(at=now, reason=Reason.INCOMPLETE, detail="the next attempt was refused")
        await self._writer.save_event(recording, failed)

    def end_later(self, recording: Recording) -> None:
        """End an upload when the store is available again, because `break_off` or `refuse` could not.

        `recording` is that of `open`. If it was changed since, the watchdog ends it.
        """
        self._undo_later(recording)

    def _new(self, account: Account, call: Call, label: str | None) -> Recording:
        now = self._clock.now()
        recording = recording_of_call(call, account, call.started, self._node)
        recording = replace(
            recording,
            state=State.RECORDING,
            created=now,
            modified=now,
            # The switch has applied its own time limit. This one limits how long the upload may take.
            options=RecordingOptions(time_limit=MAX_TIME_LIMIT),
            origin=describe_origin(recording, label),
            label=label,
        )
        return replace(recording, due_at=due_at(recording, now), delete_at=delete_at(account.retention, recording))

    async def _create(self, recording: Recording, wanted_id: str | None) -> Recording:
        created = Created(at=recording.created)
        if wanted_id is not None:
            try:
                return await self._insert(replace(recording, id=wanted_id), created)
            except Taken as taken:
                if taken.what is not Unique.ID:
                    raise
        return await self._insert(recording, created)

    async def _insert(self, recording: Recording, created: Created) -> Recording:
        try:
            return await self._writer.create(recording, created)
        except StoreUnavailableError:
            # The sender sends the file again. A recording without a sender would be in progress for hours.
            self._undo_later(recording)
            raise

    async def _reopen(self, account_id: str, source_key: str) -> Recording | None:
        for found in await self._store.find_source(account_id, source_key):
            if found.state is State.FAILED and found.reason is Reason.INCOMPLETE:
                # If two attempts of a sender arrive at the same time, only one of them may get this recording.
                reopened = Reopened(at=self._clock.now(), node=self._node)
                try:
                    recording = await self._writer.save_event_once(found, reopened)
                except StoreUnavailableError:
                    self._undo_later(apply(found, reopened))
                    raise
                if recording is not None:
                    return recording
        return None

    async def _discard(self, recording: Recording, reason: Reason, detail: str) -> Recording:
        event = Discarded(at=self._clock.now(), reason=reason, detail=detail)
        discarded = await self._writer.save_event(recording, event)
        await self._spool.remove(recording.id)
        return discarded

    async def _load(self, recording_id: str) -> Recording:
        recording = await self._store.load(recording_id)
        if recording is None:
            raise no_recording(recording_id)
        return recording
