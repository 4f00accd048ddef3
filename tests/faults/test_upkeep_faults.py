"""The background steps on the real parts of a node: their results, and their behaviour when a part fails.

For steps that end because the process is killed, see `test_killed`.
"""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.media import folder_store
from recordings.model.account import Account
from recordings.model.errors import Refused
from recordings.model.events import Event, Held, Redelivered, Restored, Retained, Trashed
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND
from recordings.model.options import RecordingOptions
from recordings.model.recording import DeliveryState, EndCause, Reason, Recording, State
from recordings.model.retention import Retention
from recordings.ports.courier import DeliveryOutcome, DeliveryResult
from recordings.ports.recording_store import StoreUnavailableError
from recordings.rules.lifecycle import GRACE, apply, due_at
from recordings.use_cases.finalizer import media_key
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.upkeep import MAX_ATTEMPTS
from recordings.use_cases.work_claims import LEASE
from tests.contract.metadata.samples import recording as sample
from tests.faults.real_node import NODE, SECONDS, Node, state_of


async def test_a_delivery_is_retried_and_then_fails(node: Node) -> None:
    recording = await node.record(options=RecordingOptions(format="wav", url="https://example.com/in"))
    node.courier.results = [
        DeliveryResult(DeliveryOutcome.RETRY, "503", 60_000),
        DeliveryResult(DeliveryOutcome.REJECTED, "410 gone"),
    ]
    await node.run(node.upkeep())
    waiting = await state_of(node, recording)
    assert waiting.delivery is not None
    assert (waiting.state, waiting.delivery.state, waiting.delivery.last_error) == (
        State.STORED, DeliveryState.PENDING, "503",
    )  # fmt: skip
    assert (waiting.due_at or 0) >= node.clock.now() + 60_000
    node.clock.move(DAY)
    await node.run(node.upkeep())
    given_up = await state_of(node, recording)
    assert given_up.delivery is not None
    assert (given_up.delivery.state, given_up.delivery.attempts, given_up.due_at) == (DeliveryState.FAILED, 2, None)
    assert given_up.media is not None


