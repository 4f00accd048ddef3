"""Disabled accounts and people, and ended tokens, in every store."""

from dataclasses import replace

from recordings.model.account import AccessState, ApiKey, Scope
from recordings.model.user import Passwords, PrivLevel, User, UserField
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.samples import NOW
from tests.contract.metadata.test_account_stores import ADDRESS, KEY, ROOT
from tests.contract.metadata.test_user_stores import ADA

VALID = AccessState(is_valid=True)
INVALID = AccessState(is_valid=False)


async def test_credentials_need_an_account(store: MetadataStore) -> None:
    assert not (await store.access_state("root", [], None)).is_valid
    await store.add_account(ROOT)
    assert await store.access_state("root", [], None) == VALID
    assert await store.access_state("root", ["ada", "$bob"], None) == VALID


async def test_an_account_or_a_person_is_disabled_and_enabled(store: MetadataStore) -> None:
    await store.add_account(ROOT)
    await store.add_account(replace(ROOT, id="other", sip_realm=None))
    for person in ("", "ada", "$bob", "x:y"):
        await store.set_disabled("root", person, NOW)
        await store.set_disabled("root", person, NOW + 1)
        assert await store.disabled("root") == {person: NOW}
        assert not (await store.access_state("root", ["eve", person], None)).is_valid
        assert (await store.access_state("root", ["eve"], None)).is_valid == bool(person)
        assert (await store.access_state("other", [person], None)).is_valid
        await store.set_disabled("root", person, None)
        assert await store.disabled("root") == {}
        assert await store.access_state("root", [person], None) == VALID


async def test_the_latest_end_of_tokens_counts(store: MetadataStore) -> None:
    await store.add_account(ROOT)
    for person, at in (("ada", NOW + 5), ("ada", NOW + 3), ("", NOW), ("bob", NOW - 1)):
        await store.end_tokens("root", person, at)
    assert await store.access_state("root", [], None) == AccessState(is_valid=True, not_before=NOW)
    assert await store.access_state("root", ["bob"], None) == AccessState(is_valid=True, not_before=NOW)
    assert await store.access_state("root", ["ada", "bob"], None) == AccessState(is_valid=True, not_before=NOW + 5)
    await store.set_disabled("root", "ada", None)
    assert await store.access_state("root", ["ada"], None) == AccessState(is_valid=True, not_before=NOW + 5)


async def test_a_revoked_or_unknown_key_is_not_valid(store: MetadataStore) -> None:
    await store.add_account(ROOT)
    await store.add_key(KEY)
    assert await store.access_state("root", [], KEY.id) == VALID
    assert not (await store.access_state("root", [], "unknown")).is_valid
    await store.revoke_key(KEY.id, NOW)
    assert not (await store.access_state("root", [], KEY.id)).is_valid


async def test_a_deleted_account_is_gone_but_its_tokens_stay_ended(store: MetadataStore) -> None:
    other = replace(ROOT, id="other", sip_realm=None)
    for account in (ROOT, other):
        await store.add_account(account)
        await store.add_user(replace(ADA, account_id=account.id))
        await store.add_key(ApiKey(f"key-{account.id}", account.id, (Scope.READ,), account.id, NOW))
        await store.add_ingest(replace(ADDRESS, id=f"ingest-{account.id}", account_id=account.id))
    await store.end_tokens("root", "", NOW)
    await store.delete_account("root")
    await store.delete_account("root")
    assert await store.account("root") is None
    assert (await store.users("root"), await store.keys("root"), await store.ingest_addresses("root")) == ([], [], [])
    assert (await store.key_by_hash("root"), await store.ingest_address("ingest-root")) == (None, None)
    assert not (await store.access_state("root", [], None)).is_valid
    assert await store.account("other") == other
    assert [len(await store.users("other")), len(await store.keys("other"))] == [1, 1]
    await store.add_account(ROOT)
    assert await store.access_state("root", [], None) == AccessState(is_valid=True, not_before=NOW)


async def test_only_the_given_fields_of_a_user_are_changed(store: MetadataStore) -> None:
    await store.add_user(ADA)
    await store.add_user(replace(ADA, account_id="other"))
    assert await store.save_user("root", "u1", {UserField.LAST_NAME: "$first_name", UserField.PRIV_LEVEL: "user"})
    assert await store.user("root", "u1") == replace(ADA, last_name="$first_name", priv_level=PrivLevel.USER)
    assert await store.user("other", "u1") == replace(ADA, account_id="other")
    assert not await store.save_user("root", "u3", {UserField.EMAIL: ""})


async def test_a_password_is_replaced_and_a_user_deleted(store: MetadataStore) -> None:
    bob: User = replace(ADA, id="u2", username="bob", passwords=None)
    await store.add_user(ADA)
    await store.add_user(bob)
    assert await store.save_passwords("root", "u2", Passwords("m2", "s2"))
    assert not await store.save_passwords("root", "u3", Passwords("m2", "s2"))
    assert await store.users("root") == [ADA, replace(bob, passwords=Passwords("m2", "s2"))]
    await store.delete_user("root", "u1")
    assert await store.user("root", "u1") is None
    assert await store.user("root", "u2") is not None
    assert await store.add_user(ADA)
