"""The use cases for audio that is handed in as a whole: opened, and then finished, broken off or refused.

Whoever receives the bytes writes them to the spool; here is what that means for the recording. Its row is there before
the first byte is acknowledged, so no death of a process leaves audio that nobody knows of.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from recordings.model.account import Principal, Scope, require_scope
from recordings.model.call import Call
from recordings.model.events import Discarded, Ended, Failed, Reopened
from recordings.model.options import FORMATS, MAX_TIME_LIMIT, RecordingOptions
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.ports.audio import Spool
from recordings.ports.process import Audit, Clock, Notify
from recordings.ports.recording_store import MetadataStore, Taken, Unique
from recordings.rules.lifecycle import apply, due_at
from recordings.use_cases.authorized import Authorized, no_recording
from recordings.use_cases.save_event import change
from recordings.use_cases.start import dated, origin_text, recording_of_call

EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The digest of no bytes at all."""
_GONE: Final = frozenset({State.FAILED, State.LOST})


class Ingest:
    """Take in finished recordings from switches, for the account of an ingest address."""

    def __init__(
        self, *, store: MetadataStore, spool: Spool, clock: Clock, audit: Audit, wake: Notify, node: str
    ) -> None:
        self._store = store
        self._spool = spool
        self._clock = clock
        self._audit = audit
        self._wake = wake
        self._node = node
        self._reach = Authorized(store)

    async def open(
        self,
        principal: Principal,
        call: Call,
        *,
        name: str,
        extension: str,
        source_key: str,
        recording_id: str | None = None,
    ) -> Recording:
        """A recording that the audio about to come in goes to; it is `RECORDING` on this node.

        One that broke off under the same `source_key` is opened again: this is its sender's next attempt. A sender's
        own `recording_id` is kept if it is free; `call.started` is when its audio began.

        Raises:
            Forbidden: the principal may not hand in audio.
        """
        require_scope(principal, Scope.INGEST)
        recording = await self._reopen(principal.account_id, source_key)
        if recording is None:
            fresh = await self._new(principal, call, name=name, extension=extension, source_key=source_key)
            recording = await self._insert(fresh, recording_id)
        self._audit.record(principal, "receive", recording.id, call_id=recording.call_id)
        return recording

    async def finish(self, recording_id: str, sha256: str) -> Recording:
        """All of it came, and is on the disk. It goes to the finalizer, or to the one that it is a repetition of.

        The same bytes under the same `source_key` are a sender's retry: the newcomer becomes `DISCARDED(DUPLICATE)`
        and the recording that was there is given back. Other bytes are another take of the call. No bytes at all end
        as `DISCARDED(EMPTY)`. Two finishes of one `source_key` must not run at once; the caller sees to that.

        Raises:
            NotFound: there is no such recording.
        """
        recording = await self._load(recording_id)
        original = await self._original(recording, sha256)
        if original is not None:
            await self._discard(recording, Reason.DUPLICATE, f"the same bytes are recording {original.id}")
            return original
        if sha256 == EMPTY_SHA256:
            return await self._discard(recording, Reason.EMPTY, "the body was empty")
        ended = Ended(at=self._clock.now(), cause=EndCause.RECEIVED, source_sha256=sha256)
        finished = await change(self._store, recording, ended)
        self._wake()
        return finished

    async def break_off(self, recording_id: str, detail: str) -> Recording:
        """It came in part only: `FAILED(INCOMPLETE)`, and what came is kept aside.

        One of which all came stays as it is: whoever says this lost the store over its end, and does not know.

        Raises:
            NotFound: there is no such recording.
        """
        failed = Failed(at=self._clock.now(), reason=Reason.INCOMPLETE, detail=detail[:500])
        changed = await change(self._store, await self._load(recording_id), failed, only_in=State.RECORDING)
        if changed.state is State.FAILED:
            await self._spool.set_aside(recording_id)
        return changed

    async def refuse(self, recording_id: str) -> None:
        """It is not wanted after all, and leaves nothing. One that had failed before goes back to that."""
        await self._spool.remove(recording_id)
        recording = await self._store.load(recording_id)
        if recording is None:
            return
        if recording.revision == 0:
            await self._store.remove(recording_id)
            return
        failed = Failed(at=self._clock.now(), reason=Reason.INCOMPLETE, detail="the next attempt was refused")
        await change(self._store, recording, failed)

    async def _new(self, principal: Principal, call: Call, *, name: str, extension: str, source_key: str) -> Recording:
        account = await self._reach.account(principal, principal.account_id)
        now = self._clock.now()
        recording = replace(
            recording_of_call(call, account, call.started, self._node),
            state=State.RECORDING,
            created=now,
            modified=now,
            # The switch has held to its limit already; ours is for how long the row may wait for the body.
            options=RecordingOptions(time_limit=MAX_TIME_LIMIT),
            name=name,
            format=extension if extension in FORMATS else "mp3",
            origin=origin_text("ingest", "kazoo", None),
            source_key=source_key,
        )
        return await dated(self._store, replace(recording, due_at=due_at(recording, now)))

    async def _insert(self, recording: Recording, wanted: str | None) -> Recording:
        if wanted is not None:
            try:
                await self._store.insert(named := replace(recording, id=wanted))
            except Taken as taken:
                if taken.what is not Unique.ID:
                    raise
            else:
                return named
        await self._store.insert(recording)
        return recording

    async def _reopen(self, account_id: str, source_key: str) -> Recording | None:
        for found in await self._sources(account_id, source_key):
            if found.state is State.FAILED and found.reason is Reason.INCOMPLETE:
                reopened = replace(apply(found, Reopened(at=self._clock.now())), node=self._node)
                # Saved once and not run again: of two senders that came back, only one may have it.
                if await self._store.save(reopened, found.revision):
                    return reopened
        return None

    async def _original(self, recording: Recording, sha256: str) -> Recording | None:
        for found in await self._sources(recording.account_id, recording.source_key or ""):
            state = found.trashed_from or found.state
            # What another node has on its disk may go with that disk, and these bytes are all there is then.
            is_safe = found.state is not State.FINALIZING or found.node == self._node
            if found.id != recording.id and found.source_sha256 == sha256 and state not in _GONE and is_safe:
                return found
        return None

    async def _sources(self, account_id: str, source_key: str) -> Sequence[Recording]:
        return await self._store.find_source(account_id, source_key)

    async def _discard(self, recording: Recording, reason: Reason, detail: str) -> Recording:
        event = Discarded(at=self._clock.now(), reason=reason, detail=detail)
        discarded = await change(self._store, recording, event)
        await self._spool.remove(recording.id)
        return discarded

    async def _load(self, recording_id: str) -> Recording:
        recording = await self._store.load(recording_id)
        if recording is None:
            raise no_recording(recording_id)
        return recording
