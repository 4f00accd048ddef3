"""`deleteRecordings`, `restoreRecordings` and `holdRecordings`: one result for each id."""

from typing import Any

import pytest

from graph.execution.run_parallel import AT_A_TIME
from graph.schema.global_id import global_id
from recordings.model.query import MAX_PAGE
from recordings.model.recording import Hold, State
from tests.graph.api import Api
from tests.support.memory_installation import CHILD, SIBLING


async def do(api: Api, action: str, ids: list[str], caller: str = "me", **given: Any) -> dict[str, Any]:
    name = f"{action}Recordings"
    text = f"""mutation($input: {action.capitalize()}RecordingsInput!) {{ {name}(input: $input) {{
      results {{ recording {{ plainId state hold {{ reason }} media {{ url }} }}
                 errors {{ __typename ... on UserError {{ path }} }} }}
      errors {{ __typename ... on UserError {{ path message }} }} }} }}"""
    payload: dict[str, Any] = (await api.ask(text, caller, input={"ids": ids} | given))[name]
    return payload


def outcomes(payload: dict[str, Any]) -> list[Any]:
    """Return the id and the state of each recording, or the type and the path of the error."""
    assert payload["errors"] == []
    return [
        (result["recording"]["plainId"], result["recording"]["state"])
        if result["recording"]
        else (result["errors"][0]["__typename"], result["errors"][0]["path"])
        for result in payload["results"]
    ]


async def test_each_recording_has_its_own_result_in_the_order_of_the_ids(api: Api) -> None:
    kept, below = await api.keep(), await api.keep(account_id=CHILD)
    live = await api.keep(state=State.RECORDING, media=None)
    held = await api.keep(hold=Hold("me", 1, "case"))
    foreign = await api.keep(account_id=SIBLING)
    deleted = await do(
        api, "delete", [live.id, kept.id, "unknown", held.id, global_id("Recording", below.id), kept.id, foreign.id]
    )
    assert outcomes(deleted) == [
        ("RecordingInProgressError", []),
        (kept.id, "TRASHED"),
        ("NotFoundError", ["input", "ids", "2"]),
        ("OnHoldError", []),
        (below.id, "TRASHED"),
        (kept.id, "TRASHED"),
        ("NotFoundError", ["input", "ids", "6"]),
    ]
    assert len([entry for entry in api.installation.audit.entries if entry[0] == "delete"]) == 2
    restored = await do(api, "restore", [below.id, held.id, kept.id])
    assert outcomes(restored) == [(below.id, "STORED"), ("NotTrashedError", []), (kept.id, "STORED")]
    assert restored["results"][2]["recording"]["media"]["url"].startswith("http")
    on_hold = await do(api, "hold", [kept.id, "", below.id], "admin", reason="case 7")
    assert [result["recording"] and result["recording"]["hold"] for result in on_hold["results"]] == [
        {"reason": "case 7"}, None, {"reason": "case 7"},
    ]  # fmt: skip


@pytest.mark.parametrize(("action", "caller"), [("delete", "me"), ("hold", "admin")])
async def test_a_key_with_another_reason_is_a_reused_key(api: Api, action: str, caller: str) -> None:
    kept = await api.keep()
    first = await do(api, action, [kept.id], caller, idempotencyKey="k", reason="case 7")
    assert await do(api, action, [kept.id], caller, idempotencyKey="k", reason="case 7") == first
    others = [{"reason": "case 8"}, *([{}] if action == "delete" else [])]
    for other in others:
        reused = await do(api, action, [kept.id], caller, idempotencyKey="k", **other)
        assert outcomes(reused) == [("IdempotencyKeyReusedError", ["input", "idempotencyKey"])]
    found = await api.installation.store.load(kept.id)
    assert found is not None
    assert found.revision == kept.revision + 1


