"""Fixtures: an account in a store, and everything that authenticates a request."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.identity import Credentials, Identity, Tokens
from adapters.metadata.sqlite import SqliteStore
from graph.server.system_clock import SystemClock
from recordings.model.account import Account
from recordings.use_cases.accounts import ManageAccounts
from tests.support.memory_audit import MemoryAudit

KEY = bytes(range(32))


class Seconds:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def administration(store: SqliteStore) -> ManageAccounts:
    return ManageAccounts(store, SystemClock(), MemoryAudit())


@pytest.fixture
async def account(administration: ManageAccounts) -> Account:
    return await administration.create_account("Acme")


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEY, SystemClock())


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def identity(store: SqliteStore, tokens: Tokens, seconds: Seconds) -> Identity:
    return Identity(store, tokens, Credentials(store, seconds))
