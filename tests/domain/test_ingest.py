"""Audio that is handed in as a whole, on a real store and a real spool."""

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
from recordings.model.errors import Forbidden, NotFound, NotRecording
from recordings.model.events import Trashed
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.use_cases.ingest import EMPTY_SHA256, Ingest
from recordings.use_cases.recordings import Recordings
from recordings.use_cases.save_event import RecordingWriter
from tests.support.fake_clock import StillClock
from tests.support.fake_recorder import ScriptedRecorder

ACCOUNT, ELSEWHERE = "a" * 32, "b" * 32
CALL = Call(account_id=ACCOUNT, call_id="c1", started=1_795_336_000_000, from_="alice", to="bob@pbx")
ONE, TWO = sha256(b"one").hexdigest(), sha256(b"two").hexdigest()


def sender(account_id: str = ACCOUNT) -> Principal:
    return Principal(account_id, frozenset({Scope.INGEST}), name="ingest-1")


@dataclass
class Desk:
    store: SqliteStore
    spool: FolderSpool
    clock: StillClock = field(default_factory=StillClock)
    done: list[str] = field(default_factory=list)

    def receiving(self, node: str = "node-1") -> Ingest:
        return Ingest(store=self.store, spool=self.spool, clock=self.clock, audit=self, wake=self, node=node)

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        self.done.append(action)

    def __call__(self) -> None:
        self.done.append("wake")

    async def open(self, principal: Principal | None = None, **changes: Any) -> Recording:
        """Open, and put something on the disk."""
        given: dict[str, Any] = {"name": "n.mp3", "extension": "mp3", "source_key": "k"} | changes
        node = given.pop("node", "node-1")
        opened = await self.receiving(node).open(principal or sender(), CALL, **given)
        writer = await self.spool.open_body(opened.id, "mp3")
        await writer.write(b"audio")
        await writer.close()
        return opened


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path)
    await store.open()
    for account_id in (ACCOUNT, ELSEWHERE):
        await store.add_account(Account(account_id, "x", 0))
    yield Desk(store, FolderSpool(tmp_path))
    await store.close()


async def test_a_row_is_there_before_the_audio(desk: Desk) -> None:
    opened = await desk.open()
    found = await desk.store.load(opened.id)
    assert found == opened
    assert (opened.state, opened.node, opened.source_key) == (State.RECORDING, "node-1", "k")
    assert (opened.start, opened.created) == (CALL.started, desk.clock.now())
    assert opened.from_ == f"alice@{ACCOUNT[:12]}.sip.invalid"
    assert (opened.to, opened.origin, opened.name) == ("bob@pbx", "ingest:kazoo", "n.mp3")
    assert (opened.format, opened.options.format) == ("mp3", None)
    assert opened.due_at is not None
    assert opened.active_call is None
    assert desk.done == ["receive"]
    assert [each.id for each in await desk.store.held_by("node-1")] == [opened.id]


async def test_only_an_ingest_address_may(desk: Desk) -> None:
    with pytest.raises(Forbidden):
        await desk.open(Principal(ACCOUNT, frozenset({Scope.CONTROL})))


async def test_what_came_is_to_be_finalized(desk: Desk) -> None:
    opened = await desk.open()
    finished = await desk.receiving().finish(opened.id, ONE)
    assert (finished.state, finished.end_cause, finished.source_sha256) == (State.FINALIZING, EndCause.RECEIVED, ONE)
    assert await desk.store.load(opened.id) == finished
    assert desk.done == ["receive", "wake"]


