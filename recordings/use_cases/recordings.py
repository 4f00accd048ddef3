"""The use cases for recordings. All interfaces call them; authorisation, idempotency and audit happen here only.

Reads return rows: plain mappings with the requested fields. Actions return the changed `Recording`. A request that is
not allowed raises `recordings.model.errors.Refused`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from recordings.model.account import Account, Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.call import Call
from recordings.model.errors import (
    CallNotFound,
    InvalidInput,
    NotRecording,
    RecorderFailed,
    Refused,
)
from recordings.model.events import (
    Annotated,
    Ended,
    Event,
    Held,
    Masked,
    Paused,
    Redelivered,
    Released,
    Restored,
    Resumed,
    Trashed,
    Unmasked,
)
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import Millis
from recordings.model.query import MAX_COUNTED, MAX_PAGE, Count, OrderField, Page, PageRequest, Query
from recordings.model.recording import EndCause, Recording, State
from recordings.model.recording_changes import RecordingChanges, check_changes, check_reason
from recordings.ports.audit import Audit, Refusals, list_object, recording_object
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, Recorder, ServerUnreachable, TakeRefused
from recordings.ports.recording_store import MetadataStore, choose_fields
from recordings.ports.wake_up import WakeUp
from recordings.rules.access import require_scope
from recordings.rules.change_feed import final_changes
from recordings.rules.idempotency import entry_id_of, short_digest, was_applied
from recordings.rules.lifecycle import apply
from recordings.rules.take_actions import TAKE_ACTIONS
from recordings.use_cases.account_lists import AccountLists, with_node
from recordings.use_cases.authorized import Authorized, no_recording
from recordings.use_cases.changes import page_of_changes
from recordings.use_cases.merged_lists import count_of, page_of
from recordings.use_cases.playback import Plays
from recordings.use_cases.recording_stats import RecordingStats
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import RecordingStarter, StartRequest, require_capability, with_retention


class Recordings:
    """Finds, plays, starts, stops and deletes recordings for a principal.

    If the principal may not access an object, it is `NotFound`.
    """

    def __init__(
        self,
        *,
        store: MetadataStore,
        recorder: Recorder,
        clock: Clock,
        audit: Audit,
        wake: WakeUp,
        node: str,
        policy: InstallationPolicy | None = None,
        starter: RecordingStarter | None = None,
    ) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._policy = policy or InstallationPolicy()
        self._node = node
        self._authorized = Authorized(store)
        self.plays = Plays(store, audit)
        self.stats = RecordingStats(store, clock, audit)
        self.lists = AccountLists(store=store, recorder=recorder, authorized=self._authorized, node=node, audit=audit)
        self._starts = starter or RecordingStarter(store=store, recorder=recorder, clock=clock, audit=audit, node=node)
        self.quotas = self._starts.quotas

    @property
    def url_prefixes(self) -> tuple[str, ...]:
        """The allowed beginnings of a recording's `url`; see `recordings.model.options.parse_options`."""
        return self._policy.url_prefixes

    def require(self, principal: Principal, scope: Scope, action: AuditAction) -> None:
        """Raise `Forbidden` without a scope. The audit trail has the refusal."""
        with Refusals(self._audit, principal, action, list_object(None)):
            require_scope(principal, scope)

    # Find

    async def account(self, principal: Principal, account_id: str | None = None) -> Account:
        """Return an account: the principal's own, or a descendant of it."""
        target = AuditObject("account", account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.READ, target):
            return await self._authorized.account(principal, account_id)

    async def find(
        self, principal: Principal, recording_id: str, fields: Iterable[str] | None = None
    ) -> RecordingRow | None:
        """Return a recording as a row; `None` if there is none, for a tombstone, and without access."""
        return (await self.find_many(principal, [recording_id], fields))[0]

    async def find_many(
        self, principal: Principal, ids: Sequence[str], fields: Iterable[str] | None = None
    ) -> list[RecordingRow | None]:
        """Return recordings as rows, in the order of the ids, with one request to the store. `None` as in `find`."""
        self.require(principal, Scope.READ, AuditAction.READ)
        if len(ids) > MAX_PAGE:
            raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {MAX_PAGE} ids")
        wanted = {identity for identity in ids if 0 < len(identity) <= MAX_ID}
        needed = choose_fields(fields, "id", "account_id", "owner_id", "shelf")
        found = await self._store.rows(wanted, needed) if wanted else {}
        seen = {row["id"] for row in found.values() if await self._authorized.can_see(principal, row)}
        for identity in wanted:
            if identity in seen:
                target = AuditObject("recording", identity, found[identity]["account_id"])
                self._audit.count(principal, AuditAction.READ, target)
            else:
                target = AuditObject("recording", identity)
                self._audit.refuse(principal, AuditAction.READ, target, no_recording(identity))
        return [found[identity] if identity in seen else None for identity in ids]

    async def page(self, principal: Principal, query: Query, request: PageRequest) -> Page:
        """Return one page of a query. A principal with an owner gets that owner's recordings only."""
        if not 1 <= request.limit <= MAX_PAGE:
            raise InvalidInput.of(("first",), "maximum", request.limit, f"an integer from 1 to {MAX_PAGE}")
        query = await self._narrowed(principal, query)
        is_feed = query.order.field is OrderField.MODIFIED
        page = await (page_of_changes if is_feed else page_of)(self._store, query, request)
        self._audit.count(principal, AuditAction.LIST, list_object(query.account_id), rows=len(page.rows))
        return page

    async def count(self, principal: Principal, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return how many recordings a query selects, exact up to `limit` if an index gives the number."""
        query = await self._narrowed(principal, query)
        self._audit.count(principal, AuditAction.LIST, list_object(query.account_id), counts=1)
        if query.order.field is OrderField.MODIFIED:
            query = final_changes(query, await self._store.watermark())
        return await count_of(self._store, query, limit)

    async def _narrowed(self, principal: Principal, query: Query) -> Query:
        with Refusals(self._audit, principal, AuditAction.LIST, list_object(query.account_id)):
            require_scope(principal, Scope.READ)
            return await self._authorized.narrow(principal, query)

    async def call(self, principal: Principal, call_id: str, account_id: str | None = None) -> Call:
        """Return a live call. `CallNotFound` if there is none."""
        self.require(principal, Scope.READ, AuditAction.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        call = await self._recorder.find_call(account_id, call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            raise CallNotFound(f"there is no live call {call_id!r}", path=("callId",))
        return with_node([call], self._node)[0]

    async def active(self, principal: Principal, call_id: str, account_id: str | None = None) -> Recording:
        """Return the recording in progress of a call. `NotRecording` if there is none."""
        self.require(principal, Scope.READ, AuditAction.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        recording = await self._store.find_active(account_id, call_id)
        if recording is None or principal.owner_id not in {None, recording.owner_id}:
            raise NotRecording(f"call {call_id!r} is not being recorded", path=("callId",))
        return recording

    # Control

    async def start(self, principal: Principal, request: StartRequest) -> Recording:
        """Record a live call from now on, or after it is answered or bridged.

        A repeated request with the same idempotency key returns the same recording, or raises the same error if the
        recorder refused. If the first request was refused before it made a recording, the repeated one is a new start.

        Raises:
            CallNotFound: there is no such live call.
            AlreadyRecording: the call has a recording in progress. If the server of that recording is gone, the
                recording is `LOST` and the start succeeds.
            UnsupportedByRecorder: the call's recorder does not support one of the options.
            IdempotencyKeyReused: the key was used before with another request.
            RecorderFailed: the recorder refused. The recording is `FAILED`.
        """
        target = AuditObject("account", request.account_id or principal.account_id)
        with Refusals(self._audit, principal, AuditAction.START, target):
            require_scope(principal, Scope.CONTROL)
            account = await self._authorized.account(principal, request.account_id)
            return await self._starts.start(principal, account, request)

    async def stop(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """End a recording in progress. Its audio is finalized. `NotRecording` if it is not in progress."""
        return await self._control(principal, recording_id, AuditAction.STOP, key, self._stop)

    async def pause(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Pause a recording: no audio is added until `resume`."""
        return await self._control(principal, recording_id, AuditAction.PAUSE, key, self._pause)

    async def resume(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Continue after a pause."""
        return await self._control(principal, recording_id, AuditAction.RESUME, key, self._resume)

    async def mask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Mask a recording: silence is recorded until `unmask`."""
        return await self._control(principal, recording_id, AuditAction.MASK, key, self._mask)

    async def unmask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """End a mask: the call's audio is recorded again."""
        return await self._control(principal, recording_id, AuditAction.UNMASK, key, self._unmask)

    # Delete

    async def delete(
        self,
        principal: Principal,
        recording_id: str,
        key: str | None = None,
        *,
        window: Millis | None = None,
        reason: str | None = None,
    ) -> Recording:
        """Put a recording into the trash. After `window` milliseconds its audio and metadata are deleted for good.

        The default `window` is that of the installation. A recording in the trash stays as it is.
        `RecordingInProgress` while it is recorded or finalized. A tombstone keeps who deleted it, when, and the
        `reason`. A second request with the same key and another reason is `IdempotencyKeyReused`.
        """
        if reason is not None:
            check_reason(reason)
        kept = self._policy.trash_window if window is None else window
        now = self._clock.now()
        event = Trashed(at=now, by=principal.name or principal.account_id, purge_at=now + kept, reason=reason)
        digest = "" if reason is None else short_digest({"reason": reason})
        return await self._write(principal, Scope.DELETE, recording_id, event, AuditAction.DELETE, key, digest)

    async def restore(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Take a recording out of the trash. `NotTrashed` if it is not in the trash."""
        with Refusals(self._audit, principal, AuditAction.RESTORE, AuditObject("recording", recording_id)):
            require_scope(principal, Scope.DELETE)
            recording = await self._authorized.recording(principal, recording_id)
        # Changes of the retention rules do not apply to recordings in the trash, so they apply now.
        event = Restored(at=self._clock.now(), delete_at=(await with_retention(self._store, recording)).delete_at)
        return await self._write(principal, Scope.DELETE, recording_id, event, AuditAction.RESTORE, key)

    async def update(
        self, principal: Principal, recording_id: str, changes: RecordingChanges, key: str | None = None
    ) -> Recording:
        """Change a recording's label, name or user metadata. A request that changes nothing writes no revision.

        A second request with the same key and other changes is `IdempotencyKeyReused`.
        """
        check_changes(changes)
        event = Annotated(at=self._clock.now(), changes=changes)
        return await self._write(
            principal, Scope.CONTROL, recording_id, event, AuditAction.UPDATE, key, short_digest(changes)
        )

    # Hold and deliver

    async def hold(self, principal: Principal, recording_id: str, reason: str, key: str | None = None) -> Recording:
        """Place a legal hold on a recording. It cannot be deleted until the hold is released.

        A second request with the same key and another reason is `IdempotencyKeyReused`.
        """
        check_reason(reason)
        event = Held(at=self._clock.now(), by=principal.name or principal.account_id, reason=reason)
        return await self._write(
            principal, Scope.ADMIN, recording_id, event, AuditAction.HOLD, key, short_digest({"reason": reason})
        )

    async def release(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Lift a legal hold."""
        event = Released(at=self._clock.now())
        return await self._write(principal, Scope.ADMIN, recording_id, event, AuditAction.RELEASE, key)

    async def redeliver(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Deliver a stored recording to its `url` again. `NotDeliverable` without a `url` or stored audio."""
        event = Redelivered(at=self._clock.now(), delivery_id=new_id())
        return await self._write(principal, Scope.CONTROL, recording_id, event, AuditAction.REDELIVER, key)

    async def _write(
        self,
        principal: Principal,
        scope: Scope,
        recording_id: str,
        event: Event,
        action: AuditAction,
        key: str | None,
        digest: str = "",
    ) -> Recording:
        with Refusals(self._audit, principal, action, AuditObject("recording", recording_id)):
            require_scope(principal, scope)
            recording = await self._authorized.recording(principal, recording_id)
            request = f"{action.lower()} {digest}".rstrip()
            if was_applied(recording, key, request):
                return recording
            # A request that is not allowed, or that changes nothing, has no entry that says that it was done.
            if apply(recording, event) is recording and key is None:
                return recording
        await self._record(principal, action, recording, key)
        with Refusals(self._audit, principal, action, recording_object(recording)):
            changed, is_new = await self._writer.save_action(recording, event, key, request)
        if is_new:
            self._wake()
        return changed

    async def _record(self, principal: Principal, action: AuditAction, recording: Recording, key: str | None) -> None:
        entry_id = entry_id_of(recording, action, key)
        await self._audit.record(principal, action, recording_object(recording), entry_id=entry_id)

    # Recorder events

    async def on_event(self, recording_id: str, event: Event) -> Recording | None:
        """Apply a recorder's event. A late or repeated event changes nothing. Return `None` for an unknown take."""
        recording = await self._store.load(recording_id)
        if recording is None:
            return None
        changed = await self._writer.save_event(recording, event)
        if changed.state is State.FINALIZING:
            self._wake()
        return changed

    # Helpers

    async def _control(
        self,
        principal: Principal,
        recording_id: str,
        action: AuditAction,
        key: str | None,
        act: Callable[[Recording], Awaitable[Event]],
    ) -> Recording:
        with Refusals(self._audit, principal, action, AuditObject("recording", recording_id)):
            require_scope(principal, Scope.CONTROL)
            recording = await self._authorized.recording(principal, recording_id)
        if was_applied(recording, key, action.lower()):
            return recording
        with Refusals(self._audit, principal, action, recording_object(recording)):
            event = await self._done(principal, recording, action, key, act)
            if isinstance(event, Recording):
                return event
            changed, _is_new = await self._writer.save_action(recording, event, key, action.lower())
        if changed.state is State.FINALIZING:
            self._wake()
        return changed

    async def _done(
        self,
        principal: Principal,
        recording: Recording,
        action: AuditAction,
        key: str | None,
        act: Callable[[Recording], Awaitable[Event]],
    ) -> Event | Recording:
        """Let the recorder act. Return the event, or the recording if another server did the same request."""
        try:
            # These checks come before the recorder is called, so a refused action changes nothing there.
            probe, capability = TAKE_ACTIONS[action]
            apply(recording, probe(self._clock.now()))
            if capability is not None:
                require_capability(self._recorder, recording.recorder, Capability(capability))
            await self._record(principal, action, recording, key)
            return await act(recording)
        except (TakeRefused, Refused) as refused:
            # The same request may have been done through another server since the recording was read.
            latest = None if key is None else await self._store.load(recording.id)
            if latest is not None and was_applied(latest, key, action.lower()):
                return latest
            if isinstance(refused, Refused):
                raise
            is_unreachable = isinstance(refused, ServerUnreachable)
            raise RecorderFailed(str(refused), recording_id=recording.id, is_unreachable=is_unreachable) from refused

    async def _stop(self, recording: Recording) -> Event:
        await self._recorder.stop(recording.id)
        # The recorder reports an end, too. The second of the two events changes nothing.
        return Ended(at=self._clock.now(), cause=EndCause.STOPPED)

    async def _pause(self, recording: Recording) -> Event:
        return Paused(at_ms=await self._recorder.pause(recording.id), at=self._clock.now())

    async def _resume(self, recording: Recording) -> Event:
        return Resumed(length_ms=await self._recorder.resume(recording.id), at=self._clock.now())

    async def _mask(self, recording: Recording) -> Event:
        return Masked(at_ms=await self._recorder.mask(recording.id), at=self._clock.now())

    async def _unmask(self, recording: Recording) -> Event:
        return Unmasked(length_ms=await self._recorder.unmask(recording.id), at=self._clock.now())
