"""Recovery at the start of a node: its own recordings, and those that other nodes had marked as lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.audio.output_format import FORMATS
from adapters.media import MediaFaultError
from recordings.model.events import Restored, Stored, Trashed
from recordings.model.instants import DAY, HOUR, MINUTE
from recordings.model.recording import Lease, Media, Reason, Recording, State
from recordings.ports.audio import Rendered
from recordings.ports.recording_store import Taken
from recordings.rules.lifecycle import apply
from recordings.use_cases.finalizer import STORED_FORMATS, Finalizer, media_key
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import AUDIO
from tests.contract.metadata.samples import recording as sample
from tests.faults.real_node import NODE, SECONDS, Node, state_of


async def test_an_interrupted_upload_is_incomplete(node: Node) -> None:
    recording = await node.record(source_key="kazoo/1")
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert node.files()["aside"]


async def test_a_recording_that_never_started_is_discarded(node: Node) -> None:
    recording = sample(state=State.ARMED, node=NODE, account_id="a" * 32)
    await node.store.insert(recording)
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).reason is Reason.NEVER_STARTED


async def test_audio_of_a_take_whose_beginning_was_not_saved_is_stored(node: Node) -> None:
    recording = await node.record(state=State.REQUESTED, start_key=":k", start_fingerprint="f")
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.duration_ms, found.start_key) == (State.STORED, SECONDS * 1_000, ":k")


async def test_a_recording_without_its_audio_is_lost_with_a_reason(node: Node) -> None:
    recording = await node.record()
    await node.spool.remove(recording.id)
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)


@pytest.mark.parametrize("state", [State.RECORDING, State.FINALIZING, State.LOST])
async def test_a_node_finalizes_all_recordings_whose_audio_it_has(node: Node, state: State) -> None:
    # The data folder was restored without the node's name, or it is the disk of another server that failed.
    recording = await node.record(node="another", state=state, due_at=node.clock.now() + DAY)
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.node) == (State.STORED, None)
    assert not node.files()["spool"]


async def test_an_upload_that_another_node_finished_is_left_to_that_node(node: Node) -> None:
    # This node has the bytes from before the connection broke.
    recording = await node.record(node="another", state=State.FINALIZING, source_key="kazoo/1", source_sha256="1" * 64)
    await node.run(node.upkeep())
    assert await state_of(node, recording) == recording
    assert node.files()["spool"]


@pytest.mark.parametrize("fields", [{"state": State.STORED}, {"state": State.TRASHED, "trashed_from": State.STORED}])
async def test_an_upload_that_another_node_has_stored_is_not_stored_twice(node: Node, fields: dict[str, Any]) -> None:
    source = {"source_key": "kazoo/1", "source_sha256": "1" * 64}
    there = sample(account_id="a" * 32, held_source=f"kazoo/1:{'1' * 64}", **fields, **source)
    await node.store.insert(there)
    again = await node.record(state=State.FINALIZING, due_at=node.clock.now(), **source)
    other = await node.record(state=State.FINALIZING, due_at=node.clock.now(), **source | {"source_sha256": "2" * 64})
    await node.run(node.upkeep())
    found = await state_of(node, again)
    assert (found.state, found.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert there.id in (found.reason_detail or "")
    assert (await state_of(node, other)).state is State.STORED
    assert not node.files()["spool"]


def copy_of_a_file(here: Node, **fields: Any) -> dict[str, Any]:
    """Return the fields of a copy of an uploaded file, received completely by this node or by another one."""
    name, now = fields.pop("node", NODE), here.clock.now()
    source = {"source_key": "kazoo/1", "source_sha256": "1" * 64, "held_source": f"kazoo/1:{'1' * 64}@{name}"}
    return {"state": State.FINALIZING, "node": name, "due_at": now, "ended": now, **source} | fields


async def test_a_copy_waits_until_another_server_has_stored_the_first_one(node: Node) -> None:
    first = sample(account_id="a" * 32, **copy_of_a_file(node, node="other", ended=node.clock.now() - 1))
    await node.store.insert(first)
    copy = await node.record(**copy_of_a_file(node))
    await node.run(node.upkeep())
    assert (await state_of(node, copy)).state is State.FINALIZING
    stored = Stored(at=node.clock.now(), media=AUDIO, format="mp3")
    await RecordingWriter(node.store).save_event(first, stored)
    node.clock.move(MINUTE)
    await node.run(node.upkeep())
    found = await state_of(node, copy)
    assert (found.state, found.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert found.reason_detail == f"the same bytes are recording {first.id}"
    assert node.files() == {"media": [], "spool": [], "aside": [], "work": []}
    assert node.reporter.faults == []


async def test_a_copy_is_stored_if_the_other_server_does_not_store_the_first_one(node: Node) -> None:
    first = sample(account_id="a" * 32, **copy_of_a_file(node, node="other", ended=node.clock.now() - 1))
    await node.store.insert(first)
    copy = await node.record(**copy_of_a_file(node))
    for _ in range(4):
        await node.run(node.upkeep())
        node.clock.move(MINUTE)
    assert (await state_of(node, copy)).state is State.STORED
    with pytest.raises(Taken):
        await RecordingWriter(node.store).save_event(first, Stored(at=1, media=AUDIO, format="mp3"))


@pytest.mark.parametrize("state", [State.FINALIZING, State.LOST])
async def test_the_second_of_two_copies_that_are_stored_at_once_is_discarded_with_its_audio(
    node: Node, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    copy = await node.record(**copy_of_a_file(node, state=state, ended=node.clock.now() - 1, held_source=None))
    first = sample(account_id="a" * 32, **copy_of_a_file(node, node="other"))
    await node.store.insert(first)
    keep = Finalizer._keep

    async def keep_late(finalizer: Finalizer, recording: Recording, rendered: Rendered) -> Media:
        media = await keep(finalizer, recording, rendered)
        await RecordingWriter(node.store).save_event(first, Stored(at=1, media=AUDIO, format="mp3"))
        return media

    monkeypatch.setattr(Finalizer, "_keep", keep_late)
    await node.run(node.upkeep())
    found = await state_of(node, copy)
    assert (found.state, found.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert node.files() == {"media": [], "spool": [], "aside": [], "work": []}
    assert node.reporter.faults == []


async def test_a_discarded_copy_leaves_no_audio_of_a_try_that_died(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = await node.record(**copy_of_a_file(node, ended=node.clock.now() - 1, held_source=None))
    first = sample(account_id="a" * 32, **copy_of_a_file(node, node="other"))
    await node.store.insert(first)
    keep = Finalizer._keep

    async def keep_and_die(finalizer: Finalizer, recording: Recording, rendered: Rendered) -> Media:
        await keep(finalizer, recording, rendered)
        await RecordingWriter(node.store).save_event(first, Stored(at=1, media=AUDIO, format="mp3"))
        raise MediaFaultError("the store is unreachable")

    with monkeypatch.context() as patch:
        patch.setattr(Finalizer, "_keep", keep_and_die)
        await node.run(node.upkeep())
    assert len(node.files()["media"]) == 1
    node.clock.move(HOUR)
    await node.run(node.upkeep())
    found = await state_of(node, copy)
    assert (found.state, found.reason) == (State.DISCARDED, Reason.DUPLICATE)
    assert node.files() == {"media": [], "spool": [], "aside": [], "work": []}


@pytest.mark.parametrize("state", [State.FAILED, State.LOST])
async def test_a_purge_deletes_audio_that_was_stored_without_being_saved(
    node: Node, tmp_path: Path, state: State
) -> None:
    now = node.clock.now()
    deleted = await node.record(state=State.TRASHED, trashed_from=state, node=None, due_at=now, purge_at=now)
    path = tmp_path / "stored"
    path.write_bytes(b"audio")
    for audio_format in STORED_FORMATS:
        await node.media.put(media_key(deleted, audio_format), str(path), "audio/mpeg")
    await node.run(node.upkeep())
    assert (await state_of(node, deleted)).state is State.PURGED
    assert node.files() == {"media": [], "spool": [], "aside": [], "work": []}


def test_all_formats_of_stored_audio_are_known() -> None:
    assert set(STORED_FORMATS) == FORMATS.keys() - {"flac"}


async def test_a_leased_recording_is_not_recovered(node: Node) -> None:
    lease = Lease("an import", node.clock.now() + HOUR)
    recording = await node.record(state=State.FINALIZING, lease=lease, due_at=lease.until)
    await node.run(node.upkeep())
    assert await state_of(node, recording) == recording


async def test_a_partial_upload_is_never_used_as_a_complete_one(node: Node) -> None:
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE, source_key="kazoo/1")
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.media) == (State.LOST, None)
    assert node.files()["aside"]


async def test_lost_recordings_whose_audio_is_here_are_adopted_without_a_restart(node: Node) -> None:
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


async def test_a_complete_import_is_finalized_when_its_node_is_back(node: Node) -> None:
    imported = {"source_key": "v2:1", "imported": {"from": "x"}}
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE, **imported)
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_a_clock_that_was_set_back_delays_no_recording_after_the_next_start(node: Node) -> None:
    recording = await node.record()
    await node.upkeep().recover()
    node.clock.move(-400 * DAY)
    assert await node.upkeep().claim(8) == []
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_a_lost_recording_keeps_its_audio_in_the_trash(node: Node) -> None:
    recording = await node.record(state=State.LOST, reason=Reason.RECORDER_GONE)
    trashed = apply(recording, Trashed(at=node.clock.now(), by="me", purge_at=node.clock.now() + DAY))
    assert await node.store.save(trashed, recording.revision)
    await node.run(node.upkeep())
    await RecordingWriter(node.store).save_event(
        await state_of(node, recording), Restored(at=node.clock.now(), delete_at=None)
    )
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.STORED


async def test_audio_set_aside_is_deleted_after_another_node_purged_its_recording(node: Node) -> None:
    gone, kept = await node.record(source_key="kazoo/1"), await node.record(source_key="kazoo/2")
    await node.run(node.upkeep())
    found = await state_of(node, gone)
    purged = replace(found, state=State.PURGED, node=None, due_at=None, revision=found.revision + 1)
    assert await node.store.save(purged, found.revision)
    await node.run(node.upkeep())
    assert [path.name for path in (node.folder / "aside").iterdir()] == [kept.id]
