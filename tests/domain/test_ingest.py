"""Uploads, with a real store and a real spool."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from adapters.metadata.sqlite import SqliteStore
from adapters.spool import FolderSpool
from recordings.model.account import Account, Principal, Scope
from recordings.model.call import Call
from recordings.model.errors import Conflict, Forbidden, NotFound, NotRecording, QuotaExceeded
from recordings.model.events import Discarded, Failed, Lost, Missing, Purged, Restored, Stored, Trashed
from recordings.model.instants import SECOND
from recordings.model.quota import Quota
from recordings.model.recording import EndCause, Lease, Reason, Recording, State
from recordings.ports.recording_store import StoreUnavailableError, Taken
from recordings.ports.wake_up import NoSlots, StepSlots
from recordings.use_cases.ingest import EMPTY_SHA256, Ingest
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.work_claims import LEASE
from tests.contract.metadata.samples import AUDIO
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit

ACCOUNT, OTHER_ACCOUNT = "a" * 32, "b" * 32
CALL = Call(account_id=ACCOUNT, call_id="c1", started=1_795_336_000_000, from_="alice", to="bob@pbx")
ONE, TWO = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()


def sender(account_id: str = ACCOUNT) -> Principal:
    return Principal(account_id, frozenset({Scope.INGEST}), name="ingest-1")


@dataclass
class Receiver:
    store: SqliteStore
    spool: FolderSpool
    clock: FakeClock = field(default_factory=FakeClock)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    done: list[str] = field(default_factory=list)
    slots: StepSlots = field(default_factory=NoSlots)

    def ingest(self, node: str = "node-1") -> Ingest:
        return Ingest(
            store=self.store,
            spool=self.spool,
            clock=self.clock,
            audit=self.audit,
            wake=self,
            node=node,
            slots=self.slots,
        )

    def __call__(self) -> None:
        self.done.append("wake")

    @property
    def writer(self) -> RecordingWriter:
        return RecordingWriter(self.store)

    async def store_audio(self, recording: Recording) -> Recording:
        """Do what the finalizer does at its end."""
        return await self.writer.save_event(recording, Stored(at=self.clock.now(), media=AUDIO, format="mp3"))

    async def open(self, principal: Principal | None = None, **changes: Any) -> Recording:
        """Open an upload and write some audio to the spool."""
        given: dict[str, Any] = {"name": "n.mp3", "extension": "mp3", "source_key": "k"} | changes
        node = given.pop("node", "node-1")
        opened = await self.ingest(node).open(principal or sender(), CALL, **given)
        writer = await self.spool.open_body(opened.id, "mp3")
        await writer.write(b"audio")
        await writer.close()
        return opened


class Slots:
    """Step slots that note what happens with them."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def reserve(self, account_id: str) -> "Slots":
        self.done.append(("reserve", account_id))
        return self

    def start(self, recording: Recording) -> None:
        self.done.append(("start", recording))

    def free(self) -> None:
        self.done.append("free")

    def free_unclear(self, recording_id: str) -> None:
        self.done.append(("unclear", recording_id))


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    store = SqliteStore(tmp_path)
    await store.open()
    for account_id in (ACCOUNT, OTHER_ACCOUNT):
        await store.add_account(Account(account_id, "x", 0))
    yield Receiver(store, FolderSpool(tmp_path))
    await store.close()


async def test_the_row_is_saved_before_the_audio(receiver: Receiver) -> None:
    opened = await receiver.open()
    found = await receiver.store.load(opened.id)
    assert found == opened
    assert (opened.state, opened.node, opened.source_key) == (State.RECORDING, "node-1", "k")
    assert (opened.start, opened.created) == (CALL.started, receiver.clock.now())
    assert opened.from_ == f"alice@{ACCOUNT[:12]}.sip.invalid"
    assert (opened.to, opened.origin, opened.name) == ("bob@pbx", "inbound from alice to bob", "n.mp3")
    assert (opened.format, opened.options.format) == ("mp3", None)
    assert opened.due_at is not None
    assert opened.active_call is None
    assert receiver.audit.counted == [("receive", None)]
    assert [each.id for each in await receiver.store.held_by("node-1")] == [opened.id]


async def test_an_upload_needs_the_ingest_scope(receiver: Receiver) -> None:
    with pytest.raises(Forbidden):
        await receiver.open(Principal(ACCOUNT, frozenset({Scope.CONTROL})))


