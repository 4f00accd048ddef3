"""A clock that was wrong for a while postpones nothing by the size of its error."""

from collections.abc import Callable
from typing import Any

import pytest

from recordings.model.instants import DAY, HOUR, MINUTE, Millis
from recordings.model.recording import Delivery, DeliveryState, Lease, State
from recordings.ports.peers import Peer
from recordings.use_cases.servers import Servers
from tests.contract.metadata.samples import AUDIO
from tests.contract.metadata.samples import recording as sample
from tests.faults.real_node import NODE, Node, state_of
from tests.support.memory_peers import MemoryPeers

ERROR = 400 * DAY
Change = Callable[[Millis], dict[str, Any]]


def leased(wrong: Millis) -> dict[str, Any]:
    return {"state": State.FINALIZING, "due_at": wrong + 30 * MINUTE, "lease": Lease(NODE, wrong + 30 * MINUTE)}


def retried(wrong: Millis) -> dict[str, Any]:
    return {"state": State.FINALIZING, "due_at": wrong + 5 * MINUTE, "attempts": 9}


def delivered(wrong: Millis) -> dict[str, Any]:
    delivery = Delivery(state=DeliveryState.PENDING, id="d", due_at=wrong + HOUR)
    return {"state": State.STORED, "media": AUDIO, "due_at": wrong + HOUR, "delivery": delivery, "node": None}


def trashed(wrong: Millis) -> dict[str, Any]:
    purge = wrong + 30 * DAY
    dates = {"trashed_at": wrong, "purge_at": purge, "due_at": purge}
    return {"state": State.TRASHED, "trashed_from": State.FAILED, "node": None, **dates}


def retained(wrong: Millis) -> dict[str, Any]:
    dates = {"start": wrong, "delete_at": wrong + 30 * DAY, "due_at": wrong + 30 * DAY}
    return {"state": State.FAILED, "node": None, **dates}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize(
    ("change", "latest"),
    [(leased, 0), (retried, 0), (delivered, 0), (trashed, 30 * DAY), (retained, 30 * DAY)],
)
async def test_a_clock_that_goes_back_brings_due_dates_forward(
    node: Node, change: Change, latest: Millis, is_restarted: bool
) -> None:
    upkeep = node.upkeep()
    node.clock.move(ERROR)
    await upkeep.claim(8)
    given = sample(account_id="a" * 32, **{"node": NODE, **change(node.clock.now())})
    await node.store.insert(given)
    node.clock.move(-ERROR)
    if is_restarted:
        upkeep = node.upkeep()
    claimed = await upkeep.claim(8)
    found = await state_of(node, given)
    if latest:
        assert found.due_at == node.clock.now() + latest
    else:
        assert [each.id for each in claimed] == [given.id]


@pytest.mark.parametrize(("change", "latest"), [(leased, 0), (delivered, 0), (trashed, 30 * DAY), (retained, 30 * DAY)])
async def test_the_work_of_a_forgotten_server_whose_clock_was_ahead_is_continued(
    node: Node, change: Change, latest: Millis
) -> None:
    peers = MemoryPeers()
    await peers.register(Peer("gone", "http://10.0.0.1:8000"), 0)
    wrong = change(node.clock.now() + ERROR)
    if wrong.get("lease") is not None:
        wrong |= delivered(node.clock.now()) | {"lease": Lease("gone", wrong["due_at"]), "due_at": wrong["due_at"]}
    given = sample(account_id="a" * 32, **{**wrong, "node": None})
    await node.store.insert(given)
    await Servers(peers, node.store, node.clock).forget("gone")
    found = await state_of(node, given)
    assert (found.lease, (found.due_at or 0) <= node.clock.now() + latest) == (None, True)


@pytest.mark.parametrize("back", [0, MINUTE // 2, HOUR])
async def test_correct_due_dates_stay(node: Node, back: Millis) -> None:
    upkeep = node.upkeep()
    await upkeep.claim(8)
    now = node.clock.now() - back
    rows = [
        sample(
            account_id="a" * 32, node=None, state=State.FAILED, start=now, delete_at=now + 900 * DAY,
            due_at=now + 900 * DAY,
        ),
        sample(account_id="a" * 32, node=NODE, state=State.FINALIZING, due_at=now + 5 * MINUTE, attempts=9),
        sample(
            account_id="a" * 32, node=None, state=State.TRASHED, trashed_from=State.FAILED, trashed_at=now - DAY,
            purge_at=now + 29 * DAY, due_at=now + 29 * DAY,
        ),
    ]  # fmt: skip
    for row in rows:
        await node.store.insert(row)
    node.clock.move(-back)
    await upkeep.claim(8)
    assert [await state_of(node, row) for row in rows] == rows
