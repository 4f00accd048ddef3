"""The query plans of the stores: index ranges without a sort, with equal cost for ten rows and for ten million."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from adapters.metadata.index_ranges import page_ranges, reads_descending
from adapters.metadata.mongodb import where as mongo_where
from adapters.metadata.mongodb.indexes import DUE, OVERDUE, RECORDINGS
from adapters.metadata.mongodb.recording_collection import due, overdue
from adapters.metadata.sqlite import recording_table as sqlite_recordings
from adapters.metadata.sqlite import where as sqlite_where
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.query import Condition, Equal, In, Order, OrderField, PageRequest, Position, Prefix, Query, Range
from recordings.model.recording import Recording, State
from recordings.ports.recording_store import Claim, MetadataStore
from tests.contract.metadata.samples import NOW, recording

MANY = 400


def numbered(number: int) -> Recording:
    return recording(
        start=NOW + number // 3,
        created=NOW + number // 3,
        ended=None if number % 5 == 0 else NOW + number // 3,
        duration_ms=None if number % 5 == 0 else number // 5,
        caller_id_number=None if number % 5 == 0 else f"+{number // 5:05d}",
        owner_id=f"o{number % 2}",
        interaction_id=f"i{number // 4}",
        due_at=NOW + number if number % 2 else None,
        node=None if number % 4 == 1 else "n1",
    )


def key_of(field: OrderField, number: int) -> str | int:
    if field is OrderField.CALLER:
        return f"+{number // 5:05d}"
    return number // 5 if field is OrderField.DURATION else NOW + number // 3


def requests(field: OrderField) -> Iterator[PageRequest]:
    deep, deeper = Position(key_of(field, 201), "x"), Position(key_of(field, 301), "x")
    for backward in (False, True):
        yield PageRequest(limit=10, backward=backward)
        yield PageRequest(limit=10, backward=backward, after=deep)
        yield PageRequest(limit=10, backward=backward, before=deep)
        yield PageRequest(limit=10, backward=backward, after=deep, before=deeper)
        if field.nullable:
            yield PageRequest(limit=10, backward=backward, after=Position(None, "x"))


def cases() -> Iterator[tuple[Query, PageRequest]]:
    for field, descending, owner in itertools.product(OrderField, (True, False), (None, "o1")):
        query = Query(account_id="account", owner_id=owner, order=Order(field, descending))
        yield from ((query, request) for request in requests(field))


@pytest.fixture
async def filled(store: MetadataStore) -> MetadataStore:
    await asyncio.gather(*(store.insert(numbered(number)) for number in range(MANY)))
    return store


class SqlitePlans:
    def __init__(self, path: Path) -> None:
        self._path = path

    def explain(self, statement: str, values: Any) -> list[str]:
        with sqlite3.connect(self._path) as connection:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        connection.close()
        return [row[3] for row in rows]


@pytest.mark.parametrize("kind", ["sqlite"])
class TestSqlite:
    def test_pages_are_ranges_without_a_sort(self, filled: MetadataStore, tmp_path: Path) -> None:
        plans = SqlitePlans(tmp_path / FILE)
        for query, request in cases():
            for scan in page_ranges(query, request):
                statement = sqlite_where.page(
                    query, scan, ["id", "media"], down=reads_descending(query, request), limit=11
                )
                (step,) = plans.explain(*statement)
                assert step.startswith("SEARCH recordings USING INDEX recordings_by_")
                bounded = scan.low is not None or scan.high is not None or query.order.field.nullable
                after_prefix = re.split(r"(?:account_id|owner_id|shelf)=\?", step)[-1]
                assert ("id" in after_prefix or "=?" in after_prefix) is bounded, step

    def test_a_filter_on_other_fields_does_not_change_the_range(self, filled: MetadataStore, tmp_path: Path) -> None:
        plans = SqlitePlans(tmp_path / FILE)
        conditions: tuple[Condition, ...] = (Equal("owner_id", "o1"), Range("created", 1, 2), Prefix("state", "S"))
        for condition in conditions:
            query = Query(account_id="account", where=condition)
            request = PageRequest(limit=10, after=Position(NOW, "x"))
            (scan,) = page_ranges(query, request)
            (step,) = plans.explain(*sqlite_where.page(query, scan, ["id"], down=True, limit=11))
            assert "recordings_by_start (account_id=? AND shelf=? AND (start,id)<(?,?))" in step

    @pytest.mark.parametrize("field", ["call_id", "interaction_id"])
    def test_few_rows_are_looked_up(self, filled: MetadataStore, tmp_path: Path, field: str) -> None:
        query = Query(account_id="account", owner_id="o1", where=Equal(field, "x"))
        (scan,) = page_ranges(query, PageRequest(limit=10))
        plan = SqlitePlans(tmp_path / FILE).explain(*sqlite_where.page(query, scan, ["id"], down=True, limit=11))
        assert plan[0] == f"SEARCH recordings USING INDEX recordings_of_{field} (account_id=? AND {field}=?)"
        few = Query(account_id="account", where=In(field, ("x", "y")))
        assert SqlitePlans(tmp_path / FILE).explain(*sqlite_where.count(few))[0] == plan[0]
        many = Query(account_id="account", where=In(field, tuple(map(str, range(17)))))
        assert "recordings_by_start" in SqlitePlans(tmp_path / FILE).explain(*sqlite_where.count(many))[0]

    @pytest.mark.parametrize("node", [None, "n1"])
    def test_due_work_is_a_range(self, filled: MetadataStore, tmp_path: Path, node: str | None) -> None:
        plan = SqlitePlans(tmp_path / FILE).explain(sqlite_recordings.DUE_FIRST, (node, NOW, 10))
        assert plan == ["SEARCH recordings USING COVERING INDEX recordings_due (node=? AND due_at<?)"]

    def test_overdue_work_and_leases_are_ranges(self, filled: MetadataStore, tmp_path: Path) -> None:
        plans = SqlitePlans(tmp_path / FILE)
        (overdue_first,) = plans.explain(sqlite_recordings.OVERDUE_FIRST, (NOW, 10))
        assert overdue_first == "SEARCH recordings USING INDEX recordings_stranded (due_at>? AND due_at<?)"
        release, *_clock = plans.explain(sqlite_recordings.RELEASE, (NOW, "a", "b"))
        assert release.startswith("SEARCH recordings USING INDEX recordings_leased (lease>? AND lease<?)")

    def test_look_ups_by_node_and_by_key_use_an_index(self, filled: MetadataStore, tmp_path: Path) -> None:
        plans = SqlitePlans(tmp_path / FILE)
        held = plans.explain(sqlite_recordings.HELD, ("n1", *[state.value for state in State][:5], 10))
        assert held[0] == "SEARCH recordings USING INDEX recordings_held (node=? AND state=?)"
        for field in ("start_key", "active_call", "source_key"):
            (step,) = plans.explain(sqlite_recordings.found_by(field), ("account", "x", 10))
            assert step.startswith(f"SEARCH recordings USING INDEX recordings_of_{field} (account_id=? AND {field}=?")
        holders = plans.explain(sqlite_recordings.HOLDERS, ("account", "x", "y"))
        index = "recordings_of_held_source (account_id=? AND held_source>? AND held_source<?)"
        assert holders[0] == f"SEARCH recordings USING INDEX {index}"


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    for inner in (*plan.get("inputStages", ()), *([plan["inputStage"]] if "inputStage" in plan else ())):
        yield from stages(inner)


@pytest.mark.parametrize("kind", ["pymongo"])
class TestMongo:
    @pytest.fixture
    def collection(self, filled: MetadataStore, mongodb_client: MongoClient[Any], mongodb_database: str) -> Any:
        return mongodb_client[mongodb_database][RECORDINGS]

    def explained(self, collection: Any, find: mongo_where.Find, limit: int = 11) -> dict[str, Any]:
        command = {
            "find": RECORDINGS,
            "filter": find.filter,
            "sort": dict(find.sort),
            "hint": find.hint,
            "limit": limit,
        }
        command |= {name: value for name, value in (("min", find.low), ("max", find.high)) if value is not None}
        answer = collection.database.command({"explain": command, "verbosity": "executionStats"})
        return {**answer["executionStats"], "stages": list(stages(answer["queryPlanner"]["winningPlan"]))}

    def test_pages_are_ranges_without_a_sort(self, collection: Any) -> None:
        for query, request in cases():
            if not (parts := page_ranges(query, request)):
                continue
            find = mongo_where.find(query, parts, down=reads_descending(query, request))
            plan = self.explained(collection, find)
            assert plan["stages"] in (["LIMIT", "FETCH", "IXSCAN"], ["LIMIT", "IXSCAN"])
            assert plan["totalKeysExamined"] <= 12, (query, request, plan)
            assert plan["totalDocsExamined"] <= 11

    @pytest.mark.parametrize("field", ["call_id", "interaction_id"])
    def test_few_rows_are_looked_up(self, collection: Any, field: str) -> None:
        query = Query(account_id="account", owner_id="o1", where=Equal(field, "i7"))
        plan = self.explained(collection, mongo_where.find(query, page_ranges(query, PageRequest(limit=10)), down=True))
        assert plan["totalKeysExamined"] == (4 if field == "interaction_id" else 0)
        few = Query(account_id="account", where=In(field, ("i7", "i9")))
        plan = self.explained(collection, mongo_where.find(few, page_ranges(few, PageRequest(limit=10)), down=True))
        assert plan["totalKeysExamined"] <= 12

    def test_due_work_is_a_range(self, collection: Any) -> None:
        now = NOW + MANY
        claim = Claim(now=now, until=now + 1, holder="me", node="n1", limit=10, overdue_before=now)
        find = mongo_where.Find(due(claim), DUE, [("due_at", 1), ("_id", 1)])
        plan = self.explained(collection, find, 10)
        assert "SORT" not in plan["stages"]
        assert "SORT_MERGE" in plan["stages"]
        assert plan["totalKeysExamined"] <= 12
        find = mongo_where.Find(overdue(claim), OVERDUE, [("due_at", 1), ("_id", 1)])
        plan = self.explained(collection, find, 10)
        assert "SORT" not in plan["stages"]
        assert plan["totalKeysExamined"] <= 11
