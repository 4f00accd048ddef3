"""Starting a recording of a live call: from the request to a take that is open or armed."""

from dataclasses import asdict, dataclass, field, replace
from typing import Final

from recordings.model.account import Account, Principal
from recordings.model.audit_entry import AuditAction
from recordings.model.call import Call, sip_uri
from recordings.model.errors import (
    AlreadyRecording,
    CallNotFound,
    ForbiddenByPolicy,
    RecorderFailed,
    UnsupportedByRecorder,
)
from recordings.model.events import Armed, Created, Discarded, Failed, Lost, Withdrawn
from recordings.model.ids import new_recording_id
from recordings.model.instants import Millis, month_of
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import Consent, ConsentNeed, ConsentState, PolicyTrace
from recordings.model.recording import Direction, Reason, Recording, State
from recordings.model.retention import delete_at
from recordings.ports.account_stores import AccountStore
from recordings.ports.audit import Audit, AuditUnavailableError, recording_object
from recordings.ports.clock import Clock
from recordings.ports.recorder import Capability, Recorder, Take, TakeRefused
from recordings.ports.recording_store import MetadataStore, Taken
from recordings.rules.amendments import NO_CONSENT
from recordings.rules.idempotency import fingerprint, same_request, start_key
from recordings.rules.lifecycle import due_at
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.quotas import Quotas
from recordings.use_cases.save_event import RecordingWriter

_MAX_PARTY: Final = 64
"""Characters of a party in an origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """A request to start a recording. An `origin` replaces the usual text about how the recording was started.

    A request by a policy has its decision in `policy`. Its `key` cannot be the key of a client.
    """

    call_id: str
    options: RecordingOptions = field(default_factory=RecordingOptions)
    account_id: str | None = None
    key: str | None = None
    origin: str | None = None
    policy: PolicyTrace | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of the request. Two requests with the same digest are the same request."""
        # The policy of a call may change between two requests for the same recording.
        options = asdict(self.options) if self.policy is None else {}
        return fingerprint({"call_id": self.call_id, "options": options})

    def start_key(self, principal: Principal) -> str | None:
        """Return the stored form of the key."""
        # A client's key never begins like this: its owner has no plain percent sign.
        return start_key(principal, self.key) if self.policy is None else f"%policy:{self.key}"


