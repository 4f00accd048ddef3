"""API keys and ingest addresses: found by their hash, and rejected soon after they are revoked."""

import pytest

from adapters.identity import Credentials, Identity
from adapters.identity import hashed_credentials as credentials
from adapters.metadata.sqlite import SqliteStore
from recordings.model.account import Account, ApiKey, Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.ids import new_id, new_secret
from recordings.use_cases.access_control import TTL
from recordings.use_cases.accounts import ManageAccounts
from tests.adapters.identity.conftest import Seconds


async def test_an_api_key_authenticates_its_principal(
    identity: Identity, administration: ManageAccounts, account: Account
) -> None:
    made = await administration.create_key(account.id, "ada", frozenset({Scope.READ, Scope.LISTEN}))
    expected = Principal(account.id, frozenset({Scope.READ, Scope.LISTEN}), "ada", f"key-{made.key.id[:8]}")
    assert await identity.authenticate({"X-Auth-Token": made.secret}) == expected
    assert await identity.authenticate({"Authorization": f"Bearer {made.secret}"}) == expected


async def test_the_secret_is_not_stored(store: SqliteStore, administration: ManageAccounts, account: Account) -> None:
    made = await administration.create_key(account.id, None, frozenset({Scope.READ}))
    address = await administration.create_ingest(account.id)
    kept = repr([await store.keys(account.id), await store.ingest_addresses(account.id)])
    assert made.secret not in kept
    assert address.secret not in kept


async def test_a_revoked_key_works_for_five_seconds_at_most(
    identity: Identity, administration: ManageAccounts, account: Account, seconds: Seconds
) -> None:
    made = await administration.create_key(account.id, None, frozenset({Scope.READ}))
    headers = {"X-Auth-Token": made.secret}
    await identity.authenticate(headers)
    await administration.revoke_key(made.key.id)
    seconds.now += TTL
    assert TTL <= 5
    with pytest.raises(Unauthenticated):
        await identity.authenticate(headers)


async def test_an_unknown_key_is_rejected(identity: Identity) -> None:
    for secret in (new_secret(), "0" * 64, "A" * 64):
        with pytest.raises(Unauthenticated):
            await identity.authenticate({"X-Auth-Token": secret})


async def test_an_ingest_address_may_only_send_audio(
    identity: Identity, administration: ManageAccounts, account: Account
) -> None:
    made = await administration.create_ingest(account.id)
    principal = await identity.ingest(made.address.id, made.secret)
    assert principal is not None
    assert (principal.account_id, principal.scopes) == (account.id, frozenset({Scope.INGEST}))
    with pytest.raises(Unauthenticated):
        await identity.authenticate({"X-Auth-Token": made.secret})


async def test_a_wrong_ingest_address_or_secret_is_rejected(
    identity: Identity, administration: ManageAccounts, account: Account
) -> None:
    one, two = await administration.create_ingest(account.id), await administration.create_ingest(account.id)
    for address_id, secret in (
        (one.address.id, two.secret),
        (one.address.id, ""),
        (one.address.id, one.secret[:-1]),
        (one.address.id, one.address.secret_sha256),
        (new_id(), one.secret),
        ("", one.secret),
        ("../..", one.secret),
        (one.address.id, "\ud800"),
    ):
        assert await identity.ingest(address_id, secret) is None


async def test_a_revoked_ingest_address_is_rejected_within_five_seconds(
    identity: Identity, administration: ManageAccounts, account: Account, seconds: Seconds
) -> None:
    made = await administration.create_ingest(account.id)
    assert await identity.ingest(made.address.id, made.secret)
    await administration.revoke_ingest(made.address.id)
    seconds.now += TTL
    assert await identity.ingest(made.address.id, made.secret) is None


async def test_a_lookup_is_cached_for_five_seconds(
    store: SqliteStore, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = store.key_by_hash

    async def counted(digest: str) -> ApiKey | None:
        asked.append(digest)
        return await find(digest)

    async def looks(known: Credentials, *secrets: str) -> int:
        asked.clear()
        for secret in secrets:
            assert await known.key(secret) is None
        return len(asked)

    monkeypatch.setattr(store, "key_by_hash", counted)
    monkeypatch.setattr(credentials, "_MAX_CACHED", 2)
    known = Credentials(store, seconds)
    assert await looks(known, "a", "b", "a", "b") == 2
    seconds.now += TTL - 0.1
    assert await looks(known, "a") == 0
    seconds.now += 0.1
    assert await looks(known, "a", "a") == 1
    # The cache holds two entries. "b" was used least recently, so it is dropped.
    assert await looks(known, "c", "a", "c") == 1
    assert await looks(known, "b") == 1


async def test_guessed_keys_do_not_fill_the_memory(identity: Identity) -> None:
    for number in range(5_000):
        with pytest.raises(Unauthenticated):
            await identity.authenticate_token(f"{number:064x}")
    assert len(identity._credentials._cache) <= 4_096
