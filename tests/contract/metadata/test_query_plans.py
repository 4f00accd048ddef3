"""The query plans of the stores: index ranges without a sort, with equal cost for ten rows and for ten million."""

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from adapters.metadata.access_path import Access, Scan, Tally
from adapters.metadata.facets import FACET_FIELDS
from adapters.metadata.index_ranges import page_ranges, reads_descending
from adapters.metadata.metadata_terms import TERMS, term_of
from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb import where as mongo_where
from adapters.metadata.mongodb.indexes import DUE, OVERDUE, RECORDINGS
from adapters.metadata.mongodb.recording_collection import due, overdue
from adapters.metadata.selections import FACETS, Selection, Span
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite import recording_table as sqlite_recordings
from adapters.metadata.sqlite import where as sqlite_where
from adapters.metadata.sqlite.sqlite_store import FILE
from recordings.model.query import (
    NUMBER_FIELDS,
    TEXT_FIELDS,
    Condition,
    Equal,
    HasMetadata,
    Order,
    OrderField,
    PageRequest,
    Position,
    Prefix,
    Query,
    Range,
)
from recordings.model.recording import Recording, State
from recordings.model.work import Work
from recordings.ports.recording_store import Claim, MetadataStore
from tests.contract.metadata.samples import NOW, recording
from tests.servers.fixtures import new_database_name

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
        user_metadata={"n": number // 40, "x": "y"} if number % 2 else {},
        due_at=NOW + number if number % 2 else None,
        node=None if number % 4 == 1 else "n1",
    )


INDEXED = {*TEXT_FIELDS, *NUMBER_FIELDS, FACETS} - FACET_FIELDS - {"delivery_state", "changed"}
"""The fields of selections whose index has the shelf. The others are parts of the facets, or `changed`."""


TENTH = HasMetadata("n", 5)
TERM = Selection(TERMS, (term_of(TENTH),))


def path_of(query: Query, request: PageRequest) -> Access:
    return Access(page_ranges(query, request), reads_descending(query, request))


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


class SqlitePlans:
    def __init__(self, path: Path) -> None:
        self._path = path

    def explain(self, statement: str, values: Any) -> list[str]:
        with sqlite3.connect(self._path) as connection:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        connection.close()
        return [row[3] for row in rows]


async def fill(store: MetadataStore) -> None:
    await store.open()
    await asyncio.gather(*(store.insert(numbered(number)) for number in range(MANY)))
    await store.close()


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> SqlitePlans:
    """A file with recordings. The tests only read it."""
    folder = tmp_path_factory.mktemp("plans")

    async def make() -> None:
        await fill(SqliteStore(folder))

    asyncio.run(make())
    return SqlitePlans(folder / FILE)


