"""The use cases. Every front calls these and only these: authorisation, idempotency and audit happen here, once.

Reads give rows (plain mappings with the fields asked for); actions give the `Recording` as it is afterwards. Whatever
cannot be granted is a `recordings.model.errors.Refused`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from recordings.model.account import Account, Principal, Scope
from recordings.model.call import Call
from recordings.model.errors import CallNotFound, InvalidInput, MediaUnavailable, NotRecording, RecorderFailed
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
from recordings.model.query import MAX_PAGE, Page, PageRequest, Query
from recordings.model.recording import EndCause, Recording, Shelf, State
from recordings.ports.process import Audit, Clock, Notify
from recordings.ports.recorder import Capability, Recorder, TakeRefused
from recordings.ports.recording_store import MetadataStore, choose_fields
from recordings.rules.access import require_scope
from recordings.rules.idempotency import was_applied
from recordings.rules.lifecycle import apply
from recordings.rules.media_grants import Grant
from recordings.use_cases.authorized import Authorized, no_recording
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import RecordingStarter, StartRequest, require_capability, with_retention

MAX_REASON: Final = 256
"""The longest reason of a legal hold or a deletion, in characters."""


class Recordings:
    """Find, play, start, stop and delete recordings, as somebody."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        recorder: Recorder,
        clock: Clock,
        audit: Audit,
        wake: Notify,
        node: str,
        policy: InstallationPolicy | None = None,
    ) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._policy = policy or InstallationPolicy()
        self._authorized = Authorized(store)
        self._starts = RecordingStarter(store=store, recorder=recorder, clock=clock, audit=audit, node=node)

    @property
    def places(self) -> tuple[str, ...]:
        """What the `url` of a recording may begin with; see `recordings.model.options.parse_options`."""
        return self._policy.places

    # Find

    async def account(self, principal: Principal, account_id: str | None = None) -> Account:
        """An account in reach: the principal's own, or a descendant of it."""
        return await self._authorized.account(principal, account_id)

    async def find(
        self, principal: Principal, recording_id: str, fields: Iterable[str] | None = None
    ) -> RecordingRow | None:
        """A recording in reach, as a row; `None` where there is none (or none in reach, or a tombstone)."""
        return (await self.find_many(principal, [recording_id], fields))[0]

    async def find_many(
        self, principal: Principal, ids: Sequence[str], fields: Iterable[str] | None = None
    ) -> list[RecordingRow | None]:
        """Recordings by id, in the order of the ids, in one look-up; `None` for what is not in reach."""
        require_scope(principal, Scope.READ)
        if len(ids) > MAX_PAGE:
            raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {MAX_PAGE} ids")
        wanted = {identity for identity in ids if 0 < len(identity) <= MAX_ID}
        needed = choose_fields(fields, "id", "account_id", "owner_id", "shelf")
        found = await self._store.rows(wanted, needed) if wanted else {}
        seen = {row["id"] for row in found.values() if await self._authorized.can_see(principal, row)}
        return [found[identity] if identity in seen else None for identity in ids]

    async def page(self, principal: Principal, query: Query, request: PageRequest) -> Page:
        """One page of a query; its account must be in reach, and a principal's owner narrows it."""
        require_scope(principal, Scope.READ)
        if not 1 <= request.limit <= MAX_PAGE:
            raise InvalidInput.of(("first",), "maximum", request.limit, f"an integer from 1 to {MAX_PAGE}")
        return await self._store.page(await self._authorized.narrow(principal, query), request)

    async def count(self, principal: Principal, query: Query) -> int:
        """How many recordings a query has."""
        require_scope(principal, Scope.READ)
        return await self._store.count(await self._authorized.narrow(principal, query))

    async def calls(self, principal: Principal, account_id: str | None = None) -> Sequence[Call]:
        """Live calls that could be recorded now."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        calls = await self._recorder.calls(account_id)
        return [call for call in calls if principal.owner_id in {None, call.owner_id}]

    async def call(self, principal: Principal, call_id: str, account_id: str | None = None) -> Call:
        """A live call in reach. `CallNotFound` where there is none."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        call = await self._recorder.find_call(account_id, call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            message = f"there is no live call {call_id!r}"
            raise CallNotFound(message, path=("callId",))
        return call

    async def active(self, principal: Principal, call_id: str, account_id: str | None = None) -> Recording:
        """The recording in progress of a call. `NotRecording` where there is none in reach."""
        require_scope(principal, Scope.READ)
        account_id = await self._authorized.account_id(principal, account_id)
        recording = await self._store.find_active(account_id, call_id)
        if recording is None or principal.owner_id not in {None, recording.owner_id}:
            message = f"call {call_id!r} is not being recorded"
            raise NotRecording(message, path=("callId",))
        return recording

    # Play

    async def listen(self, principal: Principal, recording_id: str) -> Recording:
        """A recording whose audio may be played to this principal."""
        require_scope(principal, Scope.LISTEN)
        recording = _playable(await self._authorized.recording(principal, recording_id))
        self._audit.record(principal, "listen", recording.id)
        return recording

    async def listen_with_grant(self, grant: Grant) -> Recording:
        """A recording whose audio may be played to whoever holds a grant for it."""
        recording = await self._store.load(grant.recording_id)
        if recording is None or recording.shelf is not Shelf.LIVE:
            raise no_recording(grant.recording_id)
        return _playable(recording)

    # Control

    async def start(self, principal: Principal, request: StartRequest) -> Recording:
        """Record a live call from now on, or from its answer or bridge on.

        With an idempotency key the same request gives the same recording again.

        Raises:
            CallNotFound: no such live call in reach.
            AlreadyRecording: the call has a recording in progress; a second one is not begun.
            UnsupportedByRecorder: the call's recorder cannot do what the options ask for.
            IdempotencyKeyReused: the key came before with another request.
            RecorderFailed: the recorder refused; the recording is kept as `FAILED`.
        """
        require_scope(principal, Scope.CONTROL)
        account = await self._authorized.account(principal, request.account_id)
        return await self._starts.start(principal, account, request)

    async def stop(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """End a recording in progress; what it has is finalized. `NotRecording` where there is nothing to stop."""
        return await self._control(principal, recording_id, "stop", key, self._stop)

    async def pause(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Cut out what follows, until resumed."""
        return await self._control(principal, recording_id, "pause", key, self._pause)

    async def resume(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Go on after a pause."""
        return await self._control(principal, recording_id, "resume", key, self._resume)

    async def mask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Record silence for what follows, until unmasked."""
        return await self._control(principal, recording_id, "mask", key, self._mask)

    async def unmask(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Record what is said again after a mask."""
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
        """Put a recording into the trash; after the window its audio and metadata go for good.

        Deleting one that is in the trash already changes nothing. `RecordingInProgress` while it is being recorded or
        finalized. `window` (milliseconds) overrides the installation's; who deleted it, when, and the `reason` stay.
        """
        if reason is not None:
            _check_reason(reason)
        kept = self._policy.trash_window if window is None else window
        now = self._clock.now()
        event = Trashed(at=now, by=principal.name or principal.account_id, purge_at=now + kept, reason=reason)
        return await self._write(principal, Scope.DELETE, recording_id, event, "delete", key)

    async def restore(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Take a recording out of the trash. `NotTrashed` if it is not there."""
        require_scope(principal, Scope.DELETE)
        # Rules that changed meanwhile were not applied to what nobody kept.
        dates = await with_retention(self._store, await self._authorized.recording(principal, recording_id))
        event = Restored(at=self._clock.now(), delete_at=dates.delete_at)
        return await self._write(principal, Scope.DELETE, recording_id, event, "restore", key)

    async def annotate(
        self, principal: Principal, recording_id: str, changes: Mapping[str, Any], key: str | None = None
    ) -> Recording:
        """Merge keys into a recording's user metadata; `None` takes a key out."""
        event = Annotated(at=self._clock.now(), changes=changes)
        return await self._write(principal, Scope.CONTROL, recording_id, event, "annotate", key)

    # Keep, and send

    async def hold(self, principal: Principal, recording_id: str, reason: str, key: str | None = None) -> Recording:
        """Lay a legal hold on a recording: until it is released, nothing and nobody deletes it."""
        _check_reason(reason)
        event = Held(at=self._clock.now(), by=principal.name or principal.account_id, reason=reason)
        return await self._write(principal, Scope.ADMIN, recording_id, event, "hold", key)

    async def release(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Lift a legal hold."""
        event = Released(at=self._clock.now())
        return await self._write(principal, Scope.ADMIN, recording_id, event, "release", key)

    async def redeliver(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Send a stored recording to its `url` (again). `NotDeliverable` if it has none, or is not stored."""
        event = Redelivered(at=self._clock.now(), delivery_id=new_id())
        return await self._write(principal, Scope.CONTROL, recording_id, event, "redeliver", key)

    async def _write(
        self, principal: Principal, scope: Scope, recording_id: str, event: Event, action: str, key: str | None
    ) -> Recording:
        require_scope(principal, scope)
        recording = await self._authorized.recording(principal, recording_id)
        if was_applied(recording, key, action):
            return recording
        changed = await self._writer.save_event(recording, event, key=key, action=action)
        self._audit.record(principal, action, recording.id)
        self._wake()
        return changed

    # What recorders say

    async def on_event(self, recording_id: str, event: Event) -> Recording | None:
        """Apply what a recorder says. An event that comes late or twice changes nothing; `None` for an unknown take."""
        recording = await self._store.load(recording_id)
        if recording is None:
            return None
        changed = await self._writer.save_event(recording, event)
        if changed.state is State.FINALIZING:
            self._wake()
        return changed

    # Parts

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
        except TakeRefused as refused:
            raise RecorderFailed(str(refused), recording_id=recording.id) from refused
        changed = await self._writer.save_event(recording, event, key=key, action=action)
        self._audit.record(principal, action, recording.id)
        if changed.state is State.FINALIZING:
            self._wake()
        return changed

    async def _stop(self, recording: Recording) -> Event:
        apply(recording, Stopped(at=self._clock.now()))
        await self._recorder.stop(recording.id)
        # The recorder says so too. Whichever is applied first, the other one changes nothing.
        return Ended(at=self._clock.now(), cause=EndCause.STOPPED)

    async def _pause(self, recording: Recording) -> Event:
        self._possible(recording, Paused(at=self._clock.now(), at_ms=0), Capability.PAUSE)
        return Paused(at_ms=await self._recorder.pause(recording.id), at=self._clock.now())

    async def _resume(self, recording: Recording) -> Event:
        self._possible(recording, Resumed(at=self._clock.now()), Capability.PAUSE)
        await self._recorder.resume(recording.id)
        return Resumed(at=self._clock.now())

    async def _mask(self, recording: Recording) -> Event:
        self._possible(recording, Masked(at=self._clock.now(), at_ms=0), Capability.MASK)
        return Masked(at_ms=await self._recorder.mask(recording.id), at=self._clock.now())

    async def _unmask(self, recording: Recording) -> Event:
        self._possible(recording, Unmasked(at=self._clock.now()), Capability.MASK)
        await self._recorder.unmask(recording.id)
        return Unmasked(at=self._clock.now())

    def _possible(self, recording: Recording, event: Event, capability: Capability) -> None:
        # Both are asked before the switch is touched: a refused action changes nothing there either.
        apply(recording, event)
        require_capability(self._recorder, capability)


def _check_reason(reason: str) -> None:
    if not 0 < len(reason) <= MAX_REASON:
        raise InvalidInput.of(("reason",), "maxLength", reason, f"a text of 1 to {MAX_REASON} characters")


def _playable(recording: Recording) -> Recording:
    if recording.state is not State.STORED or recording.media is None:
        message = f"recording {recording.id} has no audio to play: it is {recording.state}"
        raise MediaUnavailable(message, recording_id=recording.id)
    return recording
