"""Behaviour of the MongoDB store only: write guarantees, timeouts, documents and migrations."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from adapters.metadata.mongodb import Driver, DriverMissingError, MongoStore, WrongUriError
from adapters.metadata.mongodb.account_slots import AccountSlots
from adapters.metadata.mongodb.driver import DEFAULTS, _options
from adapters.metadata.mongodb.indexes import (
    ACCOUNTS,
    INDEXES,
    META,
    MIGRATIONS,
    RECORDINGS,
    REVOKED_TOKENS,
    SchemaTooNewError,
)
from recordings.model.account import Account
from recordings.model.call import Call
from recordings.model.errors import TooManyQueries
from recordings.model.query import HasMetadata, PageRequest, Query
from recordings.model.recording import ROW_FIELDS, State
from recordings.model.work import Work
from recordings.ports.recording_store import Claim, StoreUnavailableError
from tests.contract.metadata.samples import NOW, full, loaded, put_copies, put_older, recording, unique
from tests.contract.metadata.test_claims import claim, of_account
from tests.servers.fixtures import new_database_name
from tests.servers.mongod import Mongod

Client = MongoClient[dict[str, Any]]


@pytest.fixture
def mongodb_database(mongodb_client: Client) -> Iterator[str]:
    """Return the name of a new database: the tests of this module examine and change indexes."""
    name = new_database_name()
    yield name
    mongodb_client.drop_database(name)


@pytest.fixture(params=list(Driver))
async def store(request: pytest.FixtureRequest, mongodb_uri: str, mongodb_database: str) -> AsyncIterator[MongoStore]:
    made = MongoStore(mongodb_uri, mongodb_database, driver=request.param)
    await made.open()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def failing_server(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server for this module only: on the shared server, tests would reset each other's fail points."""
    with Mongod(tmp_path_factory.mktemp("failing")) as server:
        yield server


@pytest.fixture(params=list(Driver))
async def failing(request: pytest.FixtureRequest, failing_server: Mongod) -> AsyncIterator[tuple[MongoStore, Client]]:
    """A store on the failing server, and a client that sets its fail points."""
    made = MongoStore(failing_server.uri, unique("failing"), driver=request.param)
    await made.open()
    with MongoClient[dict[str, Any]](failing_server.uri) as client:
        yield made, client
    await made.close()


def fail(client: Client, command: str, times: int, **how: Any) -> None:
    """Make the server fail the next commands of a kind."""
    data = {"failCommands": [command], **how}
    client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": times}, "data": data})


async def test_the_fields_of_a_document(store: MongoStore, mongodb_client: Client, mongodb_database: str) -> None:
    given = full()
    await store.insert(given)
    document = mongodb_client[mongodb_database][RECORDINGS].find_one() or {}
    assert set(document) == {"_id", "changed", "facets", "metadata_terms", "ticked", "work", *ROW_FIELDS} - {"id"}
    assert document["_id"] == given.id
    assert json.loads(document["user_metadata"]) == given.user_metadata
    assert document["media"]["length"] == 2**33
    await store.insert(recording(id="plain"))
    assert set(mongodb_client[mongodb_database][RECORDINGS].find_one({"_id": "plain"}) or {}) == set(document) - {
        "metadata_terms"
    }


async def test_the_next_save_removes_the_mark_of_a_claim(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    await store.insert(recording(due_at=NOW))
    wanted = Claim(now=NOW, until=NOW + 1, holder="me", node="n", limit=1, overdue_before=NOW)
    (claimed,) = await store.claim_due(wanted)
    assert set((await store.rows([claimed.id]))[claimed.id]) == set(ROW_FIELDS)
    assert await store.save(replace(claimed, due_at=None, revision=claimed.revision + 1), claimed.revision)
    assert "claim" not in (mongodb_client[mongodb_database][RECORDINGS].find_one() or {})


async def test_a_weaker_write_concern_in_the_uri_is_ignored(mongodb_uri: str, mongodb_database: str) -> None:
    made = MongoStore(f"{mongodb_uri}&w=0&journal=false&readPreference=secondary", mongodb_database)
    database = made._connection.database
    assert database.write_concern.document == {"w": "majority", "j": True}
    assert database.read_preference.name == "Primary"
    await made.close()


def test_client_options_of_the_uri_are_respected() -> None:
    options = _options("mongodb://h/?appName=x&SERVERSELECTIONTIMEOUTMS=7&ssl=true")
    assert set(DEFAULTS) - set(options) == {"serverSelectionTimeoutMS", "appname"}


async def test_calls_fail_fast_if_the_server_is_unreachable() -> None:
    made = MongoStore("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200")
    try:
        # PyMongo's own default is 30 seconds for each call.
        async with asyncio.timeout(25):
            with pytest.raises(PyMongoError):
                await made.open()
            with pytest.raises(PyMongoError):
                await made.ping()
            for call in (lambda: made.account("x"), lambda: made.load("x"), lambda: made.users("x")):
                with pytest.raises(StoreUnavailableError):
                    await call()
    finally:
        await made.close()


async def test_the_error_names_motor_if_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "motor"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "motor", None)
    with pytest.raises(DriverMissingError, match="install the extra 'motor'"):
        MongoStore("mongodb://127.0.0.1:1", driver="motor")
    with pytest.raises(ValueError, match="'odbc'"):
        MongoStore("mongodb://127.0.0.1:1", driver="odbc")


