"""Paging: in both directions, in every order, with ties, and with changes between the pages."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph.execution.request_limits import Limits
from graph.graphql_app import GraphQLSettings
from graph.schema.global_id import global_id
from recordings.model.query import Order, OrderField, sort_key
from recordings.model.recording import Recording
from tests.graph.api import CURSORS, PRINCIPALS, Api, open_api, recording
from tests.support.memory_installation import CHILD

PAGE = """query($first: Int, $after: String, $last: Int, $before: String, $order: RecordingOrder) {
  recordings(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
    edges { cursor node { plainId } } nodes { plainId }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }"""
ORDERS = [(field, direction) for field in ("START", "CREATED", "DURATION", "CALLER") for direction in ("ASC", "DESC")]
# Few different values, so that many rows are equal in the sort field.
ROWS = st.lists(
    st.fixed_dictionaries({
        "start": st.integers(0, 2),
        "created": st.integers(-1, 1),
        "duration_ms": st.none() | st.integers(0, 2),
        "caller_id_number": st.none() | st.sampled_from(["", "1", "10", "é", "\U0001f600"]),
    }),
    max_size=12,
)  # fmt: skip


def expected(rows: Sequence[Recording], field: str, direction: str) -> list[str]:
    """Return the ids in the expected order: the model is a sorted list."""
    order = Order(OrderField[field])
    ascending = sorted(rows, key=lambda item: sort_key(order, item.to_row()))
    return [item.id for item in (ascending if direction == "ASC" else reversed(ascending))]


async def page(api: Api, order: tuple[str, str], **arguments: Any) -> dict[str, Any]:
    data = await api.ask(PAGE, order={"field": order[0], "direction": order[1]}, **arguments)
    connection: dict[str, Any] = data["recordings"]
    edges, info = connection["edges"], connection["pageInfo"]
    assert [edge["node"] for edge in edges] == connection["nodes"]
    assert info["startCursor"] == (edges[0]["cursor"] if edges else None)
    assert info["endCursor"] == (edges[-1]["cursor"] if edges else None)
    return connection


def ids(connection: dict[str, Any]) -> list[str]:
    return [node["plainId"] for node in connection["nodes"]]


async def forwards(api: Api, order: tuple[str, str], size: int) -> list[str]:
    found: list[str] = []
    cursor, more = None, True
    while more:
        shown = await page(api, order, first=size, after=cursor)
        assert shown["pageInfo"]["hasPreviousPage"] is bool(found)
        found += ids(shown)
        cursor, more = shown["pageInfo"]["endCursor"], shown["pageInfo"]["hasNextPage"]
    return found


async def backwards(api: Api, order: tuple[str, str], size: int) -> list[str]:
    found: list[str] = []
    cursor, more = None, True
    while more:
        shown = await page(api, order, last=size, before=cursor)
        assert shown["pageInfo"]["hasNextPage"] is bool(found)
        found = ids(shown) + found
        cursor, more = shown["pageInfo"]["startCursor"], shown["pageInfo"]["hasPreviousPage"]
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS, size=st.integers(1, 5))
def test_paging_in_either_direction_returns_the_sorted_list(rows: list[dict[str, Any]], size: int) -> None:
    async def check(folder: Path) -> None:
        async with open_api(folder) as api:
            kept = [await api.keep(**row) for row in rows]
            for order in ORDERS:
                model = expected(kept, *order)
                assert await forwards(api, order, size) == model
                assert await backwards(api, order, size) == model

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.integers(1, 4),
    backward=st.booleans(),
    order=st.sampled_from(ORDERS),
    bounds=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    given_bounds=st.tuples(st.booleans(), st.booleans()),
)
def test_page_info_is_exact_between_two_cursors(
    size: int, backward: bool, order: tuple[str, str], bounds: tuple[int, int], given_bounds: tuple[bool, bool]
) -> None:
    async def check(folder: Path) -> None:
        async with open_api(folder) as api:
            kept = {
                item.id: item for item in [await api.keep(start=n % 3, duration_ms=n % 2 or None) for n in range(8)]
            }
            model = expected([*kept.values()], *order)
            cursors = [CURSORS.write(Order(OrderField[order[0]]), kept[item].to_row()) for item in model]
            low, high = bounds[0] if given_bounds[0] else None, bounds[1] if given_bounds[1] else None
            arguments: dict[str, Any] = {"last" if backward else "first": size}
            arguments |= {} if low is None else {"after": cursors[low]}
            arguments |= {} if high is None else {"before": cursors[high]}
            window = range(0 if low is None else low + 1, 8 if high is None else high)
            chosen = [*window][-size:] if backward else [*window][:size]
            shown = await page(api, order, **arguments)
            assert ids(shown) == [model[index] for index in chosen]
            if chosen:
                around = {"hasPreviousPage": chosen[0] > 0, "hasNextPage": chosen[-1] < 7}
                assert {name: shown["pageInfo"][name] for name in around} == around

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


async def test_page_info_is_exact_on_an_empty_page(api: Api) -> None:
    order = ("START", "ASC")
    shown = await page(api, order, first=1)
    assert shown["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None,
    }  # fmt: skip
    kept = [await api.keep(start=n) for n in (1, 2)]
    cursors = [CURSORS.write(Order(), item.to_row()) for item in kept]
    shown = await page(api, order, first=1, after=cursors[0], before=cursors[1])
    assert ids(shown) == []
    assert (shown["pageInfo"]["hasPreviousPage"], shown["pageInfo"]["hasNextPage"]) == (True, True)
    shown = await page(api, order, last=1, before=cursors[0])
    assert (shown["pageInfo"]["hasPreviousPage"], shown["pageInfo"]["hasNextPage"]) == (False, True)


@pytest.mark.parametrize("order", ORDERS)
async def test_changes_between_pages_neither_repeat_nor_skip_other_rows(api: Api, order: tuple[str, str]) -> None:
    kept = [
        await api.keep(start=n // 2, created=n // 2, duration_ms=n // 2, caller_id_number=str(n // 2)) for n in range(8)
    ]
    model = expected(kept, *order)
    first = await page(api, order, first=3)
    # Delete the row of the cursor; add one row before it and one directly after it.
    anchor = next(item for item in kept if item.id == model[2])
    await api.installation.service.delete(PRINCIPALS["me"], anchor.id)
    fields = {name: getattr(anchor, name) for name in ("start", "created", "duration_ms", "caller_id_number")}
    before, after = f"{'0' if order[1] == 'ASC' else 'z'}-new", f"{'z' if order[1] == 'ASC' else '0'}-new"
    for identity in (before, after):
        await api.installation.store.insert(recording(1, id=identity, call_id=identity, **fields))
    second = await page(api, order, first=100, after=first["pageInfo"]["endCursor"])
    assert [item for item in ids(second) if not item.endswith("new")] == model[3:]
    assert after in ids(second)
    assert before not in ids(second)
    back = await page(api, order, last=100, before=first["pageInfo"]["endCursor"])
    assert [item for item in ids(back) if not item.endswith("new")] == model[:2]
    assert before in ids(back)


@pytest.mark.parametrize(
    ("arguments", "path", "allowed"),
    [
        ({}, "first", "an integer from 1 to 100 (or give last)"),
        ({"first": None, "last": None}, "first", "an integer from 1 to 100 (or give last)"),
        ({"first": 1, "last": 1}, "last", "left out if first is given"),
        ({"first": -1}, "first", "an integer from 1 to 100, or 0 for the count alone"),
        ({"first": 101}, "first", "an integer from 1 to 100, or 0 for the count alone"),
        ({"first": 1_000}, "first", "an integer from 1 to 100, or 0 for the count alone"),
        ({"last": 2**31 - 1}, "last", "an integer from 1 to 100"),
        ({"last": 0}, "last", "an integer from 1 to 100"),
        ({"last": 101}, "last", "an integer from 1 to 100"),
    ],
)
async def test_exactly_one_of_first_and_last_within_bounds_is_required(
    api: Api, arguments: dict[str, Any], path: str, allowed: str
) -> None:
    error = await api.refused(PAGE, order=None, **arguments)
    assert error["path"] == ["recordings"]
    assert error["extensions"]["code"] == "INVALID_INPUT"
    assert error["extensions"]["problems"] == [{"path": [path], "allowed": allowed}]
    assert f"not {json.dumps(arguments.get(path))}" in error["message"]


async def test_a_forged_cursor_and_a_cursor_of_another_order_have_different_errors(api: Api) -> None:
    kept = await api.keep()
    ours = CURSORS.write(Order(OrderField.DURATION), kept.to_row())
    other = f"{'B' if ours.startswith('A') else 'A'}{ours[1:]}"
    forged = ["", "x", "é", "\ud7ff", ours[:-1], other, ours + ours, "A" * 2_000, "====", " " + "A" * 11]
    for name, count in (("after", "first"), ("before", "last")):
        for text in forged:
            arguments: dict[str, Any] = {count: 1, name: text}
            error = await api.refused(PAGE, **arguments)
            assert error["extensions"]["code"] == "INVALID_CURSOR"
            assert error["extensions"]["problems"] == [
                {"path": [name], "allowed": "a cursor that this service returned"}
            ]
        error = await api.refused(PAGE, **arguments | {name: ours})
        assert error["extensions"]["code"] == "INVALID_CURSOR"
        assert "a cursor of a page ordered by START" in error["message"]


async def test_a_cursor_of_another_account_finds_nothing_of_it(api: Api) -> None:
    kept = await api.keep()
    cursor = CURSORS.write(Order(), kept.to_row())
    shown = await api.ask(PAGE, "sibling", last=5, before=cursor, order=None)
    assert shown["recordings"]["nodes"] == []


async def test_the_default_order_is_newest_first(api: Api) -> None:
    kept = [await api.keep(start=n) for n in range(3)]
    for arguments in ({"first": 9}, {"first": 9, "order": None}):
        shown = await api.ask(PAGE, **cast("dict[str, Any]", arguments))
        assert ids(shown["recordings"]) == [item.id for item in reversed(kept)]
    plain = await api.ask("{ recordings(first: 9) { nodes { plainId } } }")
    assert ids(plain["recordings"]) == [item.id for item in reversed(kept)]


async def test_total_count_is_counted_only_if_it_is_selected(api: Api) -> None:
    for _ in range(3):
        await api.keep()
    await api.keep(account_id=CHILD)
    watched = api.watch()
    ask = """query($total: Boolean!) { recordings(first: 1) {
      totalCount @include(if: $total) nodes { id } edges { cursor } pageInfo { hasNextPage } } }"""
    assert "totalCount" not in (await api.ask(ask, total=False))["recordings"]
    assert watched.counts == []
    assert (await api.ask(ask, total=True))["recordings"]["totalCount"] == 3
    assert len(watched.counts) == 1


async def test_page_info_queries_the_store_only_if_it_is_selected(api: Api) -> None:
    kept = [await api.keep() for _ in range(3)]
    cursor = CURSORS.write(Order(), kept[2].to_row())
    watched = api.watch()
    await api.ask(PAGE.replace("hasPreviousPage", ""), first=1, after=cursor)
    assert len(watched.pages) == 1
    await api.ask(PAGE, first=1, after=cursor)
    assert [(request.limit, request.fields) for request in watched.pages[2:]] == [(1, frozenset({"id"}))]
    # Without a cursor no further query is needed.
    await api.ask(PAGE, first=1)
    assert len(watched.pages) == 4


async def test_an_installation_can_lower_the_maximum_page_size(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(limits=Limits(page=2))) as api:
        ids = [(await api.keep()).id for _ in range(3)]
        assert len((await api.ask("{ recordings(first: 2) { nodes { id } } }"))["recordings"]["nodes"]) == 2
        for way in ("first", "last"):
            error = await api.refused(f"{{ recordings({way}: 3) {{ nodes {{ id }} }} }}")
            assert error["extensions"]["path"] == [way]
            assert error["extensions"]["problems"][0]["allowed"].startswith("an integer from 1 to 2")
        ask = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
        named = [global_id("Recording", plain) for plain in ids]
        assert len((await api.ask(ask, ids=named[:2]))["nodes"]) == 2
        assert "at most 2 ids" in (await api.refused(ask, ids=named))["message"]


async def test_a_page_of_no_recordings_is_a_count_alone(api: Api) -> None:
    for _ in range(3):
        await api.keep()
    found = await api.ask(
        "{ recordings(first: 0) { totalCount totalCountIsExact nodes { id } pageInfo { hasNextPage } } }"
    )
    assert found["recordings"] == {
        "totalCount": 3, "totalCountIsExact": True, "nodes": [], "pageInfo": {"hasNextPage": True},
    }  # fmt: skip