async def test_the_plain_and_the_global_id_of_a_recording_are_the_same_id(api: Api) -> None:
    kept = await api.keep()
    deleted = await do(api, "delete", [kept.id, global_id("Recording", kept.id)], reason="asked for")
    assert outcomes(deleted) == [(kept.id, "TRASHED")] * 2
    found = await api.installation.store.load(kept.id)
    assert found is not None
    assert (found.revision, found.trashed_reason) == (kept.revision + 1, "asked for")


async def test_a_repeated_request_with_its_key_changes_nothing(api: Api) -> None:
    kept = [await api.keep() for _ in range(3)]
    ids = [item.id for item in kept]
    first = await do(api, "delete", ids, idempotencyKey="k")
    await do(api, "restore", ids[:1])
    again = await do(api, "delete", [*ids, "unknown"], idempotencyKey="k")
    assert outcomes(again) == [(ids[0], "STORED"), *outcomes(first)[1:], ("NotFoundError", ["input", "ids", "3"])]
    reused = await do(api, "restore", ids, idempotencyKey="k")
    assert outcomes(reused) == [("IdempotencyKeyReusedError", ["input", "idempotencyKey"])] * 3


@pytest.mark.parametrize(
    ("action", "given", "caller", "error", "path"),
    [
        ("delete", {}, "reader", "ForbiddenError", []),
        ("restore", {}, "reader", "ForbiddenError", []),
        ("hold", {"reason": "x"}, "no_read", "ForbiddenError", []),
        ("delete", {"reason": ""}, "me", "InvalidInputError", ["input", "reason"]),
        ("hold", {"reason": "x" * 257}, "admin", "InvalidInputError", ["input", "reason"]),
        ("restore", {"idempotencyKey": ""}, "me", "InvalidInputError", ["input", "idempotencyKey"]),
        ("restore", {"ids": ["x"] * (MAX_PAGE + 1)}, "me", "InvalidInputError", ["input", "ids"]),
        ("restore", {"ids": [f"x{number}" for number in range(1_000)]}, "me", "InvalidInputError", ["input", "ids"]),
    ],
)
async def test_an_error_of_the_request_stops_it(
    api: Api, action: str, given: dict[str, Any], caller: str, error: str, path: list[str]
) -> None:
    kept = await api.keep()
    payload = await do(api, action, given.pop("ids", [kept.id]), caller, **given)
    assert payload["results"] == []
    assert [(item["__typename"], item["path"]) for item in payload["errors"]] == [(error, path)]
    assert await api.installation.store.load(kept.id) == kept


async def test_no_ids_have_no_results(api: Api) -> None:
    assert await do(api, "delete", []) == {"results": [], "errors": []}


async def test_a_hundred_recordings_are_changed_a_few_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [await api.keep() for _ in range(MAX_PAGE)]
    save, at_once, most = api.installation.store.save, 0, 0

    async def counted(*arguments: Any) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await save(*arguments)
        finally:
            at_once -= 1

    monkeypatch.setattr(api.installation.store, "save", counted)
    assert outcomes(await do(api, "delete", [item.id for item in kept])) == [(item.id, "TRASHED") for item in kept]
    assert 1 < most <= AT_A_TIME


async def test_a_fault_of_the_store_is_a_top_level_error_and_the_others_are_done(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [await api.keep() for _ in range(20)]
    save = api.installation.store.save

    async def broken(recording: Any, *others: Any) -> bool:
        if recording.id == kept[3].id:
            raise OSError("disk /secret is full")
        return await save(recording, *others)

    monkeypatch.setattr(api.installation.store, "save", broken)
    ids = [item.id for item in kept]
    text = 'mutation($i: [ID!]!) { deleteRecordings(input: {ids: $i, idempotencyKey: "k"}) { errors { __typename } } }'
    (error,) = (await api.send(text, i=ids))["errors"]
    assert error["message"].startswith("internal error")
    found = [await api.installation.store.load(id) for id in ids]
    assert [item.state for item in found if item is not None].count(State.TRASHED) == 19
    monkeypatch.undo()
    assert outcomes(await do(api, "delete", ids, idempotencyKey="k")) == [(id, "TRASHED") for id in ids]
