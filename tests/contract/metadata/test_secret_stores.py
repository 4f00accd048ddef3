"""The id of the signing key, and the encrypted secrets of accounts, in every store."""

import asyncio

from recordings.ports.recording_store import MetadataStore
from recordings.ports.secret_store import AccountSecret
from tests.contract.metadata.samples import NOW
from tests.contract.metadata.test_account_stores import ROOT

SECRET = AccountSecret("root", "delivery", ("new", "old"))


async def test_the_first_key_claims_the_store(store: MetadataStore) -> None:
    before = await store.installation()
    assert (before.key_id, before.key_since) == (None, None)
    claims = await asyncio.gather(*(store.claim_key(f"{number:016x}", NOW + number) for number in range(8)))
    assert len({each.key_id for each in claims}) == 1
    found = await store.installation()
    assert found == claims[0]
    assert (found.id, found.created) == (before.id, before.created)
    assert found.key_since == NOW + int(str(found.key_id), 16)


async def test_a_key_replaces_only_the_expected_one(store: MetadataStore) -> None:
    await store.claim_key("one", NOW)
    assert (await store.claim_key("two", NOW + 1, instead_of="other")).key_id == "one"
    assert (await store.claim_key("two", NOW + 1)).key_id == "one"
    changed = await store.claim_key("two", NOW + 1, instead_of="one")
    assert (changed.key_id, changed.key_since) == ("two", NOW + 1)
    assert await store.installation() == changed


async def test_a_secret_is_replaced_only_if_its_values_are_expected(store: MetadataStore) -> None:
    assert await store.account_secret("root", "delivery") == ()
    assert not await store.save_account_secret(SECRET, ["other"])
    assert await store.save_account_secret(SECRET, [])
    assert not await store.save_account_secret(AccountSecret("root", "delivery", ("x",)), [])
    assert not await store.save_account_secret(AccountSecret("root", "delivery", ("x",)), ["old", "new"])
    assert await store.account_secret("root", "delivery") == ("new", "old")
    assert await store.account_secret("root", "twilio") == ()
    assert await store.save_account_secret(AccountSecret("root", "delivery", ("x",)), ["new", "old"])
    assert await store.account_secret("root", "delivery") == ("x",)


async def test_a_secret_is_deleted(store: MetadataStore) -> None:
    none = AccountSecret("root", "delivery", ())
    assert await store.save_account_secret(none, [])
    await store.save_account_secret(SECRET, [])
    assert not await store.save_account_secret(none, [])
    assert await store.save_account_secret(none, SECRET.sealed)
    assert await store.account_secret("root", "delivery") == ()


async def test_the_secrets_of_all_accounts_are_listed_in_pages(store: MetadataStore) -> None:
    names = [("a", "delivery"), ("a", "twilio"), ("b", "$x.y"), ("b", "delivery")]
    secrets = [AccountSecret(account_id * 32, name, ("s",)) for account_id, name in names]
    for secret in reversed(secrets):
        await store.save_account_secret(secret, [])
    found: list[AccountSecret] = []
    while page := await store.account_secrets(3, found[-1] if found else None):
        found += page
    assert found == secrets


async def test_the_secrets_of_a_deleted_account_are_deleted(store: MetadataStore) -> None:
    await store.add_account(ROOT)
    await store.save_account_secret(AccountSecret(ROOT.id, "delivery", ("s",)), [])
    await store.save_account_secret(AccountSecret("other", "delivery", ("s",)), [])
    await store.delete_account(ROOT.id)
    assert await store.account_secrets(10) == [AccountSecret("other", "delivery", ("s",))]
