"""Users in every store."""

import asyncio
from dataclasses import replace

import pytest

from recordings.model.user import Method, Passwords, PrivLevel, User
from recordings.ports.account_stores import all_users
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW

ADA = User(
    id="u1",
    account_id="root",
    username="Ada",
    created=NOW,
    first_name="Ada",
    last_name="Reception \U0001f600",
    email="ada@example.com",
    priv_level=PrivLevel.ADMIN,
    passwords=Passwords("m", "s"),
)


async def test_users(store: MetadataStore) -> None:
    older = replace(ADA, id="u2", username="bob", created=NOW - 1, passwords=None, priv_level=PrivLevel.USER)
    elsewhere = replace(ADA, account_id="other")
    assert await store.user("root", "u1") is None
    assert await store.users("root") == []
    for user in (ADA, older, elsewhere):
        assert await store.add_user(user)
    assert await store.user("root", "u1") == ADA
    assert await store.user("root", "u2") == older
    assert await store.user("other", "u2") is None
    assert await store.users("root") == [older, ADA]
    assert await store.users("root", limit=1) == [older]
    assert await store.users("other") == [elsewhere]
    assert await store.users("root", after=older) == [ADA]
    assert await store.users("root", after=ADA) == []


async def test_paging_through_all_users_skips_and_repeats_none(
    store: MetadataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.ports.account_stores.PAGE", 3)
    made = [replace(ADA, id=f"{number:02}", username=f"u{number}", created=NOW + number // 5) for number in range(11)]
    for user in reversed(made):
        await store.add_user(user)
    assert [user async for user in all_users(store, "root")] == made


async def test_a_user_is_found_by_the_hash_of_the_password(store: MetadataStore) -> None:
    bob = replace(ADA, id="u2", username="bob", passwords=Passwords("m2", "s2"))
    none = replace(ADA, id="u3", username="none", passwords=None)
    for user in (ADA, bob, none, replace(ADA, account_id="other", passwords=Passwords("m3", "s3"))):
        await store.add_user(user)
    assert await store.user_by_hash("root", Method.MD5, "m2") == bob
    assert await store.user_by_hash("root", Method.SHA, "s") == ADA
    for method, hashed in ((Method.SHA, "m2"), (Method.MD5, "m3"), (Method.MD5, "")):
        assert await store.user_by_hash("root", method, hashed) is None


async def test_user_ids_and_names_are_unique_in_an_account(store: MetadataStore) -> None:
    assert await store.add_user(ADA)
    assert not await store.add_user(replace(ADA, username="other"))
    assert not await store.add_user(replace(ADA, id="u2", username="aDA"))
    assert await store.add_user(replace(ADA, id="u3", username="Ädä"))
    assert not await store.add_user(replace(ADA, id="u4", username="äDÄ"))
    assert len(await store.users("root")) == 2


async def test_one_of_many_concurrent_calls_adds_a_user(store: MetadataStore) -> None:
    made = await asyncio.gather(*(store.add_user(replace(ADA, id=f"u{number}")) for number in range(8)))
    assert made.count(True) == 1


async def test_users_survive_reopening(stores: Stores) -> None:
    assert await (await stores.open()).add_user(ADA)
    assert await (await stores.open()).users("root") == [ADA]
