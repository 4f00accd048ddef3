"""The use cases. Every front calls these and only these: authorisation, idempotency and audit happen here, once.

Reads give rows (plain mappings with the fields asked for); actions give the `Recording` as it is afterwards. Whatever
cannot be granted is a `recordings.errors.Refused`.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace

from recordings.access import Account, Principal, Scope, require_scope
from recordings.call import Call, sip_uri
from recordings.changes import change
from recordings.errors import (
    AlreadyRecording,
    CallNotFound,
    InvalidInput,
    MediaUnavailable,
    RecorderFailed,
    UnsupportedByRecorder,
)
from recordings.grants import Grant
from recordings.idempotency import fingerprint, same_request, start_key, was_applied
from recordings.ids import MAX_ID, new_recording_id
from recordings.instants import DAY, Millis, month_of
from recordings.lifecycle import (
    Ended,
    Event,
    Failed,
    Masked,
    Paused,
    Restored,
    Resumed,
    Stopped,
    Trashed,
    Unmasked,
    apply,
    due_at,
)
from recordings.options import RecordingOptions
from recordings.ports import (
    Audit,
    Capability,
    Clock,
    MetadataStore,
    Notify,
    Recorder,
    Take,
    Taken,
    TakeRefused,
    choose_fields,
)
from recordings.query import MAX_PAGE, Page, PageRequest, Query
from recordings.reach import Reach, no_recording
from recordings.recording import EndCause, Reason, Recording, Row, Shelf, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an installation decides."""

    trash_window: Millis = 30 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What `start` needs. `via` says how it came (`graphql`, `rest`, ...) and begins the recording's origin."""

    call_id: str
    options: RecordingOptions = field(default_factory=RecordingOptions)
    account_id: str | None = None
    key: str | None = None
    via: str = "graphql"

    @property
    def fingerprint(self) -> str:
        """What makes two starts the same request."""
        return fingerprint({"call_id": self.call_id, "options": asdict(self.options)})


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
        policy: Policy | None = None,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._node = node
        self._policy = policy or Policy()
        self._reach = Reach(store)

    # Find

    async def account(self, principal: Principal, account_id: str | None = None) -> Account:
        """An account in reach: the principal's own, or a descendant of it."""
        return await self._reach.account(principal, account_id or principal.account_id)

    async def find(self, principal: Principal, recording_id: str, fields: Iterable[str] | None = None) -> Row | None:
        """A recording in reach, as a row; `None` where there is none (or none in reach, or a tombstone)."""
        return (await self.find_many(principal, [recording_id], fields))[0]

    async def find_many(
        self, principal: Principal, ids: Sequence[str], fields: Iterable[str] | None = None
    ) -> list[Row | None]:
        """Recordings by id, in the order of the ids, in one look-up; `None` for what is not in reach."""
        require_scope(principal, Scope.READ)
        if len(ids) > MAX_PAGE:
            raise InvalidInput.of(("ids",), "maxItems", len(ids), f"at most {MAX_PAGE} ids")
        wanted = {identity for identity in ids if 0 < len(identity) <= MAX_ID}
        needed = choose_fields(fields, "id", "account_id", "owner_id", "shelf")
        found = await self._store.rows(wanted, needed) if wanted else {}
        seen = {row["id"] for row in found.values() if await self._reach.sees(principal, row)}
        return [found[identity] if identity in seen else None for identity in ids]

    async def page(self, principal: Principal, query: Query, request: PageRequest) -> Page:
        """One page of a query; its account must be in reach, and a principal's owner narrows it."""
        require_scope(principal, Scope.READ)
        if not 1 <= request.limit <= MAX_PAGE:
            raise InvalidInput.of(("first",), "maximum", request.limit, f"an integer from 1 to {MAX_PAGE}")
        return await self._store.page(await self._reach.narrow(principal, query), request)

    async def count(self, principal: Principal, query: Query) -> int:
        """How many recordings a query has."""
        require_scope(principal, Scope.READ)
        return await self._store.count(await self._reach.narrow(principal, query))

    async def calls(self, principal: Principal, account_id: str | None = None) -> Sequence[Call]:
        """Live calls that could be recorded now."""
        require_scope(principal, Scope.READ)
        account = await self._reach.account(principal, account_id or principal.account_id)
        calls = await self._recorder.calls(account.id)
        return [call for call in calls if principal.owner_id in {None, call.owner_id}]

    # Play

    async def listen(self, principal: Principal, recording_id: str) -> Recording:
        """A recording whose audio may be played to this principal."""
        require_scope(principal, Scope.LISTEN)
        recording = _playable(await self._reach.recording(principal, recording_id))
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
        account = await self._reach.account(principal, request.account_id or principal.account_id)
        key = start_key(principal, request.key)
        replayed = await self._replay_start(account, key, request)
        if replayed is not None:
            return replayed
        call = await self._recorder.find_call(account.id, request.call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            message = f"there is no live call {request.call_id!r}"
            raise CallNotFound(message, path=("callId",))
        self._require_capabilities(request.options)
        recording = self._new(principal, account, call, request, key)
        try:
            await self._store.insert(recording)
        except Taken:
            return await self._lost_start(account, key, request)
        self._audit.record(principal, "start", recording.id, call_id=call.call_id)
        return await self._begin(recording)

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
        self, principal: Principal, recording_id: str, key: str | None = None, *, window: Millis | None = None
    ) -> Recording:
        """Put a recording into the trash; after the window its audio and metadata go for good.

        Deleting one that is in the trash already changes nothing. `RecordingInProgress` while it is being recorded or
        finalized. `window` (milliseconds) overrides the installation's.
        """
        require_scope(principal, Scope.DELETE)
        recording = await self._reach.recording(principal, recording_id)
        if was_applied(recording, key, "delete"):
            return recording
        kept = self._policy.trash_window if window is None else window
        now = self._clock.now()
        event = Trashed(at=now, by=principal.name or principal.account_id, purge_at=now + kept)
        deleted = await change(self._store, recording, event, key=key, action="delete")
        self._audit.record(principal, "delete", recording.id)
        self._wake()
        return deleted

    async def restore(self, principal: Principal, recording_id: str, key: str | None = None) -> Recording:
        """Take a recording out of the trash. `NotTrashed` if it is not there."""
        require_scope(principal, Scope.DELETE)
        recording = await self._reach.recording(principal, recording_id)
        if was_applied(recording, key, "restore"):
            return recording
        event = Restored(at=self._clock.now())
        restored = await change(self._store, recording, event, key=key, action="restore")
        self._audit.record(principal, "restore", recording.id)
        return restored

    # What recorders say

    async def on_event(self, recording_id: str, event: Event) -> Recording | None:
        """Apply what a recorder says. An event that comes late or twice changes nothing; `None` for an unknown take."""
        recording = await self._store.load(recording_id)
        if recording is None:
            return None
        changed = await change(self._store, recording, event)
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
        recording = await self._reach.recording(principal, recording_id)
        if was_applied(recording, key, action):
            return recording
        try:
            event = await act(recording)
        except TakeRefused as refused:
            raise RecorderFailed(str(refused), recording_id=recording.id) from refused
        changed = await change(self._store, recording, event, key=key, action=action)
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
        self._require(capability)

    def _require(self, capability: Capability) -> None:
        if capability not in self._recorder.capabilities:
            message = f"the recorder {self._recorder.name} cannot do {capability.value}"
            raise UnsupportedByRecorder(message)

    def _require_capabilities(self, options: RecordingOptions) -> None:
        if options.record_on_answer:
            self._require(Capability.ON_ANSWER)
        elif options.record_on_bridge:
            self._require(Capability.ON_BRIDGE)

    def _new(
        self, principal: Principal, account: Account, call: Call, request: StartRequest, key: str | None
    ) -> Recording:
        now = self._clock.now()
        recording = recording_of_call(call, account, now, self._node)
        audio_format = request.options.format or "mp3"
        recording = replace(
            recording,
            options=replace(request.options, format=audio_format),
            format=audio_format,
            label=request.options.label,
            name=request.options.media_name or f"{recording.id}.{audio_format}",
            origin=origin_text(request.via, principal.name, request.options.label),
            recorder=self._recorder.name,
            start_key=key,
            start_fingerprint=request.fingerprint,
        )
        return replace(recording, due_at=due_at(recording, now))

    async def _begin(self, recording: Recording) -> Recording:
        take = Take(recording.id, recording.account_id, recording.call_id, recording.options)
        try:
            event = await self._recorder.start(take)
        except TakeRefused as refused:
            failed = Failed(at=self._clock.now(), reason=Reason.RECORDER_FAILED, detail=str(refused))
            await change(self._store, recording, failed)
            raise RecorderFailed(str(refused), recording_id=recording.id) from refused
        return await change(self._store, recording, event)

    async def _replay_start(self, account: Account, key: str | None, request: StartRequest) -> Recording | None:
        found = await self._store.find_started(account.id, key) if key is not None else None
        return None if found is None else same_request(found, request.fingerprint)

    async def _lost_start(self, account: Account, key: str | None, request: StartRequest) -> Recording:
        # Somebody else inserted first. It may have been this very request, sent twice at once.
        replayed = await self._replay_start(account, key, request)
        if replayed is not None:
            return replayed
        active = await self._store.find_active(account.id, request.call_id)
        message = f"call {request.call_id!r} is being recorded already"
        raise AlreadyRecording(message, path=("callId",), recording_id=active.id if active else None)