class RecordingStarter:
    """Starts recordings. A call has at most one recording in progress that was started here."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        recorder: Recorder,
        clock: Clock,
        audit: Audit,
        node: str,
        policies: PolicyReader | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self.quotas = quotas or Quotas(store, clock, audit)
        self._policies = policies or PolicyReader(store, clock)
        self._store = store
        self._writer = RecordingWriter(store)
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._node = node
        self._starting: set[str] = set()

    async def start(self, principal: Principal, account: Account, request: StartRequest) -> Recording:
        """Record a live call of an account that the caller may access. See `Recordings.start`."""
        key = request.start_key(principal)
        replayed = await self._replay(principal, account, key, request)
        if replayed is not None:
            return replayed
        call = await self._recorder.find_call(account.id, request.call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            message = f"there is no live call {request.call_id!r}"
            raise CallNotFound(message, path=("callId",))
        self._require_capabilities(call, request.options)
        await self._check_server(call)
        consent = await self._consent(principal, call)
        await self.quotas.require_recording(account)
        recording = replace(self._new(account, call, request, key), consent=consent)
        recording = await with_retention(self._store, recording)
        self._starting.add(recording.id)
        try:
            if not await self._create(principal, recording):
                return await self._answer_duplicate(principal, recording, account, request)
            return await self._begin(principal, recording)
        finally:
            self._starting.discard(recording.id)

    async def _consent(self, principal: Principal, call: Call) -> Consent | None:
        """Return the consent that a recording of a call needs or has. `ForbiddenByPolicy` if a lock forbids it."""
        decided = await self._policies.plan(call)
        if decided.refused:
            raise ForbiddenByPolicy(decided.because, path=("callId",))
        if decided.consent is ConsentNeed.NOT_NEEDED and call.consent is None:
            return None
        state = {None: ConsentState.WAITING, True: ConsentState.GIVEN, False: ConsentState.REFUSED}[call.consent]
        return Consent(decided.consent, state, self._clock.now(), principal.name or principal.account_id)

    async def _check_server(self, call: Call) -> None:
        """Refuse a start that its server would reject, before the recording is made."""
        try:
            await self._recorder.check_server(call.node)
        except TakeRefused as refused:
            raise RecorderFailed(str(refused)) from refused

    async def _create(self, principal: Principal, recording: Recording) -> bool:
        """Insert a recording. Return false if another recording of its call is in progress, or has its key."""
        try:
            await self._writer.create(recording, Created(at=recording.created))
        except Taken:
            if not await self._supersede(principal, recording):
                return False
        else:
            return True
        try:
            await self._writer.create(recording, Created(at=recording.created))
        except Taken:
            return False
        return True

    async def _supersede(self, principal: Principal, recording: Recording) -> bool:
        """End the recording in progress of the same call if its server is gone. Return false if there is no such one.

        The old recording is `LOST`. Its server finalizes it if it returns.
        """
        active = await self._store.find_active(recording.account_id, recording.active_call or recording.call_id)
        if active is None or active.node in {None, self._node} or not await self._recorder.is_gone(active.node or ""):
            return False
        detail = f"the server {active.node} does not answer, and recording {recording.id} of the same call was started"
        lost = Lost(at=self._clock.now(), reason=Reason.RECORDER_GONE, detail=detail)
        # If another process wins the race, its result decides whether the call has a recording in progress.
        if await self._writer.save_event_once(active, lost) is not None:
            await self._audit.record(principal, AuditAction.SUPERSEDE, recording_object(active), node=active.node)
        return True

    def _require_capabilities(self, call: Call, options: RecordingOptions) -> None:
        if options.record_on_answer:
            require_capability(self._recorder, call.recorder, Capability.ON_ANSWER)
        elif options.record_on_bridge:
            require_capability(self._recorder, call.recorder, Capability.ON_BRIDGE)

    def _new(self, account: Account, call: Call, request: StartRequest, key: str | None) -> Recording:
        now = self._clock.now()
        audio_format = request.options.format or "mp3"
        recording = replace(recording_of_call(call, account, now, call.node or self._node), format=audio_format)
        recording = replace(
            recording,
            options=replace(request.options, format=audio_format),
            label=request.options.label,
            name=request.options.media_name or recording.default_name,
            origin=request.origin or describe_origin(recording, request.options.label),
            policy=request.policy,
            recorder=call.recorder,
            start_key=key,
            start_fingerprint=request.fingerprint,
        )
        return replace(recording, due_at=due_at(recording, now))

    async def _begin(self, principal: Principal, recording: Recording) -> Recording:
        """Ask the recorder to open the take, and save its reply. Without consent, the recorder is not asked."""
        await self._record(principal, recording)
        if recording.consent is not None and recording.consent.state is not ConsentState.GIVEN:
            return await self._hold(recording, recording.consent.state)
        try:
            event = await self._recorder.start(take_of(recording))
        except TakeRefused as refused:
            failed = Failed(at=self._clock.now(), reason=refused.reason, detail=str(refused))
            # The recorder may have started although its reply was lost. If its `Begun` is saved first, the recording
            # continues. A `Begun` after this point makes us stop the take (`graph.server.background_work`).
            found = await self._writer.save_event(recording, failed, only_in=State.REQUESTED)
            if _unless_refused(found).in_progress:
                return found
            raise RecorderFailed(str(refused), recording_id=recording.id) from refused
        return _unless_refused(await self._writer.save_event(recording, event))

    async def _record(self, principal: Principal, recording: Recording) -> None:
        target = recording_object(recording)
        try:
            await self._audit.record(principal, AuditAction.START, target, entry_id=f"{recording.id}-start")
        except AuditUnavailableError:
            # A call that a policy records must not be lost because the trail cannot be written.
            if recording.policy is None:
                await self._writer.withdraw(recording, Withdrawn(at=self._clock.now()))
                raise

    async def _hold(self, recording: Recording, consent: ConsentState) -> Recording:
        """Arm a recording until the parties consent. Discard it if they refused."""
        now = self._clock.now()
        if consent is ConsentState.WAITING:
            return await self._writer.save_event(recording, Armed(at=now))
        event = Discarded(at=now, reason=Reason.NO_CONSENT, detail=NO_CONSENT[consent])
        return await self._writer.save_event(recording, event)

    async def _replay(
        self, principal: Principal, account: Account, key: str | None, request: StartRequest
    ) -> Recording | None:
        """Return the recording of an earlier request with this key, if there is one."""
        found = await self._store.find_started(account.id, key) if key is not None else None
        return None if found is None else await self._finish_start(principal, same_request(found, request.fingerprint))

    async def _finish_start(self, principal: Principal, recording: Recording) -> Recording:
        """Open the take of a recording that another request inserted, if that request did not."""
        # The other request may have failed after its insert, so that it never called the recorder. If it is about to
        # call the recorder in another process, the recorder starts the take only once.
        if recording.state is not State.REQUESTED or recording.id in self._starting:
            return _unless_refused(recording)
        # The take may have begun since this row was read.
        latest = await self._store.load(recording.id) or recording
        if latest.state is not State.REQUESTED or latest.id in self._starting:
            return _unless_refused(latest)
        self._starting.add(latest.id)
        try:
            return await self._begin(principal, latest)
        finally:
            self._starting.discard(latest.id)

    async def _answer_duplicate(
        self, principal: Principal, recording: Recording, account: Account, request: StartRequest
    ) -> Recording:
        """Answer a request after another one inserted a recording of the same call or with the same key."""
        # It may be the same request, sent twice at the same time.
        replayed = await self._replay(principal, account, recording.start_key, request)
        if replayed is not None:
            return replayed
        active = await self._store.find_active(account.id, recording.active_call or request.call_id)
        if active is not None:
            await self._finish_start(principal, active)
        message = f"call {request.call_id!r} is being recorded already"
        raise AlreadyRecording(message, path=("callId",), recording_id=active.id if active else None)


def _unless_refused(recording: Recording) -> Recording:
    """Return a recording. Raise `RecorderFailed` if its recorder refused the start, also for a repeated request."""
    state = recording.trashed_from or recording.state
    is_refused = state is State.FAILED and recording.reason in {Reason.RECORDER_FAILED, Reason.NO_START}
    # Only a recording whose start was interrupted has no fingerprint. Its server was late, and nothing was recorded.
    if is_refused or (state is State.DISCARDED and recording.start_fingerprint is None):
        detail = recording.reason_detail or "the recorder refused to start"
        raise RecorderFailed(detail, recording_id=recording.id)
    return recording


async def with_retention(store: AccountStore, recording: Recording) -> Recording:
    """Return the recording with the end of its retention, by the account's current rules."""
    # The account is read from the store each time, because its rules may have changed.
    account = await store.account(recording.account_id)
    return recording if account is None else replace(recording, delete_at=delete_at(account.retention, recording))


