"""Accounts and credentials in every store."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from recordings.model.account import Account, ApiKey, IngestAddress, Scope
from recordings.model.instants import LATEST
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest, Position
from recordings.model.quota import Quota
from recordings.model.retention import Retention
from recordings.ports.account_stores import RealmTaken, all_accounts, all_locations
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW

ROOT = Account("root", "Root \U0001f600", NOW)
KEY = ApiKey("k1", "root", (Scope.READ, Scope.ADMIN), "hash1", NOW, owner_id="owner")
ADDRESS = IngestAddress("i1", "root", "hash", NOW)
# Stores delete expired tokens by the real time, so the tokens of the tests expire far in the future.
FAR = LATEST - 1_000


async def test_accounts(store: MetadataStore) -> None:
    child = Account("child", "Child", NOW - 1, ("root",))
    assert await store.account("root") is None
    assert await store.accounts() == []
    assert await store.add_account(ROOT)
    assert not await store.add_account(replace(ROOT, name="other"))
    assert await store.add_account(child)
    assert await store.account("root") == ROOT
    assert await store.account("child") == child
    assert await store.accounts() == [child, ROOT]
    assert await store.accounts(limit=1) == [child]
    assert await store.accounts(after=child) == [ROOT]
    assert await store.accounts(after=ROOT) == []


async def test_paging_through_all_accounts_skips_and_repeats_none(
    store: MetadataStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recordings.ports.account_stores.PAGE", 3)
    # Several accounts have the same creation time, so their ids decide the order.
    made = [Account(f"{number:02}", "x", NOW + number // 5) for number in range(11)]
    for account in reversed(made):
        await store.add_account(account)
    assert [account async for account in all_accounts(store)] == made


@pytest.mark.parametrize("seed", range(4))
async def test_pages_of_children_are_those_of_a_sorted_list(store: MetadataStore, seed: int) -> None:
    random = Random(seed)
    trees: list[tuple[str, ...]] = [("root",), ("root", "c0"), ("root", "c0", "d"), (), ("other",)]
    accounts = [
        Account(f"{random.randrange(10**6)}-{number}", "x", NOW + random.randrange(4), random.choice(trees))
        for number in range(20)
    ]
    for account in accounts:
        await store.add_account(account)
    await store.save_account(replace(accounts[0], name="renamed"))
    accounts[0] = replace(accounts[0], name="renamed")
    children = [account for account in accounts if account.parent_id == "root"]
    assert await store.count_children("root") == len(children)
    assert await store.count_children("nobody") == 0

    def position(account: Account) -> Position:
        return Position(account.created, account.id)

    for _ in range(30):
        after, before = (position(random.choice(accounts)) if random.random() < 0.5 else None for _ in range(2))
        request = PageRequest(limit=random.randint(1, 5), after=after, before=before, backward=random.random() < 0.5)
        assert await store.children("root", request) == take_page(children, request, position, descending=False)


async def test_the_accounts_below_an_account_at_any_depth(store: MetadataStore) -> None:
    chain = [Account(str(number), "x", NOW, tuple(map(str, range(number)))) for number in range(5)]
    others = [Account("other", "x", NOW), Account("below other", "x", NOW, ("other",))]
    for account in (*chain, *others):
        await store.add_account(account)
    for number in range(5):
        assert set(await store.accounts_below(str(number), 100)) == set(chain[number + 1 :])
    assert len(await store.accounts_below("0", 2)) == 2
    assert await store.accounts_below("nobody", 2) == []


async def test_lists_of_credentials_have_pages(store: MetadataStore) -> None:
    keys = [replace(KEY, id=f"k{number}", secret_sha256=f"{number}", created=NOW + number // 3) for number in range(7)]
    addresses = [replace(ADDRESS, id=f"i{number}", created=NOW + number // 3) for number in range(7)]
    for key, address in zip(keys, addresses, strict=True):
        await store.add_key(key)
        await store.add_ingest(address)
    assert await store.keys("root", 2, keys[2]) == keys[3:5]
    assert await store.keys("root", after=keys[6]) == []
    assert await store.ingest_addresses("root", 2, addresses[2]) == addresses[3:5]
    assert await store.ingest_addresses("root", after=addresses[6]) == []


async def test_media_store_urls_are_stored_once(store: MetadataStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await store.locations() == []
    urls = ["file:///var/audio/", "s3://a/", "s3://a/b \U0001f600/", "s3://b/"]
    await asyncio.gather(*(store.note_location(url, NOW + number) for number in range(3) for url in reversed(urls)))
    assert await store.locations() == urls
    assert await store.locations(limit=2, after="s3://a/") == urls[2:]
    monkeypatch.setattr("recordings.ports.account_stores.PAGE", 1)
    assert [location async for location in all_locations(store)] == urls


async def test_the_settings_of_an_account_can_change_but_not_its_position_in_the_tree(store: MetadataStore) -> None:
    rules = (Retention(90), Retention(7, "junk \U0001f600"))
    assert not await store.save_account(ROOT)
    await store.add_account(ROOT)
    changed = replace(ROOT, name="Other", retention=rules, media="s3://bucket/x", numbers=("+49", "1"))
    changed = replace(changed, quota=Quota(bytes=2**40, streams=0))
    assert await store.save_account(replace(changed, tree=("elsewhere",), created=1))
    assert await store.account("root") == changed
    full = replace(ROOT, id="full", retention=rules, media="s3://bucket/y", numbers=("+4930",))
    assert await store.add_account(full)
    assert await store.account("full") == full


async def test_a_realm_belongs_to_one_account(store: MetadataStore) -> None:
    first = replace(ROOT, id="first", sip_realm="a.example.com")
    assert await store.add_account(first)
    assert await store.account("first") == first
    for number in range(2):
        assert await store.add_account(replace(ROOT, id=f"default {number}"))
    with pytest.raises(RealmTaken):
        await store.add_account(replace(ROOT, id="other", sip_realm="a.example.com"))
    assert await store.account("other") is None
    other = replace(ROOT, id="other", sip_realm="b.example.com")
    assert await store.add_account(other)
    with pytest.raises(RealmTaken):
        await store.save_account(replace(other, sip_realm="a.example.com"))
    assert await store.account("other") == other
    assert await store.save_account(replace(first, sip_realm=None))
    assert await store.save_account(replace(other, sip_realm="a.example.com"))
    assert not await store.add_account(replace(other, sip_realm="c.example.com"))


async def test_one_of_many_concurrent_calls_gets_a_realm(store: MetadataStore) -> None:
    accounts = [replace(ROOT, id=f"{number}", sip_realm="one.example.com") for number in range(8)]
    made = await asyncio.gather(*map(store.add_account, accounts), return_exceptions=True)
    assert made.count(True) == 1
    assert sum(isinstance(each, RealmTaken) for each in made) == 7


async def test_one_of_many_concurrent_calls_adds_an_account(store: MetadataStore) -> None:
    made = await asyncio.gather(*(store.add_account(replace(ROOT, name=str(number))) for number in range(8)))
    assert made.count(True) == 1


async def test_keys(store: MetadataStore) -> None:
    older = replace(KEY, id="k2", secret_sha256="hash2", created=NOW - 1, owner_id=None)
    other = replace(KEY, id="k3", secret_sha256="hash3", account_id="other")
    for each in (KEY, older, other):
        await store.add_key(each)
    assert await store.key_by_hash("hash1") == KEY
    assert await store.key_by_hash("nothing") is None
    assert await store.keys("root") == [older, KEY]
    assert await store.keys("nobody") == []


async def test_revoking_a_key(store: MetadataStore) -> None:
    await store.add_key(KEY)
    assert not await store.revoke_key("nothing", NOW)
    assert await store.revoke_key("k1", NOW + 5)
    assert await store.revoke_key("k1", NOW + 9)
    assert await store.key_by_hash("hash1") == replace(KEY, revoked=NOW + 5)


async def test_ingest_addresses(store: MetadataStore) -> None:
    older = replace(ADDRESS, id="i2", created=NOW - 1)
    for each in (ADDRESS, older, replace(ADDRESS, id="i3", account_id="other")):
        await store.add_ingest(each)
    assert await store.ingest_address("i1") == ADDRESS
    assert await store.ingest_address("nothing") is None
    assert await store.ingest_addresses("root") == [older, ADDRESS]
    assert not await store.revoke_ingest("nothing", NOW)
    assert await store.revoke_ingest("i1", NOW + 5)
    assert await store.revoke_ingest("i1", NOW + 9)
    assert await store.ingest_address("i1") == replace(ADDRESS, revoked=NOW + 5)


async def test_accounts_and_credentials_survive_reopening(stores: Stores) -> None:
    first = await stores.open()
    await first.add_account(ROOT)
    await first.add_key(KEY)
    await first.add_ingest(ADDRESS)
    await first.close()
    second = await stores.open()
    assert (await second.account("root"), await second.keys("root")) == (ROOT, [KEY])
    assert await second.ingest_addresses("root") == [ADDRESS]


async def test_revoked_tokens(stores: Stores) -> None:
    one, other = await stores.open(), await stores.open()
    assert not await one.is_token_revoked("t1")
    await one.revoke_token("t1", FAR)
    for store in (one, other, await stores.open()):
        assert await store.is_token_revoked("t1")
        assert not await store.is_token_revoked("t")
        assert not await store.is_token_revoked("T1")
    # Concurrent revocations with a later and an earlier expiry.
    await asyncio.gather(*(store.revoke_token("t2", FAR + more) for more in (0, 1, -1) for store in (one, other)))
    assert await other.is_token_revoked("t2")
    assert await one.is_token_revoked("t1")
    await one.revoke_token("t3", LATEST)
    assert await one.is_token_revoked("t3")
