"""The query plans of the lists of accounts, users and calls: an index range without a sort."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pymongo import MongoClient

from adapters.metadata.mongodb.indexes import ACCOUNTS, CALLS, USERS
from adapters.metadata.mongodb.keyset import bounds, order
from adapters.metadata.sqlite import account_tables, user_table
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.account import Account
from recordings.model.query import PageRequest, Position
from recordings.model.user import Method
from recordings.ports.recording_store import MetadataStore
from tests.contract.metadata.samples import NOW

REQUESTS = [
    PageRequest(limit=5, after=after, before=before, backward=backward)
    for backward in (False, True)
    for after in (None, Position(NOW + 20, "x"))
    for before in (None, Position(NOW + 60, "x"))
]


class Explaining:
    """A connection that returns no rows and keeps the plan of the last statement."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.plan: list[str] = []

    def execute(self, statement: str, values: Any) -> Any:
        with sqlite3.connect(self._path) as connection:
            self.plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        connection.close()
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def fetchone(self) -> None:
        return None


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_sqlite_reads_index_ranges(store: MetadataStore, tmp_path: Path) -> None:
    explaining = Explaining(tmp_path / FILE)
    connection = cast("sqlite3.Connection", explaining)
    for request in REQUESTS:
        account_tables.children(connection, "root", request)
        (step,) = explaining.plan
        assert step.startswith("SEARCH accounts USING INDEX accounts_of_parent (parent_id=?")
        assert ("(created,id)" in step) is (request.after is not None or request.before is not None)
    account_tables.accounts_below(connection, "root", 5)
    assert not [step for step in explaining.plan if step.startswith("SCAN accounts")]
    user_table.user_by_hash(connection, "root", Method.SHA, "x")
    assert explaining.plan == ["SEARCH users USING INDEX users_of_sha (account_id=? AND sha=?)"]


@pytest.mark.parametrize("kind", ["pymongo"])
async def test_mongodb_reads_index_ranges(
    store: MetadataStore, mongodb_client: MongoClient[Any], mongodb_database: str
) -> None:
    database = mongodb_client[mongodb_database]
    for number in range(100):
        await store.add_account(Account(f"{number:03}", "x", NOW + number, ("root",) if number % 2 else ("other",)))

    def explained(collection: str, selector: Any, sort: Any = ()) -> dict[str, Any]:
        command = {"find": collection, "filter": selector, "sort": dict(sort), "limit": 5}
        answer = database.command({"explain": command, "verbosity": "executionStats"})
        return {**answer["executionStats"], "stages": list(stages(answer["queryPlanner"]["winningPlan"]))}

    for request in REQUESTS:
        selector = {"parent_id": "root", **bounds(request, "created")}
        plan = explained(ACCOUNTS, selector, order(request, "created"))
        assert not {"SORT", "COLLSCAN"} & set(plan["stages"])
        assert plan["totalKeysExamined"] <= 8
    for collection, selector in (
        (ACCOUNTS, {"tree": "root"}),
        (USERS, {"account_id": "root", "passwords.sha": "x"}),
        (CALLS, {"account_id": "root", "node": {"$in": ["a"]}}),
    ):
        assert "IXSCAN" in explained(collection, selector)["stages"]


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    for inner in (*plan.get("inputStages", ()), *([plan["inputStage"]] if "inputStage" in plan else ())):
        yield from stages(inner)