class TestSqlite:
    def test_pages_are_ranges_without_a_sort(self, plans: SqlitePlans) -> None:
        for query, request in cases():
            for scan in page_ranges(query, request):
                statement = sqlite_where.page(query, path_of(query, request), scan, ["id", "media"], 11)
                (step,) = plans.explain(*statement)
                assert step.startswith("SEARCH recordings USING INDEX recordings_by_")
                bounded = scan.low is not None or scan.high is not None or query.order.field.nullable
                after_prefix = re.split(r"(?:account_id|owner_id|shelf)=\?", step)[-1]
                assert ("id" in after_prefix or "=?" in after_prefix) is bounded, step

    def test_a_filter_on_other_fields_does_not_change_the_range(self, plans: SqlitePlans) -> None:
        conditions: tuple[Condition, ...] = (Equal("owner_id", "o1"), Range("created", 1, 2), Prefix("state", "S"))
        for condition in conditions:
            query = Query(account_id="account", where=condition)
            request = PageRequest(limit=10, after=Position(NOW, "x"))
            path = path_of(query, request)
            (step,) = plans.explain(*sqlite_where.page(query, path, path.parts[0], ["id"], 11))
            assert "recordings_by_start (account_id=? AND shelf=? AND (start,id)<(?,?))" in step

    @pytest.mark.parametrize("field", sorted(INDEXED))
    def test_the_rows_of_a_selection_are_found_in_the_index_of_its_field(self, plans: SqlitePlans, field: str) -> None:
        query = Query(account_id="account", owner_id="o1")
        low, high = (1, 2) if field in NUMBER_FIELDS else ("a", "b")
        for source, values in sqlite_where.scans(query, Selection(field, (low,), (Span(low, high),))):
            step = plans.explain(f"SELECT rowid {source}", values)[0]
            assert step.startswith("SEARCH recordings USING COVERING INDEX"), step
            assert f"{field}=?" in step or f"{field}>?" in step, step

    def test_one_value_has_the_order_of_start(self, plans: SqlitePlans) -> None:
        query = Query(account_id="account", where=Equal("label", "x"))
        path = replace(path_of(query, PageRequest(limit=10)), anchor=Selection("label", ("x",)))
        (step,) = plans.explain(*sqlite_where.page(query, path, path.parts[0], ["id"], 11))
        assert step.startswith(
            "SEARCH recordings USING COVERING INDEX recordings_on_label (account_id=? AND shelf=? AND label=?"
        )

    def test_a_key_of_the_metadata_has_the_order_of_start(self, plans: SqlitePlans) -> None:
        query = Query(account_id="account", where=TENTH)
        request = PageRequest(limit=10, after=Position(NOW + 70, "x"))
        path = replace(path_of(query, request), anchor=TERM)
        look_up = "SEARCH recordings USING INDEX sqlite_autoindex_recordings_1 (id=?)"
        steps = plans.explain(*sqlite_where.page(query, path, path.parts[0], ["id", "start"], 11))
        range_ = "(account_id=? AND shelf=? AND term=? AND (start,id)<(?,?))"
        assert steps[:2] == [f"SEARCH recordings_terms USING PRIMARY KEY {range_}", look_up]
        assert not any("TEMP B-TREE" in step for step in steps)
        ((source, values),) = sqlite_where.scans(query, TERM)
        steps = plans.explain(f"SELECT recordings.rowid {source}", values)
        assert steps == [
            "SEARCH recordings_terms USING PRIMARY KEY (account_id=? AND shelf=? AND term=?)",
            look_up.replace("INDEX", "COVERING INDEX"),
        ]

    def test_candidates_are_looked_up(self, plans: SqlitePlans) -> None:
        query = Query(account_id="account", where=Equal("label", "x"))
        path = path_of(query, PageRequest(limit=10))
        label, cdr = Selection("label", ("x",), (Span("y", "z"),)), Selection("cdr_id", ("x",))
        for chosen in (replace(path, keys="[1, 2]"), replace(path, within=label), replace(path, within=TERM)):
            plan = plans.explain(*sqlite_where.page(query, chosen, path.parts[0], ["id"], 11))
            look_up = "SEARCH recordings USING INTEGER PRIMARY KEY (rowid=?)"
            assert (plan[1], plan[-1], plan.count(look_up)) == (look_up, look_up, 2)
            assert not any("SCAN recordings" in step for step in plan), plan
        plan = plans.explain(*sqlite_where.keys(query, Scan(((label, TERM), (cdr,)), 10)))
        read = [step for step in plan if "recordings" in step]
        assert len(read) == 5
        assert all(step.startswith(("SEARCH recordings USING COVERING", "SEARCH recordings_terms")) for step in read)

    @pytest.mark.parametrize("node", [None, "n1"])
    def test_due_work_is_a_range(self, plans: SqlitePlans, node: str | None) -> None:
        index = "SEARCH recordings USING COVERING INDEX recordings_due"
        plan = plans.explain(sqlite_recordings.DUE_FIRST, (Work.PURGE, "account", node, NOW, 10))
        assert plan == [f"{index} (work=? AND account_id=? AND node=? AND due_at<?)"]
        plan = plans.explain(sqlite_recordings.NEXT_ACCOUNT, (Work.PURGE, "account"))
        assert plan == [f"{index} (work=? AND account_id>?)"]

    def test_overdue_work_and_leases_are_ranges(self, plans: SqlitePlans) -> None:
        (overdue_first,) = plans.explain(sqlite_recordings.OVERDUE_FIRST, (NOW, 10))
        assert overdue_first == "SEARCH recordings USING INDEX recordings_stranded (due_at>? AND due_at<?)"
        release, *_clock = plans.explain(sqlite_recordings.RELEASE, (NOW, "a", "b"))
        assert release.startswith("SEARCH recordings USING INDEX recordings_leased (lease>? AND lease<?)")

    def test_look_ups_by_node_and_by_key_use_an_index(self, plans: SqlitePlans) -> None:
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


@pytest.fixture(scope="module")
def collection(mongodb_uri: str, mongodb_client: MongoClient[Any]) -> Iterator[Any]:
    """A collection with recordings. The tests only read it."""
    name = new_database_name()

    async def make() -> None:
        await fill(MongoStore(mongodb_uri, name))

    asyncio.run(make())
    yield mongodb_client[name][RECORDINGS]
    mongodb_client.drop_database(name)


