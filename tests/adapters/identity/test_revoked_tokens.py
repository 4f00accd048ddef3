"""Ending a token of ours before its time: at once here, within seconds elsewhere, and nobody else's by it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.identity import Credentials, Identity, Revocations, Tokens
from adapters.identity import revoked_tokens as revocations
from adapters.identity.hashed_credentials import TTL
from adapters.identity.tokens import LEEWAY
from adapters.metadata.sqlite import SqliteStore
from graph.server.system_clock import SystemClock
from recordings.model.account import Account, Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.use_cases.accounts import ManageAccounts
from tests.adapters.identity.conftest import Seconds


class Store(SqliteStore):
    """Counts what it is asked, and can be held up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked, self.until = 0, 0
        self.looking = asyncio.Event()
        self.hold: asyncio.Event | None = None

    async def revoke_token(self, token_id: str, until: Millis) -> None:
        self.until = until
        await super().revoke_token(token_id, until)

    async def is_token_revoked(self, token_id: str) -> bool:
        self.asked += 1
        found = await super().is_token_revoked(token_id)
        self.looking.set()
        if self.hold is not None:
            await self.hold.wait()
        return found


@pytest.fixture
async def asked_store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path / "asked")
    await made.open()
    yield made
    await made.close()


def process(store: SqliteStore, tokens: Tokens, seconds: Seconds) -> Identity:
    """What each process has for itself."""
    return Identity(store, tokens, Credentials(store, seconds), revocations=Revocations(store, seconds))


async def holds(identity: Identity, token: str) -> bool:
    try:
        await identity.authenticate_token(token)
    except Unauthenticated:
        return False
    return True


@pytest.fixture
def token(tokens: Tokens, account: Account) -> str:
    return tokens.issue(Principal(account.id, frozenset({Scope.READ})))


async def test_it_is_over_here_at_once_and_elsewhere_in_seconds(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, token: str
) -> None:
    here, elsewhere = (process(store, tokens, seconds) for _ in range(2))
    assert await holds(here, token)
    assert await holds(elsewhere, token)
    assert await here.end_token(token)
    assert not await holds(here, token)
    assert not await holds(process(store, tokens, seconds), token)
    assert TTL <= 5
    seconds.now += TTL
    assert not await holds(elsewhere, token)
    # Once more is fine, and it stays over.
    assert await here.end_token(token)
    seconds.now += 10 * TTL
    assert not await holds(here, token)


async def test_another_token_of_the_same_principal_holds(
    store: SqliteStore, tokens: Tokens, seconds: Seconds, account: Account, token: str
) -> None:
    here = process(store, tokens, seconds)
    other = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    await here.end_token(token)
    assert await holds(here, other)


async def test_what_is_no_token_of_ours_is_not_ended(
    store: SqliteStore, administration: ManageAccounts, tokens: Tokens, seconds: Seconds, account: Account, token: str
) -> None:
    here = process(store, tokens, seconds)
    made = await administration.create_key(account.id, None, frozenset({Scope.READ}))
    forged = Tokens(bytes(32), SystemClock()).issue(Principal(account.id, frozenset({Scope.READ})))
    over = tokens.issue(Principal(account.id, frozenset({Scope.READ})), -60)
    signature = token.rpartition(".")[2]
    touched = token.removesuffix(signature) + signature[::-1]
    for each in (made.secret, forged, over, touched, "", "x", "a.b.c", "." * 100_000):
        assert not await here.end_token(each)
    assert await holds(here, made.secret)
    assert await holds(here, token)


async def test_the_store_is_asked_once_in_a_while_and_only_of_tokens_of_ours(
    asked_store: Store, seconds: Seconds, tokens: Tokens
) -> None:
    account = await ManageAccounts(asked_store, SystemClock()).create_account("Acme")
    here = process(asked_store, tokens, seconds)
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    for _ in range(10):
        assert await holds(here, token)
    assert asked_store.asked == 1
    for number in range(10):
        assert not await holds(
            here, Tokens(bytes([number]) * 32, SystemClock()).issue(Principal(account.id, frozenset({Scope.READ})))
        )
    assert asked_store.asked == 1
    seconds.now += TTL
    assert await holds(here, token)
    assert asked_store.asked == 2


async def test_a_look_that_was_under_way_does_not_bring_it_back(
    asked_store: Store, seconds: Seconds, tokens: Tokens
) -> None:
    account = await ManageAccounts(asked_store, SystemClock()).create_account("Acme")
    here = process(asked_store, tokens, seconds)
    token = tokens.issue(Principal(account.id, frozenset({Scope.READ})))
    asked_store.hold = asyncio.Event()
    looking = asyncio.create_task(holds(here, token))
    await asked_store.looking.wait()
    await here.end_token(token)
    asked_store.hold.set()
    assert not await looking
    assert not await holds(here, token)


async def test_what_is_remembered_is_bounded(
    store: SqliteStore, tokens: Tokens, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "_KEPT", 3)
    known = Revocations(store)
    read = [tokens.read(tokens.issue(Principal(account.id, frozenset({Scope.READ})))) for _ in range(9)]
    for each in read:
        await known.end(each)
    assert len(known._known) == 3
    assert [await known.ended(each) for each in read] == [True] * 9


async def test_an_end_outlasts_its_token(asked_store: Store, tokens: Tokens, account: Account) -> None:
    read = tokens.read(tokens.issue(Principal(account.id, frozenset({Scope.READ}))))
    await Revocations(asked_store).end(read)
    # And not for ever: a store forgets it then.
    assert read.until + LEEWAY * SECOND < asked_store.until <= read.until + HOUR
