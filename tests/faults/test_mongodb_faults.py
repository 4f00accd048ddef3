"""Errors of MongoDB: temporary errors, writes that are not confirmed, and indexes of others."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.indexes import RECORDINGS, IndexConflictError
from adapters.spool import FolderSpool
from recordings.model.account import Account, Principal, Scope
from recordings.model.call import Call
from recordings.model.query import Query
from recordings.model.recording import Reason, State
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.ingest import Ingest
from recordings.use_cases.upkeep import Upkeep
from tests.contract.metadata.samples import recording, unique
from tests.faults.real_node import NODE, IdleRecorder, ListReporter
from tests.servers.mongod import Mongod
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit

Client = MongoClient[dict[str, Any]]
ACCOUNT = "a" * 32
MAY_PASS = {
    6: "host unreachable", 24: "lock timeout", 50: "too slow", 64: "not confirmed", 91: "shutdown", 112: "conflict",
    189: "stepped down", 262: "too slow", 365: "temporarily unavailable", 371: "writes blocked", 462: "throttled",
    8000: "Atlas", 10107: "no primary", 11600: "shutdown", 11601: "interrupted", 11602: "interrupted",
    13435: "no primary", 14031: "disk full", 16500: "request rate",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server for this module only, because it has fail points."""
    with Mongod(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture
def client(server: Mongod) -> Iterator[Client]:
    with MongoClient[dict[str, Any]](server.uri) as client:
        yield client
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.fixture
async def store(server: Mongod, client: Client) -> AsyncIterator[MongoStore]:
    made = MongoStore(server.uri, unique("faults"))
    await made.open()
    await made.add_account(Account(id=ACCOUNT, name="x", created=0))
    yield made
    await made.close()


def fail(client: Client, command: str, **how: Any) -> None:
    """Make the server fail all commands of a kind."""
    data = {"failCommands": [command], **how}
    client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})


@pytest.mark.parametrize("code", MAY_PASS, ids=lambda code: f"{code} {MAY_PASS[code]}")
@pytest.mark.parametrize("command", ["insert", "update", "find"])
async def test_an_error_that_may_pass_is_unavailable(
    store: MongoStore, client: Client, command: str, code: int
) -> None:
    fail(client, command, errorCode=code)
    given = recording()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "insert": lambda: store.insert(given),
        "update": lambda: store.release_leases("node", 1),
        "find": lambda: store.load(given.id),
    }
    with pytest.raises(StoreUnavailableError):
        await calls[command]()


@pytest.mark.parametrize("code", [2, 9, 13, 18, 59, 73, 121, 10334])
async def test_an_error_that_does_not_pass_is_an_error_of_its_own(store: MongoStore, client: Client, code: int) -> None:
    fail(client, "insert", errorCode=code)
    with pytest.raises(OperationFailure):
        await store.insert(recording())


@pytest.mark.parametrize("code", [371, 14031, 10107, 13])
async def test_a_server_that_takes_no_writes_is_not_ready(store: MongoStore, client: Client, code: int) -> None:
    await store.ping()
    fail(client, "update", errorCode=code)
    assert await store.load("none") is None
    with pytest.raises(PyMongoError):
        await store.ping()


class Installation:
    """The parts that receive an upload."""

    def __init__(self, store: MongoStore, folder: Any) -> None:
        parts: Any = {"store": store, "clock": FakeClock(), "node": NODE}
        cleaner: Any = Cleaner()
        cleaner.spool = spool = FolderSpool(folder)
        recorder: Any = IdleRecorder()
        reporter: Any = ListReporter()
        courier: Any = None
        self.upkeep = Upkeep(finalizer=cleaner, recorder=recorder, courier=courier, reporter=reporter, **parts)
        audit: Any = MemoryAudit()
        self.ingest = Ingest(spool=spool, audit=audit, wake=lambda: None, undo_later=self.upkeep.undo_later, **parts)

    async def open(self) -> str:
        principal = Principal(ACCOUNT, frozenset({Scope.INGEST}), None, "switch")
        call = Call(account_id=ACCOUNT, call_id="call", started=1)
        opened = await self.ingest.open(principal, call, name="x.mp3", extension="mp3", source_key="kazoo/1")
        return opened.id


class Cleaner:
    """A finalizer that has nothing to delete."""

    spool: FolderSpool

    def __getattr__(self, _name: str) -> Any:
        return None

    async def clear(self, _recording: Any) -> None:
        return


CONCERN = {"code": 64, "errmsg": "waiting for replication timed out"}


async def test_an_upload_whose_insert_is_not_confirmed_leaves_no_recording(
    store: MongoStore, client: Client, tmp_path: Any
) -> None:
    installation = Installation(store, tmp_path)
    fail(client, "insert", writeConcernError=CONCERN)
    with pytest.raises(StoreUnavailableError):
        await installation.open()
    client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    retried = await installation.open()
    await installation.upkeep.claim(8)
    rows = await store.scan("", 10)
    assert [(row["id"], row["state"]) for row in rows] == [(retried, State.RECORDING)]
    assert (await store.count(Query(account_id=ACCOUNT))).number == 1


async def test_an_upload_whose_second_attempt_is_not_confirmed_is_incomplete_again(
    store: MongoStore, client: Client, tmp_path: Any
) -> None:
    installation = Installation(store, tmp_path)
    first = await installation.open()
    await installation.ingest.break_off(first, "the sender stopped")
    fail(client, "update", writeConcernError=CONCERN)
    with pytest.raises(StoreUnavailableError):
        await installation.open()
    client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    await installation.upkeep.claim(8)
    found = await store.load(first)
    assert found is not None
    assert (found.state, found.reason) == (State.FAILED, Reason.INCOMPLETE)
    assert await installation.open() == first
    await installation.upkeep.claim(8)
    reopened = await store.load(first)
    assert reopened is not None
    assert reopened.state is State.RECORDING


@pytest.mark.parametrize(
    ("name", "keys", "options"),
    [
        ("by_start_of_somebody", [("account_id", 1), ("shelf", 1), ("start", 1), ("_id", 1)], {}),
        ("by_start", [("account_id", 1), ("start", 1)], {}),
        ("of_active_call", [("account_id", 1), ("active_call", 1)], {}),
    ],
)
async def test_an_index_of_another_administrator_is_named(
    server: Mongod, client: Client, name: str, keys: Any, options: Any
) -> None:
    database = unique("indexes")
    client[database][RECORDINGS].create_index(keys, name=name, **options)
    made = MongoStore(server.uri, database)
    with pytest.raises(IndexConflictError, match=rf'dropIndex\("{name}"\)'):
        await made.open()
    client[database][RECORDINGS].drop_index(name)
    await made.open()
    await made.close()