async def test_the_next_step_does_not_wait_for_the_lease_of_the_last_one(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await node.record(options=RecordingOptions(format="wav", url="https://example.com/in"))
    upkeep = node.upkeep()
    await upkeep.recover()
    (ended,) = await upkeep.claim(8)

    async def meanwhile(_recording_id: str) -> None:
        for claimed in await upkeep.claim(8):
            await upkeep.step(claimed)

    # The recording is stored, and the step still deletes temporary files.
    monkeypatch.setattr(node.audio_workers, "discard", meanwhile)
    await upkeep.step(ended)
    assert [name for name, _ in node.courier.sent] == [recording.id]
    assert (await state_of(node, recording)).lease is None


@pytest.mark.parametrize(("passed", "waits"), [(0, SECOND), (MINUTE, MINUTE), (LEASE + 1, LEASE)])
async def test_a_second_claim_during_a_step_is_left_to_that_step(
    node: Node, monkeypatch: pytest.MonkeyPatch, passed: int, waits: int
) -> None:
    recording = await node.record(options=RecordingOptions(format="wav", url="https://example.com/in"))
    upkeep = node.upkeep()
    await upkeep.recover()
    await upkeep.step((await upkeep.claim(8))[0])
    deliver, second = node.courier.deliver, list[Recording]()

    async def meanwhile(sent: Recording) -> DeliveryResult:
        node.clock.move(passed)
        found = await state_of(node, recording)
        again = apply(found, Redelivered(at=node.clock.now(), delivery_id="d" * 32))
        assert await node.store.save(again, found.revision)
        second.extend([await upkeep.step(claimed) for claimed in await upkeep.claim(8)])
        return await deliver(sent)

    monkeypatch.setattr(node.courier, "deliver", meanwhile)
    await upkeep.step((await upkeep.claim(8))[0])
    (found,) = second
    assert found.due_at == node.clock.now() + waits
    assert (found.lease is None) == (passed < LEASE)
    assert len(node.courier.sent) == 1


async def test_retention_deletes_expired_recordings_without_a_legal_hold(node: Node) -> None:
    assert await node.store.add_account(Account("a" * 32, "a", 1, retention=(Retention(30),)))
    held, free = [await node.record(start=node.clock.now()) for _ in range(2)]
    await node.run(node.upkeep())
    stored = await state_of(node, held)
    assert stored.delete_at == stored.start + 30 * DAY
    on_hold = apply(stored, Held(at=node.clock.now(), by="me", reason="case"))
    assert await node.store.save(on_hold, stored.revision)
    node.clock.move(31 * DAY)
    await node.run(node.upkeep())
    trashed = await state_of(node, free)
    assert (trashed.state, trashed.trashed_by) == (State.TRASHED, "retention")
    assert trashed.trashed_reason == "its retention is over"
    assert (await state_of(node, held)).state is State.STORED
    node.clock.move(31 * DAY)
    await node.run(node.upkeep())
    assert (await state_of(node, free)).state is State.PURGED
    assert (await state_of(node, held)).media is not None


async def test_retention_keeps_a_recording_whose_date_was_changed_after_the_claim(node: Node) -> None:
    assert await node.store.add_account(Account("a" * 32, "a", 1, retention=(Retention(30),)))
    recording = await node.record(start=node.clock.now())
    upkeep = node.upkeep()
    await node.run(upkeep)
    node.clock.move(31 * DAY)
    (claimed,) = await upkeep.claim(8)
    later = Retained(at=node.clock.now(), delete_at=node.clock.now() + DAY)
    await RecordingWriter(node.store).save_event(claimed, later)
    await upkeep.step(claimed)
    kept = await state_of(node, recording)
    assert (kept.state, kept.delete_at, kept.due_at) == (State.STORED, later.delete_at, later.delete_at)
    assert node.reporter.faults == []


@pytest.mark.parametrize(
    "result", [DeliveryResult(DeliveryOutcome.DELIVERED), DeliveryResult(DeliveryOutcome.REJECTED, "410 gone")]
)
async def test_the_result_of_a_delivery_is_not_saved_for_the_next_one(
    node: Node, monkeypatch: pytest.MonkeyPatch, result: DeliveryResult
) -> None:
    recording = await node.record(options=RecordingOptions(format="wav", url="https://example.com/in"))
    upkeep = node.upkeep()
    await upkeep.recover()
    (ended,) = await upkeep.claim(8)
    await upkeep.step(ended)
    (stored,) = await upkeep.claim(8)

    async def meanwhile(sent: Recording) -> DeliveryResult:
        await RecordingWriter(node.store).save_event(sent, Redelivered(at=node.clock.now(), delivery_id="again"))
        return result

    monkeypatch.setattr(node.courier, "deliver", meanwhile)
    await upkeep.step(stored)
    found = await state_of(node, recording)
    assert found.delivery is not None
    assert (found.delivery.id, found.delivery.state, found.delivery.attempts) == ("again", DeliveryState.PENDING, 0)
    assert (found.due_at, found.lease) == (node.clock.now(), None)


async def test_a_recording_that_is_too_short_is_discarded_and_leaves_no_files(node: Node) -> None:
    recording = await node.record(options=RecordingOptions(format="wav", record_min_sec=3))
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason, found.duration_ms) == (State.DISCARDED, Reason.TOO_SHORT, SECONDS * 1_000)
    assert not any(node.files().values())


async def test_a_file_that_is_not_audio_is_set_aside_and_never_stored(node: Node) -> None:
    recording = sample(state=State.FINALIZING, node=NODE, account_id="a" * 32, due_at=node.clock.now())
    body = await node.spool.open_body(recording.id, "mp3")
    await body.write(b"<html>not found</html>" * 50)
    await body.close()
    await node.store.insert(recording)
    await node.run(node.upkeep())
    found = await state_of(node, recording)
    assert (found.state, found.reason, found.media) == (State.FAILED, Reason.NOT_AUDIO, None)
    assert [name for name in node.files()["aside"] if name.startswith("body")] == ["body.mp3"]
    assert not node.files()["media"]


async def test_a_purge_deletes_audio_that_was_set_aside(node: Node) -> None:
    recording = await node.record(source_key="kazoo/1")
    other = await node.record(source_key="kazoo/2")
    await node.run(node.upkeep())
    failed = await state_of(node, recording)
    trashed = apply(failed, Trashed(at=node.clock.now(), by="me", purge_at=node.clock.now()))
    assert await node.store.save(trashed, failed.revision)
    await node.run(node.upkeep())
    assert (await state_of(node, recording)).state is State.PURGED
    assert [path.name for path in (node.folder / "aside").iterdir()] == [other.id]


