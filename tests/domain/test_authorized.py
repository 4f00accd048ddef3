"""`Authorized`: access checks, the limits of ids and filters, and the cache of account trees."""

from dataclasses import replace
from typing import cast

import pytest

from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Forbidden, InvalidInput, NotFound
from recordings.model.fields import RecordingRow
from recordings.model.ids import MAX_ID, new_id
from recordings.model.query import MAX_CONDITIONS, And, Equal, Query
from recordings.model.recording import Shelf, State
from recordings.model.retention import Retention
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import can_access_row, require_scope
from recordings.use_cases import authorized
from recordings.use_cases.authorized import Authorized
from tests.domain.test_lifecycle import make
from tests.support.memory_store import MemoryStore

OWN, OTHER = Account("a" * 32, "own", 0), Account("b" * 32, "other", 0)
CALLER = Principal(OWN.id, frozenset({Scope.READ}))


class RecordingReads(MemoryStore):
    """Records which accounts were read."""

    def __init__(self, *accounts: Account) -> None:
        super().__init__()
        self.known = {account.id: account for account in accounts}
        self.reads: list[str] = []

    async def account(self, account_id: str) -> Account | None:
        self.reads.append(account_id)
        return await super().account(account_id)


def authorized_on(store: MemoryStore) -> Authorized:
    return Authorized(cast("MetadataStore", store))


def test_a_row_of_another_account_is_not_accessible() -> None:
    assert can_access_row(CALLER, {"account_id": OWN.id, "owner_id": None}, ())
    assert not can_access_row(CALLER, {"account_id": OTHER.id, "owner_id": None}, ())


@pytest.mark.parametrize(
    ("scopes", "existing"), [((), "have none"), ((Scope.READ, Scope.DELETE), "have delete, read")], ids=str
)
def test_a_missing_scope_is_named_with_the_existing_ones(scopes: tuple[Scope, ...], existing: str) -> None:
    with pytest.raises(Forbidden, match=f"this needs the scope 'control'; the credentials {existing}$"):
        require_scope(Principal(OWN.id, frozenset(scopes)), Scope.CONTROL)


async def test_a_recording_of_an_unknown_account_is_not_accessible() -> None:
    row: RecordingRow = {"account_id": OWN.id, "owner_id": None, "shelf": Shelf.LIVE.value}
    assert not await authorized_on(RecordingReads()).can_see(CALLER, row)


async def test_an_id_of_maximum_length_is_found_and_a_longer_one_is_not_read() -> None:
    store = RecordingReads(OWN)
    longest, longer = (make(State.STORED, id="i" * length) for length in (MAX_ID, MAX_ID + 1))
    store.recordings = {longest.id: longest, longer.id: longer}
    assert await authorized_on(store).recording(CALLER, longest.id) is longest
    with pytest.raises(NotFound):
        await authorized_on(store).recording(CALLER, longer.id)


async def test_an_invalid_account_id_is_not_read_from_the_store() -> None:
    store = RecordingReads()
    for load in (authorized_on(store).account, authorized_on(store).account_id):
        with pytest.raises(NotFound):
            await load(CALLER, "a" * 33)
    assert store.reads == []


async def test_a_filter_with_too_many_conditions_reaches_no_store() -> None:
    where = And((Equal("label", "x"),) * MAX_CONDITIONS)
    with pytest.raises(InvalidInput, match=f"at most {MAX_CONDITIONS} conditions"):
        await authorized_on(RecordingReads(OWN)).narrow(CALLER, Query(account_id=OWN.id, where=where))


async def test_a_tree_is_read_once_and_the_cache_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorized, "MAX_CACHED", 2)
    children = [Account(new_id(), "child", 0, (OWN.id,)) for _ in range(3)]
    store = RecordingReads(*children)
    checked = authorized_on(store)
    for account in (*children[:2], *children):
        assert await checked.account_id(CALLER, account.id) == account.id
    assert store.reads == [account.id for account in children]
    # Only the oldest entry was removed.
    for account in (children[1], children[2], children[0]):
        await checked.account_id(CALLER, account.id)
    assert store.reads[3:] == [children[0].id]


async def test_a_changed_account_is_returned_as_it_is_now() -> None:
    store = RecordingReads(OWN)
    checked = authorized_on(store)
    assert await checked.account(CALLER, OWN.id) == OWN
    changed = replace(OWN, name="new", retention=(Retention(30),), media="s3://new", numbers=("030123",))
    store.known[OWN.id] = changed
    assert await checked.account_id(CALLER, OWN.id) == OWN.id
    assert await checked.account(CALLER, None) == changed