async def test_a_finished_upload_is_finalized(receiver: Receiver) -> None:
    opened = await receiver.open()
    finished = await receiver.ingest().finish(opened, ONE)
    assert (finished.state, finished.end_cause, finished.source_sha256) == (State.FINALIZING, EndCause.RECEIVED, ONE)
    assert await receiver.store.load(opened.id) == finished
    assert receiver.done == ["wake"]


async def test_a_repeated_upload_returns_the_first_recording(receiver: Receiver) -> None:
    original = await receiver.ingest().finish(await receiver.open(), ONE)
    again = await receiver.open()
    assert await receiver.ingest().finish(again, ONE) == original
    discarded = await receiver.store.load(again.id)
    assert discarded is not None
    assert (discarded.state, discarded.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert original.id in (discarded.reason_detail or "")
    assert await receiver.spool.ids() == [original.id]


async def test_a_repeated_upload_does_not_restore_a_deleted_recording(receiver: Receiver) -> None:
    original = await receiver.open()
    await receiver.ingest().finish(original, ONE)
    await receiver.ingest().finish(await receiver.open(), ONE)
    await receiver.store_audio(await _load(receiver, original.id))
    await receiver.writer.save_event(await _load(receiver, original.id), Trashed(at=1, by="x", purge_at=2))
    assert (await receiver.ingest().finish(await receiver.open(), ONE)).id == original.id


async def _load(receiver: Receiver, recording_id: str) -> Recording:
    found = await receiver.store.load(recording_id)
    assert found is not None
    return found


@pytest.mark.parametrize("state", [State.FAILED, State.LOST])
async def test_a_repeated_upload_after_a_failure_is_recorded(receiver: Receiver, state: State) -> None:
    original = await receiver.ingest().finish(await receiver.open(), ONE)
    event = Failed(at=1, reason=Reason.NOT_AUDIO) if state is State.FAILED else Lost(at=1, reason=Reason.RECORDER_GONE)
    await receiver.writer.save_event(original, event)
    again = await receiver.ingest().finish(await receiver.open(), ONE)
    assert (again.id != original.id, again.state) == (True, State.FINALIZING)


async def test_a_repeated_upload_is_kept_if_only_another_nodes_disk_has_it(receiver: Receiver) -> None:
    elsewhere = await receiver.ingest("node-2").finish(await receiver.open(node="node-2"), ONE)
    again = await receiver.open()
    receiver.clock.move(SECOND)
    assert await receiver.ingest().finish(again, ONE) == elsewhere
    assert (await _load(receiver, again.id)).state is State.FINALIZING
    assert await receiver.spool.ids() == sorted([elsewhere.id, again.id])


@pytest.mark.parametrize("state", [State.STORED, State.FINALIZING, State.TRASHED])
async def test_sixty_copies_in_sequence_are_one_recording(receiver: Receiver, state: State) -> None:
    original = await receiver.ingest().finish(await receiver.open(), ONE)
    if state is not State.FINALIZING:
        await receiver.store_audio(original)
    if state is State.TRASHED:
        await receiver.writer.save_event(await _load(receiver, original.id), Trashed(at=1, by="x", purge_at=2))
    answers = [await receiver.ingest().finish(await receiver.open(), ONE) for _ in range(60)]
    assert {answer.id for answer in answers} == {original.id}
    assert {answer.state for answer in answers} == {state}


async def test_forty_copies_at_once_are_one_recording(receiver: Receiver) -> None:
    opened = [await receiver.open() for _ in range(40)]
    answers = await asyncio.gather(*(receiver.ingest().finish(each, ONE) for each in opened))
    assert len({answer.id for answer in answers}) == 1
    states = Counter([(await _load(receiver, each.id)).state for each in opened])
    assert states == {State.FINALIZING: 1, State.DISCARDED: 39}
    assert await receiver.spool.ids() == [answers[0].id]


@pytest.mark.parametrize("reason", [Reason.EMPTY, Reason.TOO_SHORT])
async def test_erased_audio_has_no_duplicate(receiver: Receiver, reason: Reason) -> None:
    original = await receiver.ingest().finish(await receiver.open(), ONE)
    await receiver.writer.save_event(original, Discarded(at=1, reason=reason))
    again = await receiver.ingest().finish(await receiver.open(), ONE)
    assert (again.id != original.id, again.state) == (True, State.FINALIZING)


async def test_a_purged_or_missing_recording_has_no_duplicate(receiver: Receiver) -> None:
    for end in ((Missing(at=3, detail="gone"),), (Trashed(at=3, by="x", purge_at=4), Purged(at=5))):
        original = await receiver.ingest().finish(await receiver.open(), ONE)
        await receiver.store_audio(original)
        for event in end:
            await receiver.writer.save_event(await _load(receiver, original.id), event)
        again = await receiver.ingest().finish(await receiver.open(), ONE)
        assert (again.id != original.id, again.state) == (True, State.FINALIZING)
        await receiver.writer.save_event(again, Failed(at=6, reason=Reason.NOT_AUDIO))


async def test_a_restored_recording_still_holds_its_file(receiver: Receiver) -> None:
    original = await receiver.ingest().finish(await receiver.open(), ONE)
    await receiver.store_audio(original)
    for event in (Trashed(at=3, by="x", purge_at=9), Restored(at=4, delete_at=None)):
        await receiver.writer.save_event(await _load(receiver, original.id), event)
    assert (await receiver.ingest().finish(await receiver.open(), ONE)).id == original.id


async def test_only_one_of_the_copies_of_two_servers_can_be_stored(receiver: Receiver) -> None:
    one = await receiver.ingest().finish(await receiver.open(), ONE)
    receiver.clock.move(SECOND)
    second = await receiver.open(node="node-2")
    assert await receiver.ingest("node-2").finish(second, ONE) == one
    kept = await _load(receiver, second.id)
    assert (kept.state, await receiver.spool.audio(second.id) is not None) == (State.FINALIZING, True)
    await receiver.store_audio(kept)
    with pytest.raises(Taken):
        await receiver.store_audio(one)
    assert (await _load(receiver, one.id)).state is State.FINALIZING
    assert (await receiver.ingest().finish(await receiver.open(), ONE)).id == kept.id


async def test_other_bytes_or_another_source_key_make_another_recording(receiver: Receiver) -> None:
    ids = set()
    for key, digest in (("k", ONE), ("k", TWO), ("other", ONE)):
        opened = await receiver.open(source_key=key)
        ids.add((await receiver.ingest().finish(opened, digest)).id)
    assert len(ids) == 3


async def test_uploads_of_other_accounts_are_not_duplicates(receiver: Receiver) -> None:
    await receiver.ingest().finish(await receiver.open(), ONE)
    there = await receiver.open(sender(OTHER_ACCOUNT))
    finished = await receiver.ingest().finish(there, ONE)
    assert (finished.id, finished.account_id, finished.state) == (there.id, OTHER_ACCOUNT, State.FINALIZING)


async def test_an_upload_in_progress_cannot_be_stopped(receiver: Receiver) -> None:
    opened = await receiver.open()
    use = Recordings(
        store=receiver.store,
        recorder=FakeRecorder(receiver.clock),
        clock=receiver.clock,
        audit=receiver.audit,
        wake=receiver,
        node="node-1",
    )
    with pytest.raises(NotRecording, match="only its sender can end it"):
        await use.stop(Principal(ACCOUNT, frozenset({Scope.CONTROL})), opened.id)
    finished = await receiver.ingest().finish(opened, "1" * 64)
    assert (finished.state, finished.end_cause) == (State.FINALIZING, EndCause.RECEIVED)


async def test_an_empty_upload_is_discarded(receiver: Receiver) -> None:
    opened = await receiver.open()
    assert sha256(b"").hexdigest() == EMPTY_SHA256
    finished = await receiver.ingest().finish(opened, EMPTY_SHA256)
    assert (finished.state, finished.reason) == (State.DISCARDED, Reason.EMPTY)
    assert await receiver.spool.ids() == []


async def test_an_incomplete_upload_is_set_aside_and_can_be_sent_again(receiver: Receiver) -> None:
    opened = await receiver.open()
    broken = await receiver.ingest().break_off(opened.id, "x" * 9_000)
    assert (broken.state, broken.reason, len(broken.reason_detail or "")) == (State.FAILED, Reason.INCOMPLETE, 500)
    assert await receiver.spool.ids() == []
    again = await receiver.open(node="node-2")
    assert (again.id, again.state, again.node, again.reason) == (opened.id, State.RECORDING, "node-2", None)
    finished = await receiver.ingest("node-2").finish(again, ONE)
    assert finished.state is State.FINALIZING


async def test_a_finished_upload_cannot_break_off(receiver: Receiver) -> None:
    finished = await receiver.ingest().finish(await receiver.open(), ONE)
    assert await receiver.ingest().break_off(finished.id, "the store is unreachable") == finished
    assert await receiver.spool.ids() == [finished.id]
    again = await receiver.open()
    assert (await receiver.ingest().finish(again, ONE)).id == finished.id


async def test_only_one_of_two_simultaneous_retries_reopens_the_recording(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = await receiver.ingest().break_off((await receiver.open()).id, "gone")
    seen = await receiver.store.find_source(ACCOUNT, "k")

    async def earlier_result(*_: object) -> list[Recording]:
        return list(seen)

    monkeypatch.setattr(receiver.store, "find_source", earlier_result)
    first, second = await receiver.open(), await receiver.open()
    assert first.id == broken.id
    assert second.id != broken.id


async def test_a_refused_upload_is_removed(receiver: Receiver) -> None:
    opened = await receiver.open()
    await receiver.ingest().refuse(opened.id)
    await receiver.ingest().refuse(opened.id)
    assert await receiver.store.load(opened.id) is None
    assert await receiver.spool.ids() == []


async def test_the_next_attempt_of_an_upload_is_not_over_quota(receiver: Receiver) -> None:
    await receiver.store.save_account(Account(ACCOUNT, "x", 0, quota=Quota(recordings_per_day=1)))
    opened = await receiver.open()
    await receiver.ingest().break_off(opened.id, "gone")
    assert (await receiver.open()).id == opened.id
    with pytest.raises(QuotaExceeded):
        await receiver.open(source_key="other")


async def test_after_a_refused_retry_the_recording_is_incomplete_again(receiver: Receiver) -> None:
    await receiver.ingest().break_off((await receiver.open()).id, "gone")
    again = await receiver.open()
    await receiver.ingest().refuse(again.id)
    kept = await _load(receiver, again.id)
    assert (kept.state, kept.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert await receiver.spool.ids() == []


async def test_the_senders_id_is_used_if_it_is_free(receiver: Receiver) -> None:
    wanted = f"202611-{'1' * 32}"
    assert (await receiver.open(recording_id=wanted)).id == wanted
    other = await receiver.open(recording_id=wanted, source_key="other")
    assert other.id != wanted
    assert await _load(receiver, other.id) == other


async def test_an_unknown_recording_is_not_found(receiver: Receiver) -> None:
    unknown = replace(await receiver.open(), id="202611-x", revision=9)
    with pytest.raises(Conflict):
        await receiver.ingest().finish(unknown, ONE)
    with pytest.raises(NotFound):
        await receiver.ingest().break_off("202611-x", "gone")


async def test_the_write_that_ends_an_upload_leases_its_first_step(receiver: Receiver) -> None:
    opened, slots = await receiver.open(), Slots()
    ingest = replace(receiver, slots=slots).ingest()
    finished = await ingest.finish(opened, ONE)
    assert slots.done == [("reserve", ACCOUNT), ("start", finished)]
    assert finished.lease == Lease("node-1", receiver.clock.now() + LEASE)
    assert receiver.done == []
    assert await receiver.store.load(opened.id) == finished
    # Its step ends the lease.
    assert (await receiver.store_audio(finished)).lease is None
    # The upload has ended already, so its step may be running.
    assert (await ingest.finish(opened, ONE)).state is State.STORED


async def test_a_slot_is_free_again_if_its_step_cannot_start(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, slots = await receiver.open(), Slots()
    ingest = replace(receiver, slots=slots).ingest()

    async def fail(*_arguments: Any) -> bool:
        raise StoreUnavailableError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(receiver.store, "save", fail)
        with pytest.raises(StoreUnavailableError):
            await ingest.finish(opened, ONE)
    assert slots.done[1:] == [("unclear", opened.id)]
    # The watchdog ends the upload before its sender does.
    await ingest.break_off(opened.id, "too slow")
    slots.done.clear()
    assert (await ingest.finish(opened, ONE)).state is State.FAILED
    assert slots.done[1:] == ["free"]