@pytest.mark.parametrize("rescue", [Restored(at=1, delete_at=None), Held(at=1, by="me", reason="case 7")])
async def test_a_recording_that_is_being_purged_cannot_be_restored_or_held(
    node: Node, monkeypatch: pytest.MonkeyPatch, rescue: Event
) -> None:
    recording = await node.record()
    await node.run(node.upkeep())
    stored = await state_of(node, recording)
    trashed = apply(stored, Trashed(at=node.clock.now(), by="me", purge_at=node.clock.now()))
    assert await node.store.save(trashed, stored.revision)
    delete = node.media.delete

    async def come_between(url: str) -> None:
        await delete(url)
        # This recording was read before the purge was claimed. The save fails, reloads and reapplies the event.
        with pytest.raises(Refused, match="is being purged"):
            await RecordingWriter(node.store).save_event(trashed, rescue)

    monkeypatch.setattr(node.media, "delete", come_between)
    await node.run(node.upkeep())
    assert not node.files()["media"]
    assert (await state_of(node, recording)).state is State.PURGED
    assert not node.reporter.faults


async def test_a_recording_that_does_not_start_in_time_is_discarded(node: Node) -> None:
    recording = sample(state=State.REQUESTED, node=NODE, account_id="a" * 32)
    recording = replace(recording, due_at=due_at(recording, node.clock.now()))
    await node.store.insert(recording)
    node.clock.move(GRACE)
    (claimed,) = await node.upkeep().claim(8)
    over = await node.upkeep().step(claimed)
    assert (over.state, over.reason, over.active_call) == (State.DISCARDED, Reason.NEVER_STARTED, None)


