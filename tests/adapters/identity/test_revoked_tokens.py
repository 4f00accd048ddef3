"""Revocation of a token: immediate in this process, within seconds in others, and of no other token."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.identity import Credentials, Identity, Revocations, Tokens
from adapters.identity import revoked_tokens as revocations
from adapters.identity.tokens import LEEWAY
from adapters.metadata.sqlite import SqliteStore
from graph.server.system_clock import SystemClock
from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.use_cases.access_control import TTL
from recordings.use_cases.accounts import ManageAccounts
from tests.adapters.identity.conftest import Seconds
from tests.support.memory_audit import MemoryAudit


class CountingStore(SqliteStore):
    """A store that counts its queries, and can delay them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.queries, self.until = 0, 0
        self.looking = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        self.until = until
        await super().revoke_token(token_id, until)

    async def is_token_revoked(self, token_id: str) -> bool:
        self.queries += 1
        found = await super().is_token_revoked(token_id)
        self.looking.set()
        if self.hold is not None:
            await self.hold.wait()
        return found


@pytest.fixture
async def counting_store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    made = CountingStore(tmp_path / "counting")
    await made.open()
    yield made
    await made.close()


def process(store: SqliteStore, tokens: Tokens, seconds: Seconds) -> Identity:
    """The authentication of one process."""
    return Identity(store, tokens, Credentials(store, seconds), revocations=Revocations(store, seconds))


async def is_valid(identity: Identity, token: str) -> bool:
    try:
        await identity.authenticate_token(token)
    except Unauthenticated:
        return False
    return True


@pytest.fixture
def token(tokens: Tokens, account: Account) -> str:
    return tokens.issue(Principal(account.id, frozenset({Scope.READ})))


async def test_a_revoked_token_is_rejected_here_at_once_and_elsewhere_within_seconds(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, token: str
) -> None:
    here, elsewhere = (process(store, tokens, seconds) for _ in range(2))
    assert await is_valid(here, token)
    assert await is_valid(elsewhere, token)
    assert await here.end_token(token)
    assert not await is_valid(here, token)
    assert not await is_valid(process(store, tokens, seconds), token)
    assert TTL <= 5
    seconds.now += TTL
    assert not await is_valid(elsewhere, token)
    # A second revocation succeeds, and the token stays revoked.
    assert await here.end_token(token)
    seconds.now += 10 * TTL
    assert not await is_valid(here, token)


async def test_another_token_of_the_same_principal_stays_valid(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, account: Account, token: str
) -> None:
    here = process(store, tokens, seconds)
    other = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    await here.end_token(token)
    assert await is_valid(here, other)


async def test_other_credentials_cannot_be_revoked_as_tokens(
    store: SqliteStore, administration: ManageAccounts, tokens: Tokens, seconds: Seconds, account: Account, token: str
) -> None:
    here = process(store, tokens, seconds)
    made = await administration.create_key(account.id, None, frozenset({Scope.READ}))
    forged = Tokens(bytes(32), SystemClock()).issue(Principal(account.id, frozenset({Scope.READ})))
    expired = tokens.issue(Principal(account.id, frozenset({Scope.READ})), -60)
    signature = token.rpartition(".")[2]
    modified = token.removesuffix(signature) + signature[::-1]
    for each in (made.secret, forged, expired, modified, "", "x", "a.b.c", "." * 100_000):
        assert not await here.end_token(each)
    assert await is_valid(here, made.secret)
    assert await is_valid(here, token)


async def test_the_store_is_queried_rarely_and_only_for_valid_signatures(
    counting_store: CountingStore, seconds: Seconds, tokens: Tokens
) -> None:
    account = await ManageAccounts(counting_store, SystemClock(), MemoryAudit()).create_account("Acme")
    here = process(counting_store, tokens, seconds)
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    for _ in range(10):
        assert await is_valid(here, token)
    assert counting_store.queries == 1
    for number in range(10):
        assert not await is_valid(
            here, Tokens(bytes([number]) * 32, SystemClock()).issue(Principal(account.id, frozenset({Scope.READ})))
        )
    assert counting_store.queries == 1
    seconds.now += TTL
    assert await is_valid(here, token)
    assert counting_store.queries == 2


async def test_a_concurrent_query_does_not_undo_a_revocation(
    counting_store: CountingStore, seconds: Seconds, tokens: Tokens
) -> None:
    account = await ManageAccounts(counting_store, SystemClock(), MemoryAudit()).create_account("Acme")
    here = process(counting_store, tokens, seconds)
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    counting_store.hold = asyncio.Event()
    looking = asyncio.create_task(is_valid(here, token))
    await counting_store.looking.wait()
    await here.end_token(token)
    counting_store.hold.set()
    assert not await looking
    assert not await is_valid(here, token)


async def test_the_revocation_cache_is_bounded(
    store: SqliteStore, tokens: Tokens, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "_MAX_CACHED", 3)
    known = Revocations(store)
    read = [tokens.verify(tokens.issue(Principal(account.id, frozenset({Scope.READ})))) for _ in range(9)]
    for each in read:
        await known.revoke(each)
    assert len(known._cache) == 3
    assert [await known.is_revoked(each) for each in read] == [True] * 9


async def test_a_revocation_outlives_its_token(counting_store: CountingStore, tokens: Tokens, account: Account) -> None:
    read = tokens.verify(tokens.issue(Principal(account.id, frozenset({Scope.READ}))))
    await Revocations(counting_store).revoke(read)
    # The store deletes a revocation after this time.
    assert read.expires + LEEWAY * SECOND < counting_store.until <= read.expires + HOUR