class TestMongo:
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
            path = path_of(query, request)
            if not path.parts:
                continue
            find = mongo_where.find(query, path)
            plan = self.explained(collection, find)
            assert plan["stages"] in (["LIMIT", "FETCH", "IXSCAN"], ["LIMIT", "IXSCAN"])
            assert plan["totalKeysExamined"] <= 12, (query, request, plan)
            assert plan["totalDocsExamined"] <= 11

    @pytest.mark.parametrize("field", sorted(INDEXED))
    def test_the_rows_of_a_selection_are_found_in_the_index_of_its_field(self, collection: Any, field: str) -> None:
        query = Query(account_id="account", owner_id="o1")
        low, high = (1, 2) if field in NUMBER_FIELDS else ("a", "b")
        for selection in (Selection(field, (low,)), Selection(field, spans=(Span(low, high),))):
            plan = self.explained(collection, mongo_where.scan(query, selection))
            assert "COLLSCAN" not in plan["stages"]
            assert plan["totalKeysExamined"] <= plan["nReturned"] + 1, (field, plan)

    def test_one_value_has_the_order_of_start(self, collection: Any) -> None:
        query = Query(account_id="account", where=Equal("interaction_id", "i7"))
        path = replace(path_of(query, PageRequest(limit=10)), anchor=Selection("interaction_id", ("i7",)))
        plan = self.explained(collection, mongo_where.find(query, path))
        assert plan["stages"] in (["LIMIT", "FETCH", "IXSCAN"], ["LIMIT", "IXSCAN"])
        assert plan["totalKeysExamined"] <= 5

    def test_a_count_examines_its_range_only(self, collection: Any) -> None:
        changes = [row["changed"] for row in collection.find({}, {"changed": 1}, sort=[("changed", 1)])]
        for order, owner in itertools.product(OrderField, (None, "o1")):
            low = changes[200] if order is OrderField.MODIFIED else key_of(order, 200)
            where = Prefix(order.value, low) if isinstance(low, str) else Range(order.value, low, low + 5)
            query = Query(account_id="account", owner_id=owner, where=where, order=Order(order))
            path = path_of(query, PageRequest(limit=1))
            for find in (mongo_where.tally(query, Tally(None, path.parts, MANY)), mongo_where.count(query, path)):
                plan = self.explained(collection, find, MANY)
                assert plan["totalKeysExamined"] <= plan["nReturned"] + 2, (query, plan)

    @pytest.mark.parametrize("descending", [True, False])
    @pytest.mark.parametrize("backward", [True, False])
    def test_a_key_of_the_metadata_has_the_order_of_start(
        self, collection: Any, descending: bool, backward: bool
    ) -> None:
        query = Query(account_id="account", where=TENTH, order=Order(descending=descending))
        for after in (None, Position(NOW + 70, "x")):
            path = replace(path_of(query, PageRequest(limit=5, after=after, backward=backward)), anchor=TERM)
            plan = self.explained(collection, mongo_where.find(query, path), 6)
            assert plan["stages"] in (["LIMIT", "FETCH", "IXSCAN"], ["LIMIT", "IXSCAN"])
            assert plan["totalKeysExamined"] <= 9, plan
        plan = self.explained(collection, mongo_where.scan(query, TERM), 0)
        assert plan["totalKeysExamined"] == plan["nReturned"] == 20, plan

    def test_facets_are_skipped_through(self, collection: Any) -> None:
        selected = {"account_id": "account", "shelf": "LIVE"}
        command = {"explain": {"distinct": RECORDINGS, "key": "facets", "query": selected}}
        plan = collection.database.command(command)["queryPlanner"]["winningPlan"]
        assert "DISTINCT_SCAN" in list(stages(plan))

    def test_due_work_is_a_range(self, collection: Any) -> None:
        now = NOW + MANY
        claim = Claim(now=now, until=now + 1, holder="me", node="n1", limit=10, overdue_before=now)
        of_account = due(claim, Work.EXPIRE) | {"account_id": "account"}
        find = mongo_where.Find(of_account, DUE, [("due_at", 1), ("_id", 1)])
        plan = self.explained(collection, find, 10)
        assert "SORT" not in plan["stages"]
        assert "SORT_MERGE" in plan["stages"]
        assert plan["totalKeysExamined"] <= 12
        next_account = due(claim, Work.EXPIRE) | {"account_id": {"$gt": "a", "$nin": []}}
        plan = self.explained(collection, mongo_where.Find(next_account, DUE, [("account_id", 1)]), 1)
        assert "SORT" not in plan["stages"]
        assert plan["totalKeysExamined"] <= 6
        find = mongo_where.Find(overdue(claim), OVERDUE, [("due_at", 1), ("_id", 1)])
        plan = self.explained(collection, find, 10)
        assert "SORT" not in plan["stages"]
        assert plan["totalKeysExamined"] <= 11