@pytest.mark.parametrize("how", [{"closeConnection": True}, {"errorCode": 6, "errorLabels": ["RetryableWriteError"]}])
async def test_a_write_with_a_lost_connection_is_done_once(
    failing: tuple[MongoStore, Client], how: dict[str, Any]
) -> None:
    store, client = failing
    fail(client, "insert", 1, **how)
    given = recording()
    await store.insert(given)
    fail(client, "update", 1, **how)
    assert await store.save(replace(given, revision=1), 0)
    assert (await store.count(Query(account_id="account"))).number == 1


async def test_a_write_without_a_majority_raises_store_unavailable(failing: tuple[MongoStore, Client]) -> None:
    store, client = failing
    concern = {"code": 64, "errmsg": "waiting for replication timed out"}
    given = recording()
    fail(client, "insert", 1, writeConcernError=concern)
    with pytest.raises(StoreUnavailableError, match="replication"):
        await store.insert(given)
    assert await store.load(given.id) == given
    fail(client, "update", 1, writeConcernError=concern)
    with pytest.raises(StoreUnavailableError, match="replication"):
        await store.add_calls("node", [Call(account_id="a", call_id="c", started=1)], 60_000)


@pytest.mark.parametrize(("command", "how"), [
    ("update", {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}}),
    ("find", {"errorCode": 50}),
])  # fmt: skip
async def test_a_claim_with_a_lost_response_is_returned_by_the_next_claim(
    failing: tuple[MongoStore, Client], command: str, how: dict[str, Any]
) -> None:
    store, client = failing
    given = recording(due_at=NOW)
    await store.insert(given)
    wanted = Claim(now=NOW, until=NOW + 9, holder="me", node="n", limit=4, overdue_before=NOW)
    # The two searches for due recordings succeed; the third `find` fails.
    client.admin.command({
        "configureFailPoint": "failCommand",
        "mode": {"skip": 2} if command == "find" else {"times": 1},
        "data": {"failCommands": [command], **how},
    })  # fmt: skip
    with pytest.raises(StoreUnavailableError):
        await store.claim_due(wanted)
    client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
    (claimed,) = await store.claim_due(wanted)
    assert (claimed.id, claimed.revision, claimed.due_at) == (given.id, 1, NOW + 9)
    assert await store.claim_due(wanted) == []


async def test_a_claim_with_a_lost_response_expires_with_its_lease(failing: tuple[MongoStore, Client]) -> None:
    store, client = failing
    await store.insert(recording(due_at=NOW))
    wanted = Claim(now=NOW, until=NOW + 9, holder="me", node="n", limit=4, overdue_before=NOW)
    fail(client, "update", 1, writeConcernError={"code": 64, "errmsg": "waiting for replication timed out"})
    with pytest.raises(StoreUnavailableError):
        await store.claim_due(wanted)
    (claimed,) = await store.claim_due(replace(wanted, now=NOW + 9, until=NOW + 20))
    assert (claimed.revision, claimed.due_at) == (2, NOW + 20)


async def test_a_write_interrupted_by_a_step_down_raises_store_unavailable(failing: tuple[MongoStore, Client]) -> None:
    store, client = failing
    # The driver retries once, and the retry is interrupted, too.
    fail(client, "insert", 2, writeConcernError={"code": 11602, "errmsg": "operation was interrupted"})
    with pytest.raises(StoreUnavailableError, match="interrupted"):
        await store.insert(recording())
    client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_a_timeout_raises_store_unavailable(failing: tuple[MongoStore, Client]) -> None:
    store, client = failing
    fail(client, "count", 1, errorCode=50)
    with pytest.raises(StoreUnavailableError) as unavailable:
        await store.count(Query(account_id="account"))
    assert isinstance(unavailable.value.__cause__, PyMongoError)


async def test_other_errors_are_not_translated(failing: tuple[MongoStore, Client]) -> None:
    store, client = failing
    fail(client, "find", 1, errorCode=13)
    with pytest.raises(OperationFailure):
        await store.account("x")