async def test_the_spool_is_freed_although_the_response_of_the_last_save_was_lost(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = await node.record()
    upkeep = node.upkeep()
    await upkeep.recover()
    (ended,) = await upkeep.claim(8)
    save = node.store.save

    async def save_without_response(saved: Recording, *others: Any) -> bool:
        if saved.state is State.STORED:
            await save(saved, *others)
        message = "no response"
        raise StoreUnavailableError(message)

    with monkeypatch.context() as patched:
        patched.setattr(node.store, "save", save_without_response)
        with pytest.raises(StoreUnavailableError):
            await upkeep.step(ended)
    assert (await state_of(node, recording)).state is State.STORED
    assert await upkeep.claim(8) == []
    assert (node.files()["spool"], node.files()["work"]) == ([], [])


async def test_after_a_short_store_outage_a_step_is_repeated_before_its_lease_ends(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await node.record()
    upkeep = node.upkeep()
    await upkeep.recover()
    (claimed,) = await upkeep.claim(8)

    async def unavailable(*_arguments: Any) -> Any:
        message = "the store is unreachable"
        raise StoreUnavailableError(message)

    with monkeypatch.context() as patched:
        patched.setattr(node.store, "save", unavailable)
        with pytest.raises(StoreUnavailableError):
            await upkeep.step(claimed)
    assert await upkeep.claim(8) == []
    node.clock.move(SECOND)
    (again,) = await upkeep.claim(8)
    assert (await upkeep.step(again)).state is State.STORED


async def test_the_watchdog_does_not_end_an_open_take(node: Node) -> None:
    recording = await node.record()
    node.recorder.open.add(recording.id)
    node.clock.move(2 * HOUR)
    await node.upkeep().recover()
    (claimed,) = await node.upkeep().claim(8)
    later = await node.upkeep().step(claimed)
    assert (later.state, later.due_at) == (State.RECORDING, node.clock.now() + 1_000)
    node.recorder.open.clear()
    node.clock.move(2_000)
    (claimed,) = await node.upkeep().claim(8)
    assert (await node.upkeep().step(claimed)).end_cause is EndCause.DISCONNECTED


async def test_a_failing_media_store_is_retried_without_a_limit(node: Node) -> None:
    recording = await node.record()
    broken = node.folder / "media"
    broken.write_text("a file where the folder should be")
    upkeep = node.upkeep()
    await node.run(upkeep)
    waiting = await state_of(node, recording)
    assert (waiting.state, waiting.attempts) == (State.FINALIZING, 1)
    assert waiting.reason_detail
    assert node.reporter.faults == [("finalizing", "NotADirectoryError")]
    for _ in range(MAX_ATTEMPTS + 1):
        node.clock.move(5 * MINUTE)
        await node.run(upkeep)
    waiting = await state_of(node, recording)
    assert (waiting.state, waiting.attempts) == (State.FINALIZING, MAX_ATTEMPTS + 2)
    broken.unlink()
    node.clock.move(5 * MINUTE)
    await node.run(upkeep)
    stored = await state_of(node, recording)
    assert (stored.state, stored.reason_detail, stored.attempts) == (State.STORED, None, 0)
    assert not node.files()["spool"]


async def fail_to_render(*_arguments: object) -> Any:
    message = "the encoder failed"
    raise RuntimeError(message)


async def test_audio_that_cannot_be_processed_fails_with_a_reason(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.audio_workers, "render", fail_to_render)
    recording = await node.record()
    upkeep = node.upkeep()
    for _ in range(MAX_ATTEMPTS - 1):
        await node.run(upkeep)
        assert (await state_of(node, recording)).state is State.FINALIZING
        node.clock.move(5 * MINUTE)
    await node.run(upkeep)
    given_up = await state_of(node, recording)
    assert (given_up.state, given_up.reason) == (State.FAILED, Reason.FINALIZER_FAILED)
    assert "the encoder failed" in (given_up.reason_detail or "")
    assert len([name for name in node.files()["aside"] if name.endswith("s16")]) == 2


async def test_a_full_disk_never_makes_a_recording_fail(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def disk_full(*_arguments: object) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(node.audio_workers, "render", disk_full)
    recording = await node.record()
    upkeep = node.upkeep()
    for _ in range(MAX_ATTEMPTS + 1):
        await node.run(upkeep)
        node.clock.move(5 * MINUTE)
    assert (await state_of(node, recording)).state is State.FINALIZING
    monkeypatch.undo()
    await node.run(upkeep)
    assert (await state_of(node, recording)).state is State.STORED


async def test_a_recording_whose_stored_bytes_differ_is_not_stored(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = await node.record()
    upkeep = node.upkeep()

    def damage(target: Path, _path: Path) -> bool:
        target.parent.mkdir(parents=True)
        target.write_bytes(b"something else")
        return True

    monkeypatch.setattr(folder_store, "_link", damage)
    await node.run(upkeep)
    found = await state_of(node, recording)
    assert (found.state, found.media) == (State.FINALIZING, None)
    assert node.reporter.faults == [("finalizing", "Damaged")]


@pytest.mark.parametrize("identity", ["202611-" + "a" * 32, "../../etc/passwd", "ümlaut", "a/b"])
def test_a_key_is_made_of_ids_alone(identity: str) -> None:
    key = media_key(sample(id=identity, account_id="a" * 32, name="../../x"), "mp3")
    assert key.count("/") == 2
    assert ".." not in key
    assert key.isascii()


async def test_a_purge_leaves_an_entry_with_the_erased_parts_and_no_name_or_number(node: Node) -> None:
    assert await node.store.add_account(Account("a" * 32, "a", 1))
    recording = await node.record(start=node.clock.now(), from_="+4930@x", caller_id_name="Ada", call_id="+4930-1")
    await node.run(node.upkeep())
    stored = await state_of(node, recording)
    assert stored.media is not None
    deleted = apply(stored, Trashed(at=node.clock.now(), by="Ada", purge_at=node.clock.now(), reason="Ada asked"))
    assert await node.store.save(deleted, stored.revision)
    aside = node.folder / "aside" / recording.id
    aside.mkdir(parents=True)
    (aside / "upload").write_bytes(b"x")
    node.audit.entries.clear()
    await node.run(node.upkeep())
    assert node.audit.entries == [("erase", recording.id)]
    assert node.audit.details[-1] == {
        "erased": {
            "audio": stored.media.url,
            "metadata": "the recording is a tombstone",
            "spool": [],
            "aside": [f"aside/{recording.id}"],
        }
    }
    shown = f"{node.audit.details} {await state_of(node, recording)}"
    assert not [text for text in ("Ada", "+4930") if text in shown]
