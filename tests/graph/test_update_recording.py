"""`updateRecording`: the label, the name and the user metadata, with null and left-out fields."""

from typing import Any

import pytest

from recordings.model.recording import State
from tests.graph.api import Api

UPDATE = """mutation($input: UpdateRecordingInput!) { updateRecording(input: $input) {
  recording { label name userMetadata revision }
  errors { __typename ... on UserError { code message path } ... on InvalidInputError { given allowed } } } }"""


async def update(api: Api, recording_id: str, caller: str = "me", **given: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await api.ask(UPDATE, caller, input={"id": recording_id} | given))["updateRecording"]
    return payload


async def test_left_out_fields_keep_their_values_and_null_removes_them(api: Api) -> None:
    kept = await api.keep(label="a", name="b.mp3", user_metadata={"mood": "good", "deep": {"x": 1}})
    changed = await update(api, kept.id, userMetadata={"mood": None, "deep": {"y": [1.5, None, True]}, "new": "ü"})
    assert changed["errors"] == []
    shown = {"label": "a", "name": "b.mp3", "userMetadata": {"deep": {"y": [1.5, None, True]}, "new": "ü"}}
    assert changed["recording"] == shown | {"revision": kept.revision + 1}
    changed = await update(api, kept.id, label="Order 17", name="call.mp3")
    assert (changed["recording"]["label"], changed["recording"]["name"]) == ("Order 17", "call.mp3")
    assert changed["recording"]["userMetadata"] == shown["userMetadata"]
    changed = await update(api, kept.id, label=None, name=None, userMetadata=None)
    assert changed["recording"] == {
        "label": None, "name": f"{kept.id}.mp3", "userMetadata": {}, "revision": kept.revision + 3,
    }  # fmt: skip
    found = "{ recordings(first: 9, filter: {label: {known: false}}) { nodes { plainId } } }"
    assert (await api.ask(found))["recordings"]["nodes"] == [{"plainId": kept.id}]


async def test_metadata_can_be_written_as_a_literal(api: Api) -> None:
    kept = await api.keep()
    text = """mutation($id: ID!, $n: JSON) {
      updateRecording(input: {id: $id, userMetadata: {a: [1, {b: null}], c: $n}}) {
        recording { userMetadata } errors { __typename }
      }
    }"""
    payload = (await api.ask(text, id=kept.id, n={"deep": 2}))["updateRecording"]
    assert payload == {"recording": {"userMetadata": {"a": [1, {"b": None}], "c": {"deep": 2}}}, "errors": []}


async def test_every_invalid_value_has_an_error_and_nothing_changes(api: Api) -> None:
    kept = await api.keep(label="a")
    payload = await update(api, kept.id, label="x" * 129, name="../x", userMetadata=[1])
    assert {tuple(error["path"]): error["__typename"] for error in payload["errors"]} == {
        ("input", "label"): "InvalidInputError",
        ("input", "name"): "InvalidInputError",
        ("input", "userMetadata"): "InvalidInputError",
    }
    assert (await api.installation.store.load(kept.id)) == kept


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "a\nb"}, "label"),
        ({"name": ""}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"userMetadata": "text"}, "userMetadata"),
        ({"userMetadata": {"a": "x" * 20_000}}, "userMetadata"),
        ({"userMetadata": {"a": 2**60}}, "userMetadata"),
        ({"userMetadata": {"a\0": 1}}, "userMetadata"),
    ],
)
async def test_the_error_of_an_invalid_value_names_it(api: Api, given: dict[str, Any], field: str) -> None:
    kept = await api.keep()
    (error,) = (await update(api, kept.id, **given))["errors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["input", field])
    assert error["allowed"]


async def test_metadata_that_becomes_too_large_is_refused(api: Api) -> None:
    kept = await api.keep()
    assert (await update(api, kept.id, userMetadata={"a": "x" * 9_000}))["errors"] == []
    (error,) = (await update(api, kept.id, userMetadata={"b": "x" * 9_000}))["errors"]
    assert error["path"] == ["input", "userMetadata"]
    assert (await update(api, kept.id, userMetadata={"a": None, "b": "x" * 9_000}))["errors"] == []


async def test_an_idempotency_key_belongs_to_one_change(api: Api) -> None:
    kept = await api.keep()
    first = await update(api, kept.id, label="a", idempotencyKey="k")
    await update(api, kept.id, label="b")
    again = await update(api, kept.id, label="a", idempotencyKey="k")
    assert (again["errors"], again["recording"]["label"]) == ([], "b")
    assert again["recording"]["revision"] == first["recording"]["revision"] + 1
    for other in ({"label": "c"}, {"label": None}, {}, {"label": "a", "userMetadata": {"x": 1}}):
        (error,) = (await update(api, kept.id, idempotencyKey="k", **other))["errors"]
        assert (error["__typename"], error["path"]) == ("IdempotencyKeyReusedError", ["input", "idempotencyKey"])


async def test_it_needs_the_scope_control_and_a_recording_outside_the_trash(api: Api) -> None:
    kept, trashed = await api.keep(), await api.trash()
    codes = [
        (await update(api, *target, label="a"))["errors"][0]["__typename"]
        for target in ((kept.id, "reader"), (kept.id, "sibling"), ("unknown", "me"), (trashed.id, "me"))
    ]
    assert codes == ["ForbiddenError", "NotFoundError", "NotFoundError", "InvalidStateError"]
    failed = await api.keep(state=State.FAILED, media=None)
    assert (await update(api, failed.id, label="a"))["errors"] == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"label": "a"},
        {"name": "b.mp3"},
        {"userMetadata": {}},
        {"userMetadata": {"mood": "good", "gone": None}},
        {"label": "a", "name": "b.mp3", "userMetadata": {"mood": "good"}},
    ],
)
async def test_a_request_that_changes_nothing_writes_no_revision(api: Api, given: dict[str, Any]) -> None:
    kept = await api.keep(label="a", name="b.mp3", user_metadata={"mood": "good"})
    payload = await update(api, kept.id, **given)
    assert (payload["errors"], payload["recording"]["revision"]) == ([], kept.revision)
    assert await api.installation.store.load(kept.id) == kept
