"""The secrets of accounts: access to them, rotations, and their stored form."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings

from adapters.identity import SealedSecrets
from recordings.model.account import Account, IngestAddress, Principal, Scope
from recordings.model.errors import Forbidden, InvalidInput, NotFound, Refused
from recordings.ports.recording_store import MetadataStore
from recordings.ports.sealer import CannotUnsealError
from recordings.rules.signing_keys import SigningKey, SigningKeys
from recordings.use_cases.account_secrets import AccountSecrets, SecretKind, encrypt_again
from tests.domain.test_access_property import World, worlds
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING, open_installation, principal
from tests.support.memory_store import MemoryStore

SECRET = f"whsec_{b64encode(bytes(32)).decode()}"
OLD, NEW = SigningKey("old", b"o" * 32), SigningKey("new", b"n" * 32)
ADMIN = principal(ACCOUNT, Scope.ADMIN)


@dataclass
class Opened:
    """The use cases on a store, and the keys that encrypt."""

    secrets: AccountSecrets
    keys: SigningKeys
    store: MetadataStore
    audit: MemoryAudit


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with open_installation(tmp_path) as installation:
        keys = SigningKeys([OLD])
        secrets = AccountSecrets(installation.store, SealedSecrets(keys), installation.audit)
        yield Opened(secrets, keys, installation.store, installation.audit)


async def test_a_rotation_has_two_secrets_until_the_old_one_is_cleared(opened: Opened) -> None:
    secrets = opened.secrets
    assert await secrets.signing_keys(ACCOUNT) == ()
    made = [await secrets.rotate_delivery_secret(ADMIN) for _ in range(3)]
    assert await secrets.values(ACCOUNT, SecretKind.DELIVERY) == (made[2], made[1])
    assert await secrets.clear_delivery_secret(ADMIN, only_old=True) == 1
    assert await secrets.clear_delivery_secret(ADMIN, only_old=True) == 1
    assert await secrets.values(ACCOUNT, SecretKind.DELIVERY) == (made[2],)
    assert await secrets.clear_delivery_secret(ADMIN) == 0
    assert await secrets.signing_keys(ACCOUNT) == ()
    assert opened.audit.entries == [("secret", "delivery")] * 6


async def test_no_secret_is_stored_or_audited_in_clear_text(opened: Opened) -> None:
    assert await opened.secrets.rotate_delivery_secret(ADMIN, secret=SECRET) == SECRET
    await opened.secrets.put(ACCOUNT, SecretKind.TWILIO, "my-auth-token")
    stored = str(await opened.store.account_secrets(10))
    assert "whsec" not in stored
    assert SECRET[6:] not in stored
    assert "my-auth-token" not in stored
    assert "whsec" not in str(opened.audit.details)


async def test_secrets_are_separate_by_account_kind_and_part(opened: Opened) -> None:
    secrets = opened.secrets
    address = IngestAddress("1" * 32, ACCOUNT, "0" * 64, 0)
    await opened.store.add_ingest(address)
    await secrets.put(ACCOUNT, SecretKind.TWILIO, "all")
    await secrets.put(ACCOUNT, SecretKind.TWILIO, "one", address.id)
    await secrets.put(CHILD, SecretKind.TWILIO, "child")
    assert await secrets.values(ACCOUNT, SecretKind.TWILIO) == ("all",)
    assert await secrets.values(ACCOUNT, SecretKind.TWILIO, address.id) == ("one",)
    assert await secrets.values(ACCOUNT, SecretKind.DELIVERY) == ()
    # A stored value is bound to its account.
    (sealed,) = await opened.store.account_secret(ACCOUNT, "twilio")
    for before in await opened.store.account_secrets(10):
        if before.account_id == CHILD:
            assert await opened.store.save_account_secret(type(before)(CHILD, "twilio", (sealed,)), before.sealed)
    with pytest.raises(CannotUnsealError):
        await secrets.values(CHILD, SecretKind.TWILIO)
    with pytest.raises(NotFound, match="no ingest address"):
        await secrets.put(CHILD, SecretKind.TWILIO, "x", address.id)
    with pytest.raises(NotFound, match="no account"):
        await secrets.put("9" * 32, SecretKind.TWILIO, "x")


async def test_an_old_key_can_be_dropped_after_all_secrets_are_encrypted_again(opened: Opened) -> None:
    secrets = opened.secrets
    accounts = [f"{number:032x}" for number in range(40)]
    for account_id in accounts:
        await opened.store.add_account(Account(account_id, "many", 0))
        await secrets.put(account_id, SecretKind.DELIVERY, SECRET)
    opened.keys.replace([NEW, OLD])
    await secrets.put(accounts[0], SecretKind.DELIVERY, SECRET)
    assert await encrypt_again(opened.store, SealedSecrets(opened.keys)) == 40
    assert await encrypt_again(opened.store, SealedSecrets(opened.keys)) == 0
    opened.keys.replace([NEW])
    assert await secrets.values(accounts[0], SecretKind.DELIVERY) == (SECRET, SECRET)
    assert await secrets.values(accounts[-1], SecretKind.DELIVERY) == (SECRET,)


async def test_after_a_lost_key_a_secret_is_set_again(opened: Opened) -> None:
    await opened.secrets.put(ACCOUNT, SecretKind.DELIVERY, SECRET)
    opened.keys.replace([NEW])
    with pytest.raises(CannotUnsealError):
        await opened.secrets.signing_keys(ACCOUNT)
    await encrypt_again(opened.store, SealedSecrets(opened.keys))
    await opened.secrets.put(ACCOUNT, SecretKind.DELIVERY, SECRET)
    assert await opened.secrets.values(ACCOUNT, SecretKind.DELIVERY) == (SECRET,)


async def test_simultaneous_rotations_keep_the_last_two(opened: Opened) -> None:
    made = await asyncio.gather(*(opened.secrets.rotate_delivery_secret(ADMIN) for _ in range(5)))
    kept = await opened.secrets.values(ACCOUNT, SecretKind.DELIVERY)
    assert len(set(kept)) == 2
    assert set(kept) <= set(made)


async def test_an_ingest_address_uses_its_own_auth_token_or_that_of_the_account(opened: Opened) -> None:
    one, other = "1" * 32, "2" * 32
    for address in (one, other):
        await opened.store.add_ingest(IngestAddress(address, ACCOUNT, "0" * 64, 0))
    await opened.secrets.put(ACCOUNT, SecretKind.TWILIO, "own", one)
    assert [await opened.secrets.twilio_tokens(ACCOUNT, each) for each in (one, other)] == [("own",), ()]
    await opened.secrets.put(ACCOUNT, SecretKind.TWILIO, "all")
    assert [await opened.secrets.twilio_tokens(ACCOUNT, each) for each in (one, other)] == [("own",), ("all",)]
    await opened.secrets.clear(ACCOUNT, SecretKind.TWILIO, one)
    assert await opened.secrets.twilio_tokens(ACCOUNT, one) == ("all",)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(SecretKind.DELIVERY, "x"), (SecretKind.DELIVERY, ""), (SecretKind.TWILIO, ""), (SecretKind.TWILIO, "a b")]
    + [(SecretKind.TWILIO, value) for value in ("é", "x" * 129, "a\nb")],
)
async def test_a_value_that_is_not_allowed_is_rejected(opened: Opened, kind: SecretKind, value: str) -> None:
    with pytest.raises(InvalidInput):
        await opened.secrets.put(ACCOUNT, kind, value)
    assert await opened.secrets.count(ACCOUNT, kind) == 0


Call = Callable[[AccountSecrets, Principal, str], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "rotate": lambda secrets, caller, account: secrets.rotate_delivery_secret(caller, account),
    "clear": lambda secrets, caller, account: secrets.clear_delivery_secret(caller, account),
}


@given(world=worlds())
@settings(max_examples=60)
async def test_access_to_secrets(world: World) -> None:
    caller = world.principal
    for call in CALLS.values():
        for account_id in (*world.parents, "f" * 32):
            memory, audit = MemoryStore(), MemoryAudit()
            memory.known = {id: Account(id, "name", 0, tuple(reversed(world.lineage(id)[1:]))) for id in world.parents}
            store = cast("MetadataStore", memory)
            secrets = AccountSecrets(store, SealedSecrets(SigningKeys([OLD])), audit)
            result: Any
            try:
                result = await call(secrets, caller, account_id)
            except Refused as error:
                result = error
                assert not memory.secrets
                assert not audit.entries
            if not world.has_scope(Scope.ADMIN):
                assert isinstance(result, Forbidden)
            elif account_id not in world.parents or not world.can_access_account(account_id):
                assert isinstance(result, NotFound)
            elif caller.owner_id is not None:
                assert isinstance(result, Forbidden)
            else:
                assert audit.entries


async def test_an_account_that_cannot_be_accessed_is_like_one_that_does_not_exist(opened: Opened) -> None:
    messages = []
    for account_id in (SIBLING, "9" * 32):
        with pytest.raises(NotFound) as refused:
            await opened.secrets.rotate_delivery_secret(ADMIN, account_id)
        messages.append(str(refused.value).replace(account_id, "X"))
    assert len(set(messages)) == 1
