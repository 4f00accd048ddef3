"""The use cases for recordings. All interfaces call them; authorisation, idempotency and audit happen here only.

Reads return rows: plain mappings with the requested fields. Actions return the changed `Recording`. A request that is
not allowed raises `recordings.model.errors.Refused`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from recordings.model.account import Account, Principal, Scope
from recordings.model.call import Call
from recordings.model.errors import (
    CallNotFound,
    InvalidInput,
    MediaUnavailable,
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
    Stopped,
    Trashed,
    Unmasked,
)
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import Millis
from recordings.model.query import MAX_COUNTED, MAX_PAGE, Count, OrderField, Page, PageRequest, Query
from recordings.model.recording import EndCause, Recording, Shelf, State
from recordings.model.recording_changes import RecordingChanges, check_changes
from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, Recorder, ServerUnreachable, TakeRefused
from recordings.ports.recording_store import MetadataStore, choose_fields
from recordings.ports.wake_up import WakeUp
from recordings.rules.access import require_scope
from recordings.rules.change_feed import final_changes
from recordings.rules.idempotency import fingerprint, was_applied
from recordings.rules.lifecycle import apply
from recordings.rules.media_grants import Grant
from recordings.use_cases.access_control import AccessControl
from recordings.use_cases.account_lists import AccountLists, with_node
from recordings.use_cases.authorized import Authorized, no_recording
from recordings.use_cases.changes import page_of_changes
from recordings.use_cases.merged_lists import count_of, page_of
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.recording_stats import RecordingStats
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import RecordingStarter, StartRequest, require_capability, with_retention

MAX_REASON: Final = 256
"""Maximum length of the reason of a legal hold or a deletion, in characters."""


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
        policies: PolicyReader | None = None,
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
        self._access = AccessControl(store)
        self.stats = RecordingStats(store, clock)
        self.lists = AccountLists(store=store, recorder=recorder, authorized=self._authorized, node=node)
        self._starts = RecordingStarter(
            store=store, recorder=recorder, clock=clock, audit=audit, node=node, policies=policies
        )

    @property
    def url_prefixes(self) -> tuple[str, ...]:
        """The allowed beginnings of a recording's `url`; see `recordings.model.options.parse_options`."""
        return self._policy.url_prefixes

    # Find

    async def account(self, principal: Principal, account_id: str | None = None) -> Account:
        """Return an account: the principal's own, or a descendant of it."""
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
        require_scope(principal, Scope.READ)
        if len(ids) > MAX_PAGE:
            raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {MAX_PAGE} ids")
        wanted = {identity for identity in ids if 0 < len(identity) <= MAX_ID}
        needed = choose_fields(fields, "id", "account_id", "owner_id", "shelf")
        found = await self._store.rows(wanted, needed) if wanted else {}
        seen = {row["id"] for row in found.values() if await self._authorized.can_see(principal, row)}
        return [found[identity] if identity in seen else None for identity in ids]

    async def page(self, principal: Principal, query: Query, request: PageRequest) -> Page:
        """Return one page of a query. A principal with an owner gets that owner's recordings only."""
        require_scope(principal, Scope.READ)
        if not 1 <= request.limit <= MAX_PAGE:
            raise InvalidInput.of(("first",), "maximum", request.limit, f"an integer from 1 to {MAX_PAGE}")
        query = await self._authorized.narrow(principal, query)
        if query.order.field is OrderField.MODIFIED:
            return await page_of_changes(self._store, query, request)
        return await page_of(self._store, query, request)

    async def count(self, principal: Principal, query: Query, limit: int = MAX_COUNTED) -> Count:
        """Return how many recordings a query selects, exact up to `limit` if an index gives the number."""
        require_scope(principal, Scope.READ)
        query = await self._authorized.narrow(principal, query)
        if query.order.field is OrderField.MODIFIED:
            query = final_changes(query, await self._store.watermark())
        return await count_of(self._store, query, limit)

    async def call(self, principal: Principal, call_id: str, account_id: str | None = None) -> Call:
        """Return a live call. `CallNotFound` if there is none."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        call = await self._recorder.find_call(account_id, call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            message = f"there is no live call {call_id!r}"
            raise CallNotFound(message, path=("callId",))
        return with_node([call], self._node)[0]

    async def active(self, principal: Principal, call_id: str, account_id: str | None = None) -> Recording:
        """Return the recording in progress of a call. `NotRecording` if there is none."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        recording = await self._store.find_active(account_id, call_id)
        if recording is None or principal.owner_id not in {None, recording.owner_id}:
            message = f"call {call_id!r} is not being recorded"
            raise NotRecording(message, path=("callId",))
        return recording

    # Play

    async def listen(self, principal: Principal, recording_id: str) -> Recording:
        """Return a recording for playing its audio."""
        require_scope(principal, Scope.LISTEN)
        recording = _playable(await self._authorized.recording(principal, recording_id))
        self._audit.record(principal, "listen", recording.id)
        return recording

    async def listen_with_grant(self, grant: Grant) -> Recording:
        """Return a recording for playing its audio to the holder of a grant, as long as its caller may listen to it.

        Raises:
            Unauthenticated: the credentials of the caller who requested the grant are no longer valid.
        """
        await self._access.check(grant.principal)
        recording = await self._authorized.recording(grant.principal, grant.recording_id)
        if recording.shelf is not Shelf.LIVE:
            raise no_recording(grant.recording_id)
        return _playable(recording)

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
        require_scope(principal, Scope.CONTROL)
        account = await self._authorized.account(principal, request.account_id)
        return await self._starts.start(principal, account, request)

    async def stop(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """End a recording in progress. Its audio is finalized. `NotRecording` if it is not in progress."""
        return await self._control(principal, recording_id, "stop", key, self._stop)

    async def pause(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Pause a recording: no audio is added until `resume`."""
        return await self._control(principal, recording_id, "pause", key, self._pause)

    async def resume(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Continue after a pause."""
        return await self._control(principal, recording_id, "resume", key, self._resume)

    async def mask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Mask a recording: silence is recorded until `unmask`."""
        return await self._control(principal, recording_id, "mask", key, self._mask)

    async def unmask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """End a mask: the call's audio is recorded again."""
        return await self._control(principal, recording_id, "unmask", key, self._unmask)

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
        digest = "" if reason is None else _digest({"reason": reason})
        return await self._write(principal, Scope.DELETE, recording_id, event, "delete", key, digest)

    async def restore(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Take a recording out of the trash. `NotTrashed` if it is not in the trash."""
        require_scope(principal, Scope.DELETE)
        # Changes of the retention rules do not apply to recordings in the trash, so they apply now.
        dates = await with_retention(self._store, await self._authorized.recording(principal, recording_id))
        event = Restored(at=self._clock.now(), delete_at=dates.delete_at)
        return await self._write(principal, Scope.DELETE, recording_id, event, "restore", key)

    async def update(
        self, principal: Principal, recording_id: str, changes: RecordingChanges, key: str | None = None
    ) -> Recording:
        """Change a recording's label, name or user metadata. A request that changes nothing writes no revision.

        A second request with the same key and other changes is `IdempotencyKeyReused`.
        """
        check_changes(changes)
        event = Annotated(at=self._clock.now(), changes=changes)
        return await self._write(principal, Scope.CONTROL, recording_id, event, "update", key, _digest(changes))

    # Hold and deliver

    async def hold(self, principal: Principal, recording_id: str, reason: str, key: str | None = None) -> Recording:
        """Place a legal hold on a recording. It cannot be deleted until the hold is released.

        A second request with the same key and another reason is `IdempotencyKeyReused`.
        """
        check_reason(reason)
        event = Held(at=self._clock.now(), by=principal.name or principal.account_id, reason=reason)
        return await self._write(principal, Scope.ADMIN, recording_id, event, "hold", key, _digest({"reason": reason}))

    async def release(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Lift a legal hold."""
        event = Released(at=self._clock.now())
        return await self._write(principal, Scope.ADMIN, recording_id, event, "release", key)

    async def redeliver(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Deliver a stored recording to its `url` again. `NotDeliverable` without a `url` or stored audio."""
        event = Redelivered(at=self._clock.now(), delivery_id=new_id())
        return await self._write(principal, Scope.CONTROL, recording_id, event, "redeliver", key)

    async def _write(
        self,
        principal: Principal,
        scope: Scope,
        recording_id: str,
        event: Event,
        action: str,
        key: str | None,
        digest: str = "",
    ) -> Recording:
        require_scope(principal, scope)
        recording = await self._authorized.recording(principal, recording_id)
        request = f"{action} {digest}".rstrip()
        if was_applied(recording, key, request):
            return recording
        changed, is_new = await self._writer.save_action(recording, event, key, request)
        if is_new:
            self._audit.record(principal, action, recording.id)
            self._wake()
        return changed

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
        action: str,
        key: str | None,
        act: Callable[[Recording], Awaitable[Event]],
    ) -> Recording:
        require_scope(principal, Scope.CONTROL)
        recording = await self._authorized.recording(principal, recording_id)
        if was_applied(recording, key, action):
            return recording
        try:
            event = await act(recording)
        except (TakeRefused, Refused) as refused:
            # The same request may have been done through another server since the recording was read.
            latest = None if key is None else await self._store.load(recording.id)
            if latest is not None and was_applied(latest, key, action):
                return latest
            if isinstance(refused, Refused):
                raise
            is_unreachable = isinstance(refused, ServerUnreachable)
            raise RecorderFailed(str(refused), recording_id=recording.id, is_unreachable=is_unreachable) from refused
        changed, is_new = await self._writer.save_action(recording, event, key, action)
        if is_new:
            self._audit.record(principal, action, recording.id)
        if changed.state is State.FINALIZING:
            self._wake()
        return changed

    async def _stop(self, recording: Recording) -> Event:
        apply(recording, Stopped(at=self._clock.now()))
        await self._recorder.stop(recording.id)
        # The recorder reports an end, too. The second of the two events changes nothing.
        return Ended(at=self._clock.now(), cause=EndCause.STOPPED)

    async def _pause(self, recording: Recording) -> Event:
        self._check_possible(recording, Paused(at=self._clock.now(), at_ms=0), Capability.PAUSE)
        return Paused(at_ms=await self._recorder.pause(recording.id), at=self._clock.now())

    async def _resume(self, recording: Recording) -> Event:
        self._check_possible(recording, Resumed(at=self._clock.now()), Capability.PAUSE)
        return Resumed(length_ms=await self._recorder.resume(recording.id), at=self._clock.now())

    async def _mask(self, recording: Recording) -> Event:
        self._check_possible(recording, Masked(at=self._clock.now(), at_ms=0), Capability.MASK)
        return Masked(at_ms=await self._recorder.mask(recording.id), at=self._clock.now())

    async def _unmask(self, recording: Recording) -> Event:
        self._check_possible(recording, Unmasked(at=self._clock.now()), Capability.MASK)
        return Unmasked(length_ms=await self._recorder.unmask(recording.id), at=self._clock.now())

    def _check_possible(self, recording: Recording, event: Event, capability: Capability) -> None:
        # These checks come before the recorder is called, so a refused action changes nothing there.
        apply(recording, event)
        require_capability(self._recorder, recording.recorder, capability)


def check_reason(reason: str) -> None:
    """Raise `InvalidInput` unless the reason of a hold or a deletion has 1 to 256 characters."""
    if not 0 < len(reason) <= MAX_REASON:
        raise InvalidInput.of(("reason",), "maxLength", reason, f"a text of 1 to {MAX_REASON} characters")


def _digest(given: Mapping[str, Any]) -> str:
    """Return a short digest of the arguments of an action."""
    return fingerprint(given)[:16]


def _playable(recording: Recording) -> Recording:
    if recording.state is not State.STORED or recording.media is None:
        message = f"recording {recording.id} has no audio to play: it is {recording.state}"
        raise MediaUnavailable(message, recording_id=recording.id)
    return recording
