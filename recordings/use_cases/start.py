"""Starting a recording: from a live call and a request to a take that is open or armed."""

from dataclasses import asdict, dataclass, field, replace

from recordings.model.account import Account, Principal
from recordings.model.call import Call, sip_uri
from recordings.model.errors import AlreadyRecording, CallNotFound, RecorderFailed, UnsupportedByRecorder
from recordings.model.events import Failed
from recordings.model.ids import new_recording_id
from recordings.model.instants import Millis, month_of
from recordings.model.options import RecordingOptions
from recordings.model.recording import Reason, Recording, State
from recordings.model.retention import delete_at
from recordings.ports.account_stores import AccountStore
from recordings.ports.process import Audit, Clock
from recordings.ports.recorder import Capability, Recorder, Take, TakeRefused
from recordings.ports.recording_store import MetadataStore, Taken
from recordings.rules.idempotency import fingerprint, same_request, start_key
from recordings.rules.lifecycle import due_at
from recordings.use_cases.save_event import change


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


class RecordingStarter:
    """Starts recordings, each call once at a time."""

    def __init__(self, *, store: MetadataStore, recorder: Recorder, clock: Clock, audit: Audit, node: str) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._node = node
        self._beginning: set[str] = set()

    async def start(self, principal: Principal, account: Account, request: StartRequest) -> Recording:
        """Record a call of an account in reach; see `Recordings.start`."""
        key = start_key(principal, request.key)
        replayed = await self._replay_start(principal, account, key, request)
        if replayed is not None:
            return replayed
        call = await self._recorder.find_call(account.id, request.call_id)
        if call is None or principal.owner_id not in {None, call.owner_id}:
            message = f"there is no live call {request.call_id!r}"
            raise CallNotFound(message, path=("callId",))
        self._require_capabilities(request.options)
        recording = await dated(self._store, self._new(principal, account, call, request, key))
        self._beginning.add(recording.id)
        try:
            await self._store.insert(recording)
        except Taken:
            return await self._lost_start(principal, account, key, request)
        else:
            return await self._begin(principal, recording)
        finally:
            self._beginning.discard(recording.id)

    def _require_capabilities(self, options: RecordingOptions) -> None:
        if options.record_on_answer:
            require_capability(self._recorder, Capability.ON_ANSWER)
        elif options.record_on_bridge:
            require_capability(self._recorder, Capability.ON_BRIDGE)

    def _new(
        self, principal: Principal, account: Account, call: Call, request: StartRequest, key: str | None
    ) -> Recording:
        now = self._clock.now()
        recording = recording_of_call(call, account, now, call.node or self._node)
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

    async def _begin(self, principal: Principal, recording: Recording) -> Recording:
        self._audit.record(principal, "start", recording.id, call_id=recording.call_id)
        take = Take(recording.id, recording.account_id, recording.call_id, recording.options, recording.node)
        try:
            event = await self._recorder.start(take)
        except TakeRefused as refused:
            failed = Failed(at=self._clock.now(), reason=Reason.RECORDER_FAILED, detail=str(refused))
            # The store decides who was first. A recorder whose answer was lost may have said that it begins, and then
            # it did; if it says so after this, it hears that nobody waits for it (`graph.server.background_work`).
            found = await change(self._store, recording, failed, only_in=State.REQUESTED)
            if found.in_progress:
                return found
            raise RecorderFailed(str(refused), recording_id=recording.id) from refused
        return await change(self._store, recording, event)

    async def _replay_start(
        self, principal: Principal, account: Account, key: str | None, request: StartRequest
    ) -> Recording | None:
        found = await self._store.find_started(account.id, key) if key is not None else None
        return None if found is None else await self._begun(principal, same_request(found, request.fingerprint))

    async def _begun(self, principal: Principal, recording: Recording) -> Recording:
        # The first request may not have heard that its row was kept, and so have begun nothing. If one in another
        # process is about to begin it, the recorder begins it once.
        if recording.state is not State.REQUESTED or recording.id in self._beginning:
            return recording
        # It may have begun while this row was on its way here.
        latest = await self._store.load(recording.id) or recording
        if latest.state is not State.REQUESTED or latest.id in self._beginning:
            return latest
        self._beginning.add(latest.id)
        try:
            return await self._begin(principal, latest)
        finally:
            self._beginning.discard(latest.id)

    async def _lost_start(
        self, principal: Principal, account: Account, key: str | None, request: StartRequest
    ) -> Recording:
        # Somebody else inserted first. It may have been this very request, sent twice at once.
        replayed = await self._replay_start(principal, account, key, request)
        if replayed is not None:
            return replayed
        active = await self._store.find_active(account.id, request.call_id)
        if active is not None:
            await self._begun(principal, active)
        message = f"call {request.call_id!r} is being recorded already"
        raise AlreadyRecording(message, path=("callId",), recording_id=active.id if active else None)


async def dated(store: AccountStore, recording: Recording) -> Recording:
    """A recording with the end of its retention, by the rules of now; a new one has it however it ends."""
    # Not the account that was kept: its rules may have changed.
    account = await store.account(recording.account_id)
    return recording if account is None else replace(recording, delete_at=delete_at(account.retention, recording))


def require_capability(recorder: Recorder, capability: Capability) -> None:
    """Raise `UnsupportedByRecorder` unless a recorder can do something; asked before the switch is touched."""
    if capability not in recorder.capabilities:
        message = f"the recorder {recorder.name} cannot do {capability.value}"
        raise UnsupportedByRecorder(message)


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
