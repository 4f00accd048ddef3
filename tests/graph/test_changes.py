"""The order of changes in GraphQL: a mirror that continues after its last cursor gets every change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recordings.model.recording import State
from tests.graph.api import PRINCIPALS, Api, open_api

PAGE = """
query Changes($after: String, $filter: RecordingFilter, $first: Int = 2) {
  recordings(orderBy: {field: MODIFIED, direction: ASC}, includeDeleted: true, first: $first, after: $after,
             filter: $filter) {
    edges { cursor node { plainId state modified revision callId ownerId label trashedBy } }
    pageInfo { hasNextPage }
  }
}
"""


@pytest.fixture
async def api(tmp_path: Path) -> Any:
    async with open_api(tmp_path) as opened:
        yield opened


async def changes(api: Api, after: str | None = None, caller: str = "me", **more: Any) -> tuple[list[Any], str | None]:
    """Return all rows after a cursor, and the last cursor."""
    found: list[Any] = []
    while True:
        page = (await api.ask(PAGE, caller, after=after, **more))["recordings"]
        found += [edge["node"] for edge in page["edges"]]
        after = page["edges"][-1]["cursor"] if page["edges"] else after
        if not page["pageInfo"]["hasNextPage"]:
            return found, after


def ids(rows: list[Any]) -> list[str]:
    return [row["plainId"] for row in rows]


async def test_a_mirror_gets_new_changed_trashed_and_purged_recordings(api: Api) -> None:
    first, second, third = [await api.keep(owner_id="ada", label="x") for _ in range(3)]
    rows, cursor = await changes(api)
    assert ids(rows) == [first.id, second.id, third.id]
    assert await changes(api, cursor) == ([], cursor)

    await api.installation.service.update(PRINCIPALS["me"], first.id, {"label": "changed"})
    await api.installation.service.delete(PRINCIPALS["me"], second.id)
    rows, cursor = await changes(api, cursor)
    assert [(row["plainId"], row["state"], row["label"]) for row in rows] == [
        (first.id, "STORED", "changed"),
        (second.id, "TRASHED", "x"),
    ]
    trashed = await api.installation.store.load(second.id)
    assert trashed is not None
    await api.installation.store.save(replace(trashed, state=State.PURGED, revision=9), trashed.revision)
    (row,), cursor = await changes(api, cursor)
    assert row["state"] == "PURGED"
    assert (row["plainId"], row["callId"], row["ownerId"], row["label"], row["trashedBy"]) == (
        second.id, "", None, None, None,
    )  # fmt: skip
    assert await changes(api, cursor) == ([], cursor)


async def test_modified_is_the_value_that_lists_are_ordered_and_filtered_by(api: Api) -> None:
    for _ in range(5):
        await api.keep()
    rows, _ = await changes(api)
    times = [row["modified"] for row in rows]
    assert times == sorted(times)
    later, _ = await changes(api, filter={"modified": {"gt": times[2]}})
    assert ids(later) == [row["plainId"] for row in rows if row["modified"] > times[2]]
    listed = await api.ask(
        "{ recordings(first: 9, orderBy: {field: MODIFIED, direction: DESC}) { totalCount nodes { plainId } } }"
    )
    assert ids(listed["recordings"]["nodes"]) == ids(rows)[::-1]
    assert listed["recordings"]["totalCount"] == 5


async def test_a_list_of_one_shelf_is_sorted_by_changes_too(api: Api) -> None:
    live = await api.keep()
    trashed = await api.trash()
    await api.keep(state=State.PURGED, media=None)
    for arguments, expected in (("", live), ("trashed: true, ", trashed)):
        order = "orderBy: {field: MODIFIED, direction: DESC}"
        page = await api.ask(f"{{ recordings(first: 9, {arguments}{order}) {{ totalCount nodes {{ plainId }} }} }}")
        assert ids(page["recordings"]["nodes"]) == [expected.id]
        assert page["recordings"]["totalCount"] == 1


async def test_a_tombstone_matches_every_filter(api: Api) -> None:
    kept = await api.keep(label="mine")
    await api.keep(label="other")
    gone = await api.keep(state=State.PURGED, media=None)
    rows, _ = await changes(api, filter={"label": {"equal": "mine"}})
    assert ids(rows) == [kept.id, gone.id]


async def test_an_upload_is_a_change_when_it_is_complete(api: Api) -> None:
    upload = await api.keep(state=State.RECORDING, source_key="kazoo/1", media=None)
    assert await changes(api) == ([], None)
    await api.installation.store.save(replace(upload, state=State.FINALIZING, revision=1), 0)
    assert ids((await changes(api))[0]) == [upload.id]


@pytest.mark.parametrize("state", [State.LOST, State.FINALIZING])
async def test_an_import_is_a_change_at_once_also_without_audio(api: Api, state: State) -> None:
    imported = await api.keep(state=state, source_key="v2:202611-1", imported={"name": "a"}, media=None)
    assert ids((await changes(api))[0]) == [imported.id]


async def test_a_caller_with_an_owner_gets_its_own_changes_and_tombstones(api: Api) -> None:
    await api.keep(owner_id="bob")
    own = await api.keep(owner_id="ada", state=State.PURGED, media=None)
    await api.keep(account_id="5" * 32, owner_id="ada")
    assert ids((await changes(api, caller="ada"))[0]) == [own.id]


@pytest.mark.parametrize(("arguments", "name"), [
    ("includeDeleted: true", "includeDeleted"),
    ("includeDeleted: true, trashed: true, orderBy: {field: MODIFIED, direction: ASC}", "trashed"),
])  # fmt: skip
async def test_deleted_recordings_are_listed_in_the_order_of_changes_only(api: Api, arguments: str, name: str) -> None:
    error = await api.refused(f"{{ recordings(first: 1, {arguments}) {{ nodes {{ id }} }} }}")
    assert name in str(error["extensions"])
    assert error["extensions"]["code"] == "INVALID_INPUT"