def require_capability(recorders: Recorder, name: str, capability: Capability) -> None:
    """Raise `UnsupportedByRecorder` unless a recorder has a capability. Call this before any switch command."""
    if capability not in recorders.capabilities_of(name):
        message = f"the recorder {name} does not support {capability.value}"
        raise UnsupportedByRecorder(message)


def take_of(recording: Recording) -> Take:
    """Return the take of a recording, for its recorder."""
    return Take(
        recording.id,
        recording.account_id,
        recording.call_id,
        recording.options,
        recording.node,
        recording.recorder,
    )


def recording_of_call(call: Call, account: Account, now: Millis, node: str) -> Recording:
    """Return a new recording with the data of its call. Both parties are in the form `user@realm`."""
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


def describe_origin(recording: Recording, label: str | None = None) -> str:
    """Return how a recording was started, for example `inbound from 1001 to 1002 : label`.

    Clients of Kazoo show the first word as the direction. A recording without a direction counts as inbound, as in v2.
    """
    caller, callee = (party.partition("@")[0][:_MAX_PARTY] for party in (recording.from_, recording.to))
    if recording.direction is Direction.OUTBOUND:
        origin = f"outbound to {callee} from {caller}"
    else:
        origin = f"inbound from {caller} to {callee}"
    return f"{origin} : {label}" if label else origin
