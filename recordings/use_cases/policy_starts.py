"""Recordings that policies start: when a call arrives, when it is answered, and for each new leg.

A recorder reports each change of a call. Every change is evaluated again, and every start is idempotent by the call and
the time of its first audio. So a change that is reported twice, or retried after an outage, starts nothing twice.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from typing import Final

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.call import Call, position_of_call
from recordings.model.errors import (
    AlreadyRecording,
    CallNotFound,
    Conflict,
    ForbiddenByPolicy,
    QuotaExceeded,
    RecorderFailed,
)
from recordings.model.events import Ended
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.policy_trace import ConsentState, PolicySource, PolicyTrace
from recordings.model.query import MAX_PAGE, PageRequest
from recordings.model.recording import EndCause, Recording
from recordings.model.recording_policy import Plan, PlannedTake
from recordings.ports.audit import Audit
from recordings.ports.clock import Clock
from recordings.ports.recorder import CallChange, CallEvent, Capability, Recorder
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from recordings.rules.resolve_policy import ACCOUNT_PART, options_of
from recordings.use_cases.policies import is_allowed_url
from recordings.use_cases.policy_reader import PolicyReader
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import RecordingStarter, StartRequest

_NAME: Final = "policy"


class PolicyStarts:
    """Starts and ends the recordings of policies."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        recorder: Recorder,
        reader: PolicyReader,
        clock: Clock,
        audit: Audit,
        node: str,
        url_prefixes: tuple[str, ...] = (),
        starter: RecordingStarter,
    ) -> None:
        self._starter = starter
        self._quotas = starter.quotas
        self._store = store
        self._recorder = recorder
        self._reader = reader
        self._clock = clock
        self._audit = audit
        self._node = node
        self._url_prefixes = url_prefixes
        self._writer = RecordingWriter(store)

    async def admit(self, call: Call) -> None:
        """Check a call before its first audio is received. `ForbiddenByPolicy` if a lock forbids to record it.

        While the store is unavailable, every call is admitted: no recording starts without the store, and each start
        checks the locks again.
        """
        try:
            decided = await self._reader.plan(call)
        except StoreUnavailableError:
            return
        if decided.refused:
            refused = ForbiddenByPolicy(decided.because)
            target = AuditObject("call", call.call_id, call.account_id)
            self._audit.refuse(
                _principal(call), AuditAction.FORBID_CALL, target, refused, decision=decided.decision.value
            )
            raise refused

    async def admit_stream(self, call: Call) -> None:
        """Check the stream of a call before its first audio. Raises as `admit`, and `QuotaExceeded`."""
        await self.admit(call)
        await self._quotas.require_stream(call)

    async def on_change(self, event: CallEvent) -> None:
        """Evaluate the policies for a change of a live call.

        Raises:
            Conflict: the call has a recording in progress on another server. Try again.
        """
        if event.change is CallChange.ENDED:
            await self._end_waiting(event.call)
        else:
            await self._start(event.call, await self._reader.plan(event.call))

    async def apply_now(self, account_id: str) -> None:
        """Apply the policies to the live calls of an account: start recordings, and end recordings of policies.

        A recording that a client or a sender asked for continues.
        """
        async for call in self._calls(account_id):
            decided = await self._reader.plan(call)
            await self._start(call, decided)
            wanted = {take.part for take in decided.takes}
            for recording in await self._active(call):
                by_policy = recording.policy is not None and recording.policy.source is not PolicySource.REQUEST
                if by_policy and recording.policy is not None and recording.policy.part not in wanted:
                    await self._stop(recording)

    async def _calls(self, account_id: str) -> AsyncIterator[Call]:
        request = PageRequest(limit=MAX_PAGE)
        while calls := await self._recorder.calls(account_id, request):
            for call in calls:
                yield call
            request = PageRequest(limit=MAX_PAGE, after=position_of_call(calls[-1]))

    async def _start(self, call: Call, decided: Plan) -> None:
        for take in decided.takes:
            try:
                await self._start_take(call, take)
            except CallNotFound:
                # The call has ended.
                return
            except (ForbiddenByPolicy, RecorderFailed):
                # A lock was set in this moment, or the recorder refused: the recording shows the reason.
                continue
            except QuotaExceeded as exceeded:
                target = AuditObject("call", call.call_id, call.account_id)
                self._audit.refuse(_principal(call), AuditAction.START, target, exceeded)
                return
            except AlreadyRecording as already:
                await self._check_active(call, already)

    async def _start_take(self, call: Call, take: PlannedTake) -> None:
        account = await self._store.account(call.account_id)
        if account is None:
            return
        request = StartRequest(
            call_id=call.call_id,
            options=self._options(call, take),
            account_id=call.account_id,
            key=_key(call, take),
            origin=take.origin,
            policy=_trace(take, self._clock.now()),
        )
        await self._starter.start(_principal(call), account, request)

    def _options(self, call: Call, take: PlannedTake) -> RecordingOptions:
        """Return the options that the call's recorder supports: a recording must not fail for the others."""
        options = options_of(take)
        if options.url is not None and not is_allowed_url(options.url, self._url_prefixes):
            options = replace(options, url=None)
        has = self._recorder.capabilities_of(call.recorder)
        return replace(
            options,
            record_on_answer=options.record_on_answer and Capability.ON_ANSWER in has,
            record_on_bridge=options.record_on_bridge and Capability.ON_BRIDGE in has,
        )

    async def _check_active(self, call: Call, already: AlreadyRecording) -> None:
        """Return if the call is recorded by the server that receives it. Raise `Conflict` if by another server.

        The audio of a call may come to this server while the recording on the previous server has not ended yet.
        """
        active = None if already.recording_id is None else await self._store.load(already.recording_id)
        if active is None or (active.in_progress and active.node not in {None, call.node or self._node}):
            message = f"the recording of call {call.call_id!r} on another server has not ended yet"
            raise Conflict(message, recording_id=already.recording_id)

    async def _end_waiting(self, call: Call) -> None:
        """End the recordings of an ended call that wait for consent. The recorder does not know them."""
        for recording in await self._active(call):
            if recording.consent is not None and recording.consent.state is ConsentState.WAITING:
                await self._writer.save_event(recording, Ended(at=self._clock.now(), cause=EndCause.HANGUP))

    async def _active(self, call: Call) -> list[Recording]:
        keys = (call.call_id, f"{call.call_id}\n{ACCOUNT_PART}")
        found = [await self._store.find_active(call.account_id, key) for key in keys]
        return [recording for recording in found if recording is not None]

    async def _stop(self, recording: Recording) -> None:
        await self._recorder.stop(recording.id)
        await self._writer.save_event(recording, Ended(at=self._clock.now(), cause=EndCause.STOPPED))


def _principal(call: Call) -> Principal:
    return Principal(call.account_id, frozenset({Scope.CONTROL}), name=_NAME)


def _key(call: Call, take: PlannedTake) -> str:
    """Return the key of a start: the same for each evaluation of a call. A later call with the same id has another."""
    return sha256(f"{call.started} {take.part} {call.call_id}".encode("utf-8", "surrogatepass")).hexdigest()


def _trace(take: PlannedTake, now: Millis) -> PolicyTrace:
    return PolicyTrace(
        source=take.source,
        evaluated_at=now,
        document_id=take.document_id,
        revision=take.revision,
        cell=take.cell,
        fill=take.fill,
        reasons=take.reasons,
        locked=take.locked,
        part=take.part,
    )