async def test_the_indexes_are_the_same_after_opening_again(
    store: MongoStore, mongodb_client: Client, mongodb_uri: str, mongodb_database: str
) -> None:
    database = mongodb_client[mongodb_database]
    before = database[RECORDINGS].index_information()
    again = MongoStore(mongodb_uri, mongodb_database)
    await again.open()
    await again.close()
    assert database[RECORDINGS].index_information() == before
    assert set(before) == {"_id_", *(index.document["name"] for index in INDEXES[RECORDINGS])}
    assert database[META].find_one() == {"_id": "schema", "version": len(MIGRATIONS) + 1}


async def test_documents_are_migrated_once_opened(
    store: MongoStore, mongodb_uri: str, mongodb_database: str, mongodb_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def relabel(database: Any) -> None:
        await database[RECORDINGS].update_many({"label": None}, {"$set": {"label": "migrated"}})

    given = recording()
    await store.insert(given)
    monkeypatch.setattr("adapters.metadata.mongodb.indexes.MIGRATIONS", (*MIGRATIONS, relabel))
    for _ in range(2):
        again = MongoStore(mongodb_uri, mongodb_database)
        await again.open()
        assert await again.load(given.id) == replace(given, label="migrated")
        await again.close()
    version = len(MIGRATIONS) + 2
    assert mongodb_client[mongodb_database][META].find_one() == {"_id": "schema", "version": version}


async def test_accounts_of_version_5_get_their_parent(
    store: MongoStore, mongodb_client: Client, mongodb_uri: str, mongodb_database: str
) -> None:
    accounts = [Account("a", "x", 1), Account("b", "x", 2, ("a",)), Account("c", "x", 3, ("a", "b"))]
    for account in accounts:
        await store.add_account(account)
    database = mongodb_client[mongodb_database]
    database[ACCOUNTS].update_many({}, {"$unset": {"parent_id": 1}})
    database[META].update_one({"_id": "schema"}, {"$set": {"version": 5}})
    again = MongoStore(mongodb_uri, mongodb_database)
    await again.open()
    children = [await again.children(account.id, PageRequest(limit=9)) for account in accounts]
    assert children == [accounts[1:2], accounts[2:], []]
    await again.close()


async def test_documents_of_version_7_get_the_terms_of_their_metadata(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    one, two = recording(user_metadata={"case": 7}), recording(id="two")
    await store.insert(one)
    await store.insert(two)
    database = mongodb_client[mongodb_database]
    for _ in range(2):
        database[RECORDINGS].update_many({}, {"$unset": {"metadata_terms": ""}})
        database[META].update_one({}, {"$set": {"version": 7}})
        await store.open()
        query = Query(account_id=one.account_id, where=HasMetadata("case", 7))
        assert [row["id"] for row in (await store.page(query, PageRequest(limit=9))).rows] == [one.id]


async def test_documents_of_version_1_get_their_end_time(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    expected = await put_older(store)
    database = mongodb_client[mongodb_database]
    database[RECORDINGS].update_many({}, {"$unset": {"ended": ""}})
    database[META].update_one({}, {"$set": {"version": 1}})
    await store.open()
    assert {name: (await loaded(store, name)).ended for name in expected} == expected


async def test_one_of_the_copies_of_version_2_holds_its_file(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    expected = await put_copies(store)
    database = mongodb_client[mongodb_database]
    database[RECORDINGS].update_many({}, {"$unset": {"held_source": ""}})
    for _ in range(2):
        database[META].update_one({}, {"$set": {"version": 2}})
        await store.open()
        assert {name: (await loaded(store, name)).held_source for name in expected} == expected


async def test_documents_of_version_3_are_changes_of_their_last_revision(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    given = recording(modified=4_000_000_000_000)
    await store.insert(given)
    database = mongodb_client[mongodb_database]
    database[RECORDINGS].update_many({}, {"$unset": {"changed": "", "ticked": ""}})
    database[META].update_one({}, {"$set": {"version": 3}})
    await store.open()
    assert (await store.rows([given.id], frozenset({"changed"})))[given.id]["changed"] == given.modified


def go_back(database: Any, migration: str) -> None:
    """Give a database the form before a migration, so that the next `open` runs it and all later ones."""
    version = [step.__name__ for step in MIGRATIONS].index(migration) + 1
    database[META].update_one({"version": {"$exists": True}}, {"$set": {"version": version}})


async def test_tombstones_of_earlier_releases_lose_names_and_texts(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    given = recording(state=State.PURGED, trashed_by="Ada", trashed_reason="Ada asked", call_id="+4930", cdr_id="c")
    await store.insert(given)
    go_back(mongodb_client[mongodb_database], "_bare_tombstones")
    await store.open()
    bare = replace(given, trashed_by=None, trashed_reason=None, call_id="", cdr_id=None, interaction_id=None)
    assert await store.load(given.id) == replace(bare, source_sha256=None)


@pytest.mark.parametrize("work", Work)
async def test_due_work_of_earlier_releases_is_claimed_by_its_kind(
    store: MongoStore, mongodb_client: Client, mongodb_database: str, work: Work
) -> None:
    due = of_account("a", work)
    await store.insert(due)
    database = mongodb_client[mongodb_database]
    database[RECORDINGS].update_one({}, {"$unset": {"work": ""}})
    go_back(database, "_set_work")
    await store.open()
    assert [each.id for each in await claim(store, work=work)] == [due.id]


async def test_an_upload_to_a_server_of_an_earlier_release_is_finalized(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    due = of_account("a", Work.FINALIZE)
    await store.insert(due)
    mongodb_client[mongodb_database][RECORDINGS].update_one({}, {"$unset": {"work": ""}})
    assert [each.id for each in await claim(store, work=Work.FINALIZE)] == [due.id]


async def test_a_field_missing_in_older_documents_is_null(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    given = recording(ended=None)
    await store.insert(given)
    mongodb_client[mongodb_database][RECORDINGS].update_one({}, {"$unset": {"trashed_reason": "", "ended": ""}})
    assert await store.load(given.id) == given
    assert await store.rows([given.id], frozenset({"id", "trashed_reason", "ended"})) == {
        given.id: {"id": given.id, "trashed_reason": None, "ended": None}
    }


async def test_a_database_of_a_later_release_is_rejected(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    mongodb_client[mongodb_database][META].update_one({}, {"$set": {"version": 1_000}})
    with pytest.raises(SchemaTooNewError, match="schema 1000"):
        await store.open()


async def test_the_server_deletes_expired_revoked_tokens(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    database = mongodb_client[mongodb_database]
    assert database[REVOKED_TOKENS].index_information()["by_until"]["expireAfterSeconds"] == 0
    # Far in the future, because the server may delete expired documents at any moment.
    for until in (5_000_000_000_123, 5_000_000_000_456, 5_000_000_000_000):
        await store.revoke_token("t1", until)
    # It must be a date: the TTL index ignores all other types.
    expected = datetime.fromtimestamp(5_000_000_000, UTC).replace(microsecond=456_000, tzinfo=None)
    assert database[REVOKED_TOKENS].find_one() == {"_id": "t1", "until": expected}


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize(
    ("uri", "database", "text"),
    [
        ("mongodb://ada:hunter%zz@db", "x", "escaped"),
        ("mongodb://ada:hunter2/3@db/x", "x", "percent-encoded"),
        ("mongodb://db:port", "x", "Port"),
        ("mongodb://db/a b", "a b", "database name"),
        ("mongodb://db", "a.b", "cannot contain"),
        ("mongodb://db/?tls=perhaps", "x", "'true' or 'false'"),
        ("mongodb://db/?replicaset", "x", "key=value"),
        ("mongodb://db/?nosuch=1", "x", "Unknown option"),
        ("mongodb://db/?tlsCAFile=/no/such.pem", "x", "/no/such.pem"),
    ],
)
async def test_an_unusable_uri_is_rejected_without_a_connection(
    driver: Driver, uri: str, database: str, text: str
) -> None:
    with pytest.raises(WrongUriError) as wrong:
        MongoStore(uri, database, driver)
    assert text in str(wrong.value)
    assert "hunter" not in str(wrong.value)


async def test_damaged_documents_do_not_stop_claims(
    store: MongoStore, mongodb_client: Client, mongodb_database: str
) -> None:
    rows = [recording(state=State.FINALIZING, node=None, due_at=number) for number in range(3)]
    for row in rows:
        await store.insert(row)
    collection = mongodb_client[mongodb_database][RECORDINGS]
    collection.update_one({"_id": rows[0].id}, {"$set": {"state": "UNKNOWN"}})
    collection.update_one({"_id": rows[1].id}, {"$unset": {"options": 1}})
    claim = Claim(now=10, until=20, holder="n", node="n", limit=8, overdue_before=0)
    assert [each.id for each in await store.claim_due(claim)] == [rows[2].id]
    assert await store.claim_due(claim) == []


async def test_a_slow_query_that_gets_no_turn_fails() -> None:
    checks: list[Exception] = []

    async def check() -> None:
        if checks:
            raise checks.pop()

    slots = AccountSlots(1, check, seconds=0.0)
    async with slots.slot("large"):
        with pytest.raises(TooManyQueries, match="too many slow queries"):
            async with slots.slot("large"):
                pass
        # The query that has the slot waits for a store that does not answer.
        checks.append(StoreUnavailableError("frozen"))
        with pytest.raises(StoreUnavailableError):
            async with slots.slot("large"):
                pass
        async with slots.slot("small"):
            pass
    async with slots.slot("large"):
        pass
    assert not slots._users
