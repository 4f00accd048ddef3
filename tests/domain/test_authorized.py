"""What a principal reaches, by itself: what no use case asks with, and the bounds of what is asked for and kept."""

from typing import cast

import pytest

from recordings.model.account import Account, Principal, Scope, can_access_row, require_scope
from recordings.model.errors import Forbidden, InvalidInput, NotFound
from recordings.model.ids import MAX_ID, new_id
from recordings.model.query import MAX_CONDITIONS, And, Equal, Query
from recordings.model.recording import Shelf, State
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases import authorized as reach
from recordings.use_cases.authorized import Authorized
from tests.domain.test_lifecycle import make
from tests.support.memory_store import MemoryStore

MINE, OTHER = Account("a" * 32, "mine", 0), Account("b" * 32, "other", 0)
ME = Principal(MINE.id, frozenset({Scope.READ}))


class Asked(MemoryStore):
    """Notes which accounts it was asked for."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__()
        self.known = {account.id: account for account in accounts}
        self.asked: list[str] = []

    async def account(self, account_id: str) -> Account | None:
        self.asked.append(account_id)
        return await super().account(account_id)


def reach_in(store: MemoryStore) -> Authorized:
    return Authorized(cast("MetadataStore", store))


def test_a_row_of_another_account_is_out_of_reach_whatever_account_is_named() -> None:
    assert can_access_row(ME, MINE, {"account_id": MINE.id, "owner_id": None})
    assert not can_access_row(ME, MINE, {"account_id": OTHER.id, "owner_id": None})


@pytest.mark.parametrize(
    ("scopes", "said"), [((), "have none"), ((Scope.READ, Scope.DELETE), "have delete, read")], ids=str
)
def test_who_is_refused_is_told_which_scopes_there_are(scopes: tuple[Scope, ...], said: str) -> None:
    with pytest.raises(Forbidden, match=f"this needs the scope 'control'; the credentials {said}$"):
        require_scope(Principal(MINE.id, frozenset(scopes)), Scope.CONTROL)


async def test_a_recording_of_no_account_is_nobodys() -> None:
    assert not await reach_in(Asked()).sees(ME, {"account_id": MINE.id, "owner_id": None, "shelf": Shelf.LIVE})


async def test_the_longest_id_is_found_and_no_longer_one_is_looked_for() -> None:
    store = Asked(MINE)
    longest, longer = (make(State.STORED, id="i" * length) for length in (MAX_ID, MAX_ID + 1))
    store.recordings = {longest.id: longest, longer.id: longer}
    assert await reach_in(store).recording(ME, longest.id) is longest
    with pytest.raises(NotFound):
        await reach_in(store).recording(ME, longer.id)


async def test_what_is_no_account_id_is_not_looked_for() -> None:
    store = Asked()
    with pytest.raises(NotFound):
        await reach_in(store).account(ME, "a" * 33)
    assert store.asked == []


async def test_a_condition_beyond_the_bounds_reaches_no_store() -> None:
    where = And((Equal("label", "x"),) * MAX_CONDITIONS)
    with pytest.raises(InvalidInput, match=f"at most {MAX_CONDITIONS} conditions"):
        await reach_in(Asked(MINE)).narrow(ME, Query(account_id=MINE.id, where=where))


async def test_an_account_is_looked_up_once_and_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_CACHED", 2)
    below = [Account(new_id(), "below", 0, (MINE.id,)) for _ in range(3)]
    store = Asked(*below)
    reached = reach_in(store)
    for account in (*below[:2], *below):
        assert await reached.account(ME, account.id) is account
    assert store.asked == [account.id for account in below]
    # The one that was kept longest made room, and no other.
    for account in (below[1], below[2], below[0]):
        await reached.account(ME, account.id)
    assert store.asked[3:] == [below[0].id]