def recording_of_call(call: Call, account: Account, now: Millis, node: str) -> Recording:
    """A new recording with what is known of its call; both parties always read `user@realm`."""
    identity = new_recording_id(now)
    return Recording(
        id=identity,
        account_id=account.id,
        state=State.REQUESTED,
        start=now,
        created=now,
        modified=now,
        call_id=call.call_id,
        from_=sip_uri(call.from_ or call.caller_id_number, account.realm),
        to=sip_uri(call.to or call.callee_id_number, account.realm),
        request=call.request,
        owner_id=call.owner_id,
        endpoint_id=call.endpoint_id,
        interaction_id=call.interaction_id or call.call_id,
        cdr_id=call.cdr_id or f"{month_of(now)}-{call.call_id}",
        direction=call.direction,
        caller_id_name=call.caller_id_name,
        caller_id_number=call.caller_id_number,
        callee_id_name=call.callee_id_name,
        callee_id_number=call.callee_id_number,
        custom_channel_vars=call.custom_channel_vars,
        node=node,
    )


def origin_text(via: str, who: str, label: str | None) -> str:
    """How a recording came to be: `graphql:name`, and behind it the label."""
    origin = f"{via}:{who}" if who else via
    return f"{origin} : {label}" if label else origin


def _playable(recording: Recording) -> Recording:
    if recording.state is not State.STORED or recording.media is None:
        message = f"recording {recording.id} has no audio to play: it is {recording.state}"
        raise MediaUnavailable(message, recording_id=recording.id)
    return recording
