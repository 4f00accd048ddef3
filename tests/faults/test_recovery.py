"""What a node takes up when it starts, or is back: its own audio, and what others took for lost."""

from dataclasses import replace
from typing import Any

import pytest

from recordings.model.events import Restored, Trashed
from recordings.model.instants import DAY, HOUR
from recordings.model.recording import Lease, Reason, State
from recordings.rules.lifecycle import apply
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import recording as sample
from tests.faults.real_node import NODE, Node, state_of


async def test_a_body_that_was_coming_in_is_incomplete(node: Node) -> None:
    recording = await node.record(source_key="kazoo/1")
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert node.files()["aside"]


async def test_what_never_began_is_discarded(node: Node) -> None:
    recording = sample(state=State.ARMED, node=NODE, account_id="a" * 32)
    await node.store.insert(recording)
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).reason is Reason.NEVER_STARTED


async def test_audio_that_is_gone_is_lost_with_a_reason(node: Node) -> None:
    recording = await node.record()
    await node.spool.remove(recording.id)
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)


@pytest.mark.parametrize("state", [State.RECORDING, State.FINALIZING, State.LOST])
async def test_a_node_finalizes_what_it_has_audio_of_whatever_its_name_was(node: Node, state: State) -> None:
    # Its data folder came out of a copy without its name, or the disk of a dead server was put into this one.
    recording = await node.record(node="another", state=state, due_at=node.clock.now() + DAY)
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.node) == (State.STORED, None)
    assert not node.files()["spool"]


async def test_what_a_sender_began_on_two_nodes_is_left_to_the_other_one(node: Node) -> None:
    # Here is what came before the connection broke.
    recording = await node.record(node="another", state=State.FINALIZING, source_key="kazoo/1", source_sha256="1" * 64)
    await node.run(node.upkeep())
    assert await state_of(node, recording) == recording
    assert node.files()["spool"]


@pytest.mark.parametrize("given", [{"state": State.STORED}, {"state": State.TRASHED, "trashed_from": State.STORED}])
async def test_what_another_node_stored_meanwhile_is_not_stored_twice(node: Node, given: dict[str, Any]) -> None:
    source = {"source_key": "kazoo/1", "source_sha256": "1" * 64}
    there = sample(account_id="a" * 32, **given, **source)
    await node.store.insert(there)
    again = await node.record(state=State.FINALIZING, due_at=node.clock.now(), **source)
    other = await node.record(state=State.FINALIZING, due_at=node.clock.now(), **source | {"source_sha256": "2" * 64})
    await node.run(node.upkeep())
    found = await state_of(node, again)
    assert (found.state, found.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert there.id in (found.reason_detail or "")
    assert (await state_of(node, other)).state is State.STORED
    assert not node.files()["spool"]


async def test_what_is_being_worked_on_is_not_taken_up_beside_that(node: Node) -> None:
    lease = Lease("an import", node.clock.now() + HOUR)
    recording = await node.record(state=State.FINALIZING, lease=lease, due_at=lease.until)
    await node.run(node.upkeep())
    assert await state_of(node, recording) == recording


async def test_a_part_of_a_body_is_never_taken_for_all_of_it(node: Node) -> None:
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE, source_key="kazoo/1")
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.media) == (State.LOST, None)
    assert node.files()["aside"]


async def test_what_others_gave_up_for_lost_is_taken_up_without_a_start(node: Node) -> None:
    reasons: dict[str, Any] = {"state": State.LOST, "reason": Reason.RECORDER_GONE}
    found = await node.record(**reasons)
    left = [
        await node.record(**reasons, node="another"),
        await node.record(**reasons, source_key="kazoo/1"),
        await node.record(state=State.TRASHED, trashed_from=State.LOST),
        await node.record(),
    ]
    upkeep = node.upkeep()
    assert [each.id for each in await upkeep.adopt()] == [found.id]
    (claimed,) = await upkeep.claim(8)
    assert (await upkeep.step(claimed)).state is State.STORED
    assert [await state_of(node, each) for each in left] == left
    assert await upkeep.adopt() == []


async def test_what_was_imported_whole_is_finalized_when_its_node_is_back(node: Node) -> None:
    imported = {"source_key": "v2:1", "imported": {"from": "x"}}
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE, **imported)
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_a_clock_that_is_put_back_delays_nothing_beyond_the_next_start(node: Node) -> None:
    recording = await node.record()
    await node.upkeep().recover()
    node.clock.move(-400 * DAY)
    assert await node.upkeep().claim(8) == []
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_what_is_lost_loses_no_audio_in_the_trash(node: Node) -> None:
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE)
    trashed = apply(recording, Trashed(at=node.clock.now(), by="me", purge_at=node.clock.now() + DAY))
    assert await node.store.save(trashed, recording.revision)
    await node.run(node.upkeep())
    await RecordingWriter(node.store).save_event(
        await state_of(node, recording), Restored(at=node.clock.now(), delete_at=None)
    )
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_what_was_set_aside_here_goes_when_another_node_purged_it(node: Node) -> None:
    gone, kept = await node.record(source_key="kazoo/1"), await node.record(source_key="kazoo/2")
    await node.run(node.upkeep())
    found = await state_of(node, gone)
    purged = replace(found, state=State.PURGED, node=None, due_at=None, revision=found.revision + 1)
    assert await node.store.save(purged, found.revision)
    await node.run(node.upkeep())
    assert [path.name for path in (node.folder / "aside").iterdir()] == [kept.id]
