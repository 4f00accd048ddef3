"""How the background steps keep their books: leases, dates, races and reports, over a real store.

What the steps themselves do is proved on the real parts of a node, in `tests/faults/test_upkeep_faults.py`.
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
from recordings.use_cases.upkeep import LEASE, STRANDED, Upkeep
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_installation import ACCOUNT, NODE, Installation, open_installation

OTHER = "o" * 32
MEDIA = Media("local:a", "audio/mpeg", 1, 1_000, 8_000, 2, "0" * 64, 9)


class Parts:
    """A finalizer with an empty disk, a courier and a reporter: what they are told to do, and what they heard."""

    def __init__(self) -> None:
        self.spool = self
        self.does: Callable[[Recording], Awaitable[Event | None]] | None = None
        self.receives: Callable[[Recording], Awaitable[DeliveryResult]] | None = None
        self.cleared: list[str] = []
        self.moves: list[tuple[State, str]] = []
        self.faults: list[tuple[str, str]] = []

    async def finalize(self, recording: Recording) -> Event | None:
        return await self.does(recording) if self.does else None

    async def purge(self, recording: Recording) -> Event | None:
        return await self.finalize(recording)

    async def deliver(self, recording: Recording) -> DeliveryResult:
        return await self.receives(recording) if self.receives else DeliveryResult(DeliveryOutcome.DELIVERED)

    async def clear(self, recording: Recording) -> None:
        self.cleared.append(recording.id)

    async def ids(self) -> Sequence[str]:
        return ()

    async def ids_aside(self) -> Sequence[str]:
        return ()

    async def audio(self, recording_id: str) -> None:
        return None

    def moved(self, recording: Recording, step: str) -> None:
        self.moves.append((recording.state, step))

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        self.faults.append((step, type(error).__name__))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as opened:
        yield opened


@pytest.fixture
def parts() -> Parts:
    return Parts()


def upkeep_of(house: Installation, parts: Parts, policy: InstallationPolicy | None = None) -> Upkeep:
    return Upkeep(
        store=house.store,
        finalizer=cast("Finalizer", parts),
        recorder=cast("Any", house.recorder),
        courier=parts,
        clock=house.clock,
        reporter=parts,
        node=NODE,
        policy=policy,
    )


async def keep(house: Installation, state: State, **given: Any) -> Recording:
    kept = sample(**{"account_id": ACCOUNT, "state": state, "due_at": house.clock.now(), **given})
    await house.store.insert(kept)
    return kept


async def found(house: Installation, recording: Recording) -> Recording:
    loaded = await house.store.load(recording.id)
    assert loaded is not None
    return loaded


@pytest.mark.parametrize("state", [State.RECORDING, State.PAUSED, State.FINALIZING])
async def test_what_a_node_held_that_does_not_come_back_is_lost_with_a_reason(
    house: Installation, parts: Parts, state: State
) -> None:
    kept = await keep(house, state, node=OTHER)
    upkeep = upkeep_of(house, parts)
    house.clock.move(STRANDED - 1)
    assert await upkeep.claim(8) == []
    house.clock.move(2)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    lost = await found(house, kept)
    assert (lost.state, lost.reason, lost.node) == (State.LOST, Reason.RECORDER_GONE, OTHER)
    assert lost.reason_detail == f"node {OTHER} has not come back"
    assert parts.moves == [(State.LOST, state.value.lower())]


async def test_what_needed_another_node_for_nothing_is_tended_by_any(house: Installation, parts: Parts) -> None:
    kept = await keep(house, State.FAILED, node=OTHER, delete_at=house.clock.now())
    upkeep = upkeep_of(house, parts, InstallationPolicy(trash_window=3 * DAY))
    house.clock.move(STRANDED + 1)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    trashed = await found(house, kept)
    assert (trashed.state, trashed.trashed_from) == (State.TRASHED, State.FAILED)
    assert trashed.purge_at == house.clock.now() + 3 * DAY


async def test_what_needs_nothing_is_given_back_until_its_state_says_so(house: Installation, parts: Parts) -> None:
    kept = await keep(house, State.STORED, attempts=3, delete_at=house.clock.now() + HOUR)
    upkeep = upkeep_of(house, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    given_back = await found(house, kept)
    assert (given_back.due_at, given_back.lease, given_back.attempts) == (kept.delete_at, None, 0)
    assert given_back.revision == claimed.revision + 1
    assert parts.faults == []
    assert parts.cleared == [kept.id]


async def test_what_a_dead_process_of_this_node_had_begun_is_begun_anew_at_once(
    house: Installation, parts: Parts
) -> None:
    until = house.clock.now() + LEASE
    ours, theirs = [
        await keep(house, State.TRASHED, lease=Lease(holder, until), due_at=until, attempts=1, purge_at=1)
        for holder in (NODE, OTHER)
    ]
    upkeep = upkeep_of(house, parts)
    assert await upkeep.claim(8) == []
    await upkeep.recover()
    assert [claimed.id for claimed in await upkeep.claim(8)] == [ours.id]
    assert (await found(house, theirs)).lease == theirs.lease


async def test_a_race_that_a_step_lost_is_run_again_on_what_is_there_then(house: Installation, parts: Parts) -> None:
    delivery = Delivery("d", DeliveryState.PENDING, house.clock.now())
    kept = await keep(house, State.STORED, media=MEDIA, delivery=delivery)

    async def held_meanwhile(sent: Recording) -> DeliveryResult:
        await RecordingWriter(house.store).save_event(sent, Held(at=house.clock.now(), by="me", reason="case 7"))
        return DeliveryResult(DeliveryOutcome.DELIVERED)

    parts.receives = held_meanwhile
    upkeep = upkeep_of(house, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    done = await found(house, kept)
    assert done.hold is not None
    assert done.delivery is not None
    assert done.delivery.state is DeliveryState.DELIVERED


async def test_a_claim_beside_a_step_is_given_back_in_the_store(house: Installation, parts: Parts) -> None:
    kept = await keep(house, State.FINALIZING, node=NODE)
    upkeep = upkeep_of(house, parts)
    left: list[tuple[Recording, Recording]] = []

    async def long(recording: Recording) -> Event:
        for passed in (LEASE - 1, 1):
            house.clock.move(passed)
            given_back = await upkeep.step(recording)
            left.append((given_back, await found(house, kept)))
        return Discarded(at=house.clock.now(), reason=Reason.TOO_SHORT)

    parts.does = long
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    (soon, in_store), (outlived, _) = left
    assert in_store == soon
    assert (soon.lease, soon.revision) == (None, claimed.revision + 1)
    # Its lease was over: what came then is the one that follows, and stays.
    assert outlived is claimed
    assert (await found(house, kept)).state is State.DISCARDED


async def test_what_waits_for_a_turn_to_be_sent_comes_again_in_a_minute_or_so(
    house: Installation, parts: Parts
) -> None:
    delivery = Delivery("d", DeliveryState.PENDING, house.clock.now())
    kept = [await keep(house, State.STORED, media=MEDIA, delivery=delivery) for _ in range(20)]
    upkeep = upkeep_of(house, parts)
    claimed = await upkeep.claim(20)
    for each in claimed:
        await upkeep.postpone(each)
    put_back = [await found(house, each) for each in kept]
    waits = [(each.due_at or 0) - house.clock.now() for each in put_back]
    assert min(waits) >= 30 * SECOND
    assert max(waits) < 90 * SECOND
    assert len(set(waits)) > 10
    assert {(each.lease, each.revision) for each in put_back} == {(None, claimed[0].revision + 1)}


@pytest.mark.parametrize(
    ("state", "delivery", "sends"),
    [
        (State.STORED, Delivery("d", DeliveryState.PENDING, 1), True),
        (State.STORED, Delivery("d", DeliveryState.DELIVERED, None), False),
        (State.STORED, None, False),
        (State.TRASHED, Delivery("d", DeliveryState.PENDING, 1), False),
    ],
)
def test_who_waits_for_another_server(state: State, delivery: Delivery | None, sends: bool) -> None:
    assert Upkeep.is_delivery(sample(state=state, delivery=delivery)) is sends


async def test_each_step_is_reported_once_and_what_failed_waits_its_turn(house: Installation, parts: Parts) -> None:
    kept = await keep(house, State.TRASHED, trashed_from=State.STORED, purge_at=house.clock.now())

    async def fail(_recording: Recording) -> Event:
        message = "no room"
        raise OSError(message)

    async def purge(_recording: Recording) -> Event:
        return Purged(at=house.clock.now())

    parts.does = fail
    upkeep = upkeep_of(house, parts)
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    waiting = await found(house, kept)
    assert (waiting.state, waiting.attempts, waiting.due_at) == (State.TRASHED, 1, house.clock.now() + SECOND)
    assert (waiting.reason_detail, waiting.lease) == ("OSError: no room", None)
    assert (parts.moves, parts.faults) == ([], [("trashed", "OSError")])
    house.clock.move(MINUTE)
    parts.does = purge
    (claimed,) = await upkeep.claim(8)
    await upkeep.step(claimed)
    assert (parts.moves, parts.faults) == ([(State.PURGED, "trashed")], [("trashed", "OSError")])
