"""Each due recording is leased to one claimer at a time, and becomes due again when its lease expires."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.model.instants import DAY
from recordings.model.recording import Delivery, DeliveryState, Lease, Recording, State
from recordings.model.work import Work
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


def of_account(account: str, work: Work, number: int = 0) -> Recording:
    """Return a recording of an account that needs a kind of work. A lower number is due earlier."""
    state = {
        Work.FINALIZE: State.FINALIZING,
        Work.CHECK: State.RECORDING,
        Work.PURGE: State.TRASHED,
        Work.EXPIRE: State.FAILED,
        Work.DELIVER: State.STORED,
    }[work]
    delivery = Delivery("d", DeliveryState.PENDING, NOW) if work is Work.DELIVER else None
    return recording(account_id=account, state=state, delivery=delivery, due_at=NOW - 10_000 + number, node=None)


@pytest.mark.parametrize("work", Work)
async def test_accounts_take_turns_in_each_kind_of_work(store: MetadataStore, work: Work) -> None:
    flood = [of_account("a", kind, number) for kind in Work for number in range(12)]
    late = [of_account(account, work, 5_000) for account in "bcd"]
    await insert(store, *flood, *late)
    claimed = await claim(store, work=work, limit=6)
    assert [each.account_id for each in claimed] == [*"abcd", "a", "a"]
    assert all(each.state is late[0].state for each in claimed)
    # Oldest first in the account.
    assert [each.due_at for each in flood if each.id in {claimed[0].id, claimed[4].id}] == [NOW - 10_000, NOW - 9_999]


async def test_a_turn_goes_on_after_the_last_account_and_around(store: MetadataStore) -> None:
    await insert(store, *(of_account(account, Work.PURGE, number) for account in "abcd" for number in range(2)))
    assert [each.account_id for each in await claim(store, work=Work.PURGE, after="b", limit=3)] == [*"cda"]
    assert [each.account_id for each in await claim(store, work=Work.PURGE, after="a", limit=9)] == [*"bcdab"]


async def test_an_account_with_enough_running_steps_waits(store: MetadataStore) -> None:
    await insert(store, *(of_account(account, Work.FINALIZE, number) for account in "abc" for number in range(4)))
    limits: dict[str, Any] = {"work": Work.FINALIZE, "most_of_account": 3, "running": {"a": 3, "b": 2}}
    claimed = await claim(store, **limits)
    assert [each.account_id for each in claimed] == [*"bc", "c", "c"]


async def test_one_kind_of_work_is_limited_to_its_nodes_and_to_what_is_due(store: MetadataStore) -> None:
    ours, theirs = (replace(of_account("a", Work.FINALIZE), node=node) for node in ("n1", "n2"))
    await insert(store, ours, theirs, replace(of_account("a", Work.FINALIZE), due_at=NOW + 1))
    assert [each.id for each in await claim(store, work=Work.FINALIZE)] == [ours.id]
    assert await claim(store, work=Work.PURGE) == []


async def test_without_a_node_only_stranded_work_is_claimed(store: MetadataStore) -> None:
    old = recording(due_at=NOW - DAY, node="n2")
    await insert(store, old, recording(due_at=NOW), recording(due_at=NOW, node="n1"))
    assert [each.id for each in await claim(store, node=None)] == [old.id]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=20), st.integers(1, 6), st.data())
async def test_claims_one_after_another_are_fair_and_complete(
    store: MetadataStore, wanted: list[tuple[str, int]], limit: int, data: st.DataObject
) -> None:
    batch = uuid4().hex
    given_work = [of_account(f"{batch}{account}", Work.PURGE, number) for account, number in wanted]
    # Hypothesis may end an example where it draws, so this is before the work exists.
    after, claimed = data.draw(st.sampled_from(["", batch, f"{batch}b", "~"])), list[Recording]()
    await insert(store, *given_work)
    while found := await claim(store, work=Work.PURGE, after=after, limit=limit):
        assert len(found) <= limit
        claimed += found
        after = found[-1].account_id
    assert sorted(each.id for each in claimed) == sorted(each.id for each in given_work)
    # No account gets a second turn while another one with due work has had none.
    first = [each.account_id for each in claimed[: len({each.account_id for each in given_work})]]
    assert len(set(first)) == len(first)
