"""More rules of one recording and its deletion (`docs/v2_contract.md`, sections 2 and 3)."""

import csv
import io
from typing import Any

import pytest

from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


# JSON or audio


async def test_one_document_as_csv(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.get(f"{v2.recordings}/{made.id}", accept="csv")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/csv")
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert (row["ID"], row["call_id"], row["duration_ms"]) == (made.id, made.call_id, "42380")
    # The header does not select CSV here: 406.
    by_header = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": "text/csv"})
    assert (by_header.status_code, by_header.content) == (406, b"")


@pytest.mark.parametrize("accept", ["nonsense", "audio/mpeg;q=2", "a/b c"])
async def test_a_malformed_accept_header(v2: V2Client, accept: str) -> None:
    made = await v2.add()
    response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept})
    assert (response.status_code, response.content) == (400, b"")


async def test_of_equal_qualities_the_last_wins(v2: V2Client) -> None:
    made = await v2.add()
    for accept, kind in (
        ("audio/mpeg, application/json", "application/json"),
        ("application/json, audio/mpeg", "audio/mpeg"),
        ("audio/mpeg;q=0.9, application/json;q=0.8", "audio/mpeg"),
        ("audio/mpeg, */*", "application/json"),
    ):
        response = await v2.send("GET", f"{v2.recordings}/{made.id}", headers={"Accept": accept})
        assert response.headers["content-type"] == kind, accept


# Conditional requests


async def test_a_list_is_never_304(v2: V2Client) -> None:
    empty = await v2.send("GET", headers={"If-None-Match": '"x"'})
    assert (empty.status_code, empty.json()["data"]) == (200, [])
    await v2.add()
    tags = set()
    for _ in range(2):
        tags.add((await v2.get()).headers["etag"])
    assert len(tags) == 2
    for tag in (*tags, "*"):
        assert (await v2.send("GET", headers={"If-None-Match": tag})).status_code == 200


# DELETE and PATCH


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
async def test_a_write_conflict(v2: V2Client, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await v2.add()

    async def beaten(*_: Any) -> bool:
        return False

    monkeypatch.setattr(v2.installation.store, "save", beaten)
    body = {"json": {"data": {"user_metadata": {"a": 1}}}} if method == "PATCH" else {}
    response = await v2.send(method, f"{v2.recordings}/{made.id}", **body)
    assert (response.status_code, response.json()["error"]) == (409, "409")
    assert response.json()["message"] == "datastore_conflict"
    assert response.json()["data"]["message"] == "conflicting documents"


@pytest.mark.parametrize("where", ["data", "envelope"])
async def test_should_soft_delete_in_a_body_has_no_effect(v2: V2Client, where: str) -> None:
    made = await v2.add()
    option = {"should_soft_delete": False}
    body = {"data": option} if where == "data" else {"data": {}, **option}
    assert (await v2.send("DELETE", f"{v2.recordings}/{made.id}", json=body)).status_code == 200
    assert (await v2.get(f"{v2.recordings}/{made.id}")).status_code == 404
