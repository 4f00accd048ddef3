"""Background steps on a real store: leases, due dates, races and reports.

The steps themselves are tested with the real parts of a node, in `tests/faults/test_upkeep_faults.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from recordings.model.events import Discarded, Event, Held, Purged
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import DAY, HOUR, MINUTE, SECOND
from recordings.model.recording import Delivery, DeliveryState, Lease, Media, Reason, Recording, State
from recordings.ports.courier import DeliveryOutcome, DeliveryResult
from recordings.use_cases.finalizer import Finalizer
from recordings.use_cases.save_event import RecordingWriter
from recordings.use_cases.upkeep import Upkeep
from recordings.use_cases.work_claims import LEASE, NODE_GONE_AFTER
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_installation import ACCOUNT, NODE, Installation, open_installation

OTHER = "o" * 32
MEDIA = Media("local:a", "audio/mpeg", 1, 1_000, 8_000, 2, "0" * 64, 9)


class Parts:
    """A fake finalizer with an empty disk, a fake courier and a fake reporter. They record their calls."""

    def __init__(self) -> None:
        self.spool = self
        self.finalize_result: Callable[[Recording], Awaitable[Event | None]] | None = None
        self.delivery_result: Callable[[Recording], Awaitable[DeliveryResult]] | None = None
        self.cleared: list[str] = []
        self.expired: list[str] = []
        self.moves: list[tuple[State, str]] = []
        self.faults: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    async def finalize(self, recording: Recording) -> Event | None:
        return await self.finalize_result(recording) if self.finalize_result else None

    async def purge(self, recording: Recording) -> Event | None:
        return await self.finalize(recording)

    async def deliver(self, recording: Recording) -> DeliveryResult:
        return (
            await self.delivery_result(recording) if self.delivery_result else DeliveryResult(DeliveryOutcome.DELIVERED)
        )

    async def note_expiry(self, recording: Recording) -> None:
        self.expired.append(recording.id)

    async def clear(self, recording: Recording) -> None:
        self.cleared.append(recording.id)

    async def ids(self) -> Sequence[str]:
        return ()

    async def ids_aside(self) -> Sequence[str]:
        return ()

    async def audio(self, recording_id: str) -> None:
        return None

    async def others(self) -> list[str]:
        return []

    def left_alone(self, name: str) -> None:
        self.unknown.append(name)

    def moved(self, recording: Recording, step: str) -> None:
        self.moves.append((recording.state, step))

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        self.faults.append((step, type(error).__name__))


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def parts() -> Parts:
    return Parts()


def upkeep_of(installation: Installation, parts: Parts, policy: InstallationPolicy | None = None) -> Upkeep:
    return Upkeep(
        store=installation.store,
        finalizer=cast("Finalizer", parts),
        recorder=cast("Any", installation.recorder),
        courier=parts,
        clock=installation.clock,
        reporter=parts,
        node=NODE,
        policy=policy,
    )


async def add(installation: Installation, state: State, **fields: Any) -> Recording:
    kept = sample(**{"account_id": ACCOUNT, "state": state, "due_at": installation.clock.now(), **fields})
    await installation.store.insert(kept)
    return kept


async def found(installation: Installation, recording: Recording) -> Recording:
    loaded = await installation.store.load(recording.id)
    assert loaded is not None
    return loaded


@pytest.mark.parametrize("state", [State.RECORDING, State.PAUSED, State.FINALIZING])
async def test_a_recording_of_a_node_that_is_gone_is_lost(
    installation: Installation, parts: Parts, state: State
) -> None:
    kept = await add(installation, state, node=OTHER)
    upkeep = upkeep_of(installation, parts)
    installation.recorder.gone.add(OTHER)
    installation.clock.move(NODE_GONE_AFTER - 1)
    assert await upkeep.claim(8) == []
    installation.clock.move(2)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    lost = await found(installation, kept)
    assert (lost.state, lost.reason, lost.node) == (State.LOST, Reason.RECORDER_GONE, OTHER)
    assert lost.reason_detail == f"node {OTHER} has not come back"
    assert parts.moves == [(State.LOST, state.value.lower())]


@pytest.mark.parametrize("state", [State.RECORDING, State.FINALIZING])
async def test_a_clock_that_is_days_ahead_loses_no_recording_of_a_running_node(
    installation: Installation, parts: Parts, state: State
) -> None:
    kept = await add(installation, state, node=OTHER)
    upkeep = upkeep_of(installation, parts)
    installation.clock.move(9 * NODE_GONE_AFTER)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    released = await found(installation, kept)
    assert (released.state, released.node, released.lease) == (state, OTHER, None)


async def test_any_node_does_steps_that_need_no_audio_of_a_gone_node(installation: Installation, parts: Parts) -> None:
    kept = await add(installation, State.FAILED, node=OTHER, delete_at=installation.clock.now())
    upkeep = upkeep_of(installation, parts, InstallationPolicy(trash_window=3 * DAY))
    installation.clock.move(NODE_GONE_AFTER + 1)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    trashed = await found(installation, kept)
    assert (parts.faults, parts.expired) == ([], [kept.id])
    assert (trashed.state, trashed.trashed_from) == (State.TRASHED, State.FAILED)
    assert trashed.purge_at == installation.clock.now() + 3 * DAY


async def test_a_recording_without_a_step_is_released_with_its_next_due_date(
    installation: Installation, parts: Parts
) -> None:
    kept = await add(installation, State.STORED, attempts=3, delete_at=installation.clock.now() + HOUR)
    upkeep = upkeep_of(installation, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    released = await found(installation, kept)
    assert (released.due_at, released.lease, released.attempts) == (kept.delete_at, None, 0)
    assert released.revision == claimed.revision + 1
    assert parts.faults == []
    assert parts.cleared == [kept.id]


async def test_leases_of_a_dead_process_of_this_node_are_released_at_start(
    installation: Installation, parts: Parts
) -> None:
    until = installation.clock.now() + LEASE
    own, other = [
        await add(installation, State.TRASHED, lease=Lease(holder, until), due_at=until, attempts=1, purge_at=1)
        for holder in (NODE, OTHER)
    ]
    upkeep = upkeep_of(installation, parts)
    assert await upkeep.claim(8) == []
    await upkeep.recover()
    assert [claimed.id for claimed in await upkeep.claim(8)] == [own.id]
    assert (await found(installation, other)).lease == other.lease


async def test_a_step_that_loses_a_race_applies_its_event_again(installation: Installation, parts: Parts) -> None:
    delivery = Delivery("d", DeliveryState.PENDING, installation.clock.now())
    kept = await add(installation, State.STORED, media=MEDIA, delivery=delivery)

    async def hold_and_deliver(sent: Recording) -> DeliveryResult:
        await RecordingWriter(installation.store).save_event(
            sent, Held(at=installation.clock.now(), by="me", reason="case 7")
        )
        return DeliveryResult(DeliveryOutcome.DELIVERED)

    parts.delivery_result = hold_and_deliver
    upkeep = upkeep_of(installation, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    done = await found(installation, kept)
    assert done.hold is not None
    assert done.delivery is not None
    assert done.delivery.state is DeliveryState.DELIVERED


async def test_a_claim_during_a_running_step_is_released(installation: Installation, parts: Parts) -> None:
    kept = await add(installation, State.FINALIZING, node=NODE)
    upkeep = upkeep_of(installation, parts)
    results: list[tuple[Recording, Recording]] = []

    async def long_step(recording: Recording) -> Event:
        for elapsed in (LEASE - 1, 1):
            installation.clock.move(elapsed)
            released = await upkeep.step(recording)
            results.append((released, await found(installation, kept)))
        return Discarded(at=installation.clock.now(), reason=Reason.TOO_SHORT)

    parts.finalize_result = long_step
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    (first, in_store), (second, _) = results
    assert in_store == first
    assert (first.lease, first.revision) == (None, claimed.revision + 1)
    # The lease had expired, so the second claim is the new lease of the same step.
    assert second is claimed
    assert (await found(installation, kept)).state is State.DISCARDED


async def test_each_step_is_reported_once_and_a_failed_step_is_retried_later(
    installation: Installation, parts: Parts
) -> None:
    kept = await add(installation, State.TRASHED, trashed_from=State.STORED, purge_at=installation.clock.now())

    async def fail(_recording: Recording) -> Event:
        message = "no room"
        raise OSError(message)

    async def purge(_recording: Recording) -> Event:
        return Purged(at=installation.clock.now())

    parts.finalize_result = fail
    upkeep = upkeep_of(installation, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    waiting = await found(installation, kept)
    assert (waiting.state, waiting.attempts, waiting.due_at) == (State.TRASHED, 1, installation.clock.now() + SECOND)
    assert (waiting.reason_detail, waiting.lease) == ("OSError: no room", None)
    assert (parts.moves, parts.faults) == ([], [("trashed", "OSError")])
    installation.clock.move(MINUTE)
    parts.finalize_result = purge
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    assert (parts.moves, parts.faults) == ([(State.PURGED, "trashed")], [("trashed", "OSError")])
