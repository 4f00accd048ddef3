"""Each due recording is leased to one claimer at a time, and becomes due again when its lease expires."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from recordings.model.instants import DAY
from recordings.model.recording import Lease, Recording, State
from recordings.ports.recording_store import Claim, MetadataStore
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW, full, recording

UNTIL = NOW + 30_000


async def claim(store: MetadataStore, holder: str = "me", **given: Any) -> list[Recording]:
    values: dict[str, Any] = {"now": NOW, "until": UNTIL, "node": "n1", "limit": 16, "overdue_before": NOW - DAY}
    return list(await store.claim_due(Claim(holder=holder, **values | given)))


async def insert(store: MetadataStore, *recordings: Recording) -> None:
    await asyncio.gather(*(store.insert(each) for each in recordings))


async def test_due_recordings_are_leased(store: MetadataStore) -> None:
    given = full(due_at=NOW, lease=None, node=None)
    await insert(store, given)
    leased = replace(given, due_at=UNTIL, lease=Lease("me", UNTIL), revision=given.revision + 1)
    assert await claim(store) == [leased]
    assert await store.load(given.id) == leased
    assert (await store.rows([given.id]))[given.id] == leased.to_row()
    assert await claim(store) == []


async def test_the_oldest_come_first_for_any_node_and_for_one(store: MetadataStore) -> None:
    given = [recording(due_at=NOW - number, node=None if number % 2 else "n1") for number in range(10)]
    await insert(store, *given)
    claimed = await claim(store, limit=4)
    assert [each.id for each in claimed] == [each.id for each in given[: -4 - 1 : -1]]
    assert {each.id for each in await claim(store)} == {each.id for each in given[:6]}


async def test_recordings_of_other_nodes_and_not_yet_due_are_not_claimed(store: MetadataStore) -> None:
    await insert(store, recording(due_at=NOW + 1), recording(due_at=None), recording(due_at=NOW, node="n2"))
    assert await claim(store) == []
    assert len(await claim(store, node="n2")) == 1


async def test_the_due_recordings_are_counted_by_state(store: MetadataStore) -> None:
    stored, trashed = {"state": State.STORED}, {"state": State.TRASHED}
    await insert(
        store,
        recording(due_at=NOW - 5, node=None, **stored),
        recording(due_at=NOW, node="n1", **stored),
        recording(due_at=NOW - 9, node="n1", **trashed),
        recording(due_at=NOW - 9, node="n2", **trashed),
        recording(due_at=NOW + 1, node="n1", **stored),
        recording(due_at=None, node="n1", **stored),
    )
    found = {each.state: (each.count, each.first_due) for each in await store.due_states("n1", NOW, 10)}
    assert found == {State.STORED: (2, NOW - 5), State.TRASHED: (1, NOW - 9)}
    assert sum(each.count for each in await store.due_states("n1", NOW, 2)) == 2


async def test_overdue_recordings_of_a_node_can_be_claimed_by_every_node(store: MetadataStore) -> None:
    old = recording(due_at=NOW - DAY, node="n2")
    await insert(store, old, recording(due_at=NOW - DAY + 1, node="n2"), recording(due_at=None, node="n2"))
    assert [each.id for each in await claim(store)] == [old.id]
    assert await claim(store, limit=1) == []


async def test_a_nodes_own_overdue_recording_is_claimed_once(store: MetadataStore) -> None:
    given = [recording(due_at=NOW - 2 * DAY, node=node) for node in (None, "n1", "n2")]
    await insert(store, *given)
    assert sorted(each.id for each in await claim(store)) == sorted(each.id for each in given)


async def test_leases_of_a_dead_holder_are_released(store: MetadataStore) -> None:
    await insert(store, *(recording(due_at=NOW) for _ in range(3)))
    await claim(store, "dead", limit=2)
    await claim(store, "alive")
    assert await store.release_leases("nobody", NOW) == 0
    assert await store.release_leases("dead", NOW + 5) == 2
    assert await store.release_leases("dead", NOW + 5) == 0
    again = await claim(store, now=NOW + 5)
    assert [(each.lease, each.revision) for each in again] == [(Lease("me", UNTIL), 3)] * 2


async def test_a_lease_expires(store: MetadataStore) -> None:
    given = recording(due_at=NOW)
    await insert(store, given)
    assert len(await claim(store, "dead")) == 1
    assert await claim(store, now=UNTIL - 1, until=UNTIL * 2) == []
    (again,) = await claim(store, now=UNTIL, until=UNTIL * 2)
    assert again.lease == Lease("me", UNTIL * 2)
    assert again.revision == 2


async def test_a_holder_with_an_expired_lease_cannot_save(store: MetadataStore) -> None:
    await insert(store, recording(due_at=NOW))
    (slow,) = await claim(store, "slow")
    (fast,) = await claim(store, "fast", now=UNTIL, until=UNTIL * 2)
    assert not await store.save(replace(slow, label="slow", revision=slow.revision + 1), slow.revision)
    assert await store.save(replace(fast, label="fast", due_at=None, revision=fast.revision + 1), fast.revision)
    assert await claim(store, now=UNTIL * 3, until=UNTIL * 4) == []


@pytest.mark.parametrize("together", [True, False])
async def test_eight_claimers_never_get_the_same_recording(stores: Stores, together: bool) -> None:
    first = await stores.open()
    claimers = [first] * 8 if together else [first, *[await stores.open() for _ in range(7)]]
    given = [recording(due_at=NOW - number) for number in range(100)]
    await insert(first, *given)

    async def work(number: int, store: MetadataStore) -> list[str]:
        claimed: list[str] = []
        while found := await claim(store, f"claimer {number}", limit=5):
            assert all(each.lease == Lease(f"claimer {number}", UNTIL) for each in found)
            claimed += [each.id for each in found]
        return claimed

    shares = await asyncio.gather(*(work(number, each) for number, each in enumerate(claimers)))
    claimed = [each for share in shares for each in share]
    assert len(claimed) == len(set(claimed))
    # A claimer that often loses the race may give up early. The recordings that it did not get are still due.
    claimed += await work(0, first)
    assert sorted(claimed) == sorted(each.id for each in given)