async def test_a_repetition_is_the_recording_that_is_there(desk: Desk) -> None:
    original = await desk.receiving().finish((await desk.open()).id, ONE)
    again = await desk.open()
    assert await desk.receiving().finish(again.id, ONE) == original
    discarded = await desk.store.load(again.id)
    assert discarded is not None
    assert (discarded.state, discarded.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert original.id in (discarded.reason_detail or "")
    assert await desk.spool.ids() == [original.id]


async def test_a_repetition_of_what_was_deleted_does_not_bring_it_back(desk: Desk) -> None:
    original = await desk.open()
    await desk.receiving().finish(original.id, ONE)
    await desk.receiving().finish((await desk.open()).id, ONE)
    stored = replace(await _load(desk, original.id), state=State.STORED)
    await desk.store.save(replace(stored, revision=stored.revision + 1), stored.revision)
    await RecordingWriter(desk.store).save_event(await _load(desk, original.id), Trashed(at=1, by="x", purge_at=2))
    assert (await desk.receiving().finish((await desk.open()).id, ONE)).id == original.id


async def _load(desk: Desk, recording_id: str) -> Recording:
    found = await desk.store.load(recording_id)
    assert found is not None
    return found


@pytest.mark.parametrize("state", [State.FAILED, State.LOST])
async def test_a_repetition_of_what_failed_is_a_recording(desk: Desk, state: State) -> None:
    original = await desk.receiving().finish((await desk.open()).id, ONE)
    failed = replace(original, state=state, reason=Reason.NOT_AUDIO, revision=original.revision + 1)
    await desk.store.save(failed, original.revision)
    again = await desk.receiving().finish((await desk.open()).id, ONE)
    assert (again.id != original.id, again.state) == (True, State.FINALIZING)


async def test_what_only_another_node_has_on_its_disk_is_stored_here_too(desk: Desk) -> None:
    elsewhere = await desk.receiving("node-2").finish((await desk.open(node="node-2")).id, ONE)
    again = await desk.receiving().finish((await desk.open()).id, ONE)
    assert (again.id != elsewhere.id, again.state) == (True, State.FINALIZING)


async def test_other_bytes_or_another_key_are_another_recording(desk: Desk) -> None:
    ids = set()
    for key, digest in (("k", ONE), ("k", TWO), ("other", ONE)):
        opened = await desk.open(source_key=key)
        ids.add((await desk.receiving().finish(opened.id, digest)).id)
    assert len(ids) == 3


async def test_another_account_has_nothing_to_do_with_it(desk: Desk) -> None:
    await desk.receiving().finish((await desk.open()).id, ONE)
    there = await desk.open(sender(ELSEWHERE))
    finished = await desk.receiving().finish(there.id, ONE)
    assert (finished.id, finished.account_id, finished.state) == (there.id, ELSEWHERE, State.FINALIZING)


async def test_nobody_stops_what_is_being_handed_in(desk: Desk) -> None:
    opened = await desk.open()
    use = Recordings(
        store=desk.store, recorder=ScriptedRecorder(desk.clock), clock=desk.clock, audit=desk, wake=desk, node="node-1"
    )
    with pytest.raises(NotRecording, match="only its sender can end it"):
        await use.stop(Principal(ACCOUNT, frozenset({Scope.CONTROL})), opened.id)
    finished = await desk.receiving().finish(opened.id, "1" * 64)
    assert (finished.state, finished.end_cause) == (State.FINALIZING, EndCause.RECEIVED)


async def test_nothing_at_all_is_discarded(desk: Desk) -> None:
    opened = await desk.open()
    assert sha256(b"").hexdigest() == EMPTY_SHA256
    finished = await desk.receiving().finish(opened.id, EMPTY_SHA256)
    assert (finished.state, finished.reason) == (State.DISCARDED, Reason.EMPTY)
    assert await desk.spool.ids() == []


async def test_what_broke_off_is_kept_aside_and_opened_again(desk: Desk) -> None:
    opened = await desk.open()
    broken = await desk.receiving().break_off(opened.id, "x" * 9_000)
    assert (broken.state, broken.reason, len(broken.reason_detail or "")) == (State.FAILED, Reason.INCOMPLETE, 500)
    assert await desk.spool.ids() == []
    again = await desk.open(node="node-2")
    assert (again.id, again.state, again.node, again.reason) == (opened.id, State.RECORDING, "node-2", None)
    finished = await desk.receiving("node-2").finish(again.id, ONE)
    assert finished.state is State.FINALIZING


async def test_what_came_to_its_end_unheard_is_not_broken_off(desk: Desk) -> None:
    finished = await desk.receiving().finish((await desk.open()).id, ONE)
    assert await desk.receiving().break_off(finished.id, "the store was lost") == finished
    assert await desk.spool.ids() == [finished.id]
    again = await desk.open()
    assert (await desk.receiving().finish(again.id, ONE)).id == finished.id


async def test_of_two_that_come_back_at_once_one_has_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = await desk.receiving().break_off((await desk.open()).id, "gone")
    seen = await desk.store.find_source(ACCOUNT, "k")

    async def as_it_was(*_: object) -> list[Recording]:
        return list(seen)

    monkeypatch.setattr(desk.store, "find_source", as_it_was)
    first, second = await desk.open(), await desk.open()
    assert first.id == broken.id
    assert second.id != broken.id


async def test_what_is_refused_leaves_nothing(desk: Desk) -> None:
    opened = await desk.open()
    await desk.receiving().refuse(opened.id)
    await desk.receiving().refuse(opened.id)
    assert await desk.store.load(opened.id) is None
    assert await desk.spool.ids() == []


async def test_a_refused_second_attempt_leaves_the_first_as_it_was(desk: Desk) -> None:
    await desk.receiving().break_off((await desk.open()).id, "gone")
    again = await desk.open()
    await desk.receiving().refuse(again.id)
    kept = await _load(desk, again.id)
    assert (kept.state, kept.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert await desk.spool.ids() == []


async def test_a_senders_id_is_kept_if_it_is_free(desk: Desk) -> None:
    wanted = f"202611-{'1' * 32}"
    assert (await desk.open(recording_id=wanted)).id == wanted
    other = await desk.open(recording_id=wanted, source_key="other")
    assert other.id != wanted
    assert await _load(desk, other.id) == other


async def test_an_unknown_recording_cannot_end(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.receiving().finish("202611-x", ONE)
    with pytest.raises(NotFound):
        await desk.receiving().break_off("202611-x", "gone")
