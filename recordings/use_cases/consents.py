"""The use case for consent: the parties of a call agree to be recorded, or refuse."""

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.errors import RecorderFailed
from recordings.model.events import Consented, Ended
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import EndCause, Recording, State
from recordings.ports.audit import Audit, Refusals, recording_object
from recordings.ports.clock import Clock
from recordings.ports.recorder import Recorder, ServerUnreachable, TakeRefused
from recordings.ports.recording_store import MetadataStore
from recordings.ports.wake_up import WakeUp
from recordings.rules.access import require_scope
from recordings.rules.idempotency import entry_id_of, was_applied
from recordings.rules.lifecycle import apply
from recordings.use_cases.authorized import Authorized
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.start import take_of

_ACTION = "consent"


class Consents:
    """Saves the answer of the parties, and starts or ends the take."""

    def __init__(self, *, store: MetadataStore, recorder: Recorder, clock: Clock, audit: Audit, wake: WakeUp) -> None:
        self._store = store
        self._writer = RecordingWriter(store)
        self._recorder = recorder
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._authorized = Authorized(store)

    async def answer(
        self, principal: Principal, recording_id: str, *, given: bool, key: str | None = None
    ) -> Recording:
        """Save whether the parties consent to a recording in progress. It needs the scope CONTROL.

        With consent, a recording that waits for it begins. Without, the recording ends as `DISCARDED(NO_CONSENT)`, and
        its audio is deleted. The answer is saved first, so a crash in between keeps no audio without consent.

        Raises:
            NotRecording: the recording has ended.
            RecorderFailed: the recorder refused. Send the answer again.
        """
        with Refusals(self._audit, principal, AuditAction.CONSENT, AuditObject("recording", recording_id)):
            require_scope(principal, Scope.CONTROL)
            recording = await self._authorized.recording(principal, recording_id)
            state = ConsentState.GIVEN if given else ConsentState.REFUSED
            action = f"{_ACTION} {state}"
            if was_applied(recording, key, action) and recording.state is not State.ARMED:
                return recording
            by = principal.name or principal.account_id
            event = Consented(at=self._clock.now(), state=state, by=by)
            apply(recording, event)
        target, entry_id = recording_object(recording), entry_id_of(recording, action, key)
        await self._audit.record(principal, AuditAction.CONSENT, target, entry_id=entry_id, state=state.value)
        with Refusals(self._audit, principal, AuditAction.CONSENT, target):
            recording, _is_new = await self._writer.save_action(recording, event, key, action)
        try:
            changed = await (self._begin(recording) if given else self._end(recording))
        except TakeRefused as refused:
            is_unreachable = isinstance(refused, ServerUnreachable)
            raise RecorderFailed(str(refused), recording_id=recording.id, is_unreachable=is_unreachable) from refused
        self._wake()
        return changed

    async def _begin(self, recording: Recording) -> Recording:
        """Open the take of an armed recording. The recorder opens it only once."""
        if recording.state is not State.ARMED:
            return recording
        return await self._writer.save_event(recording, await self._recorder.start(take_of(recording)))

    async def _end(self, recording: Recording) -> Recording:
        await self._recorder.stop(recording.id)
        return await self._writer.save_event(recording, Ended(at=self._clock.now(), cause=EndCause.STOPPED))
