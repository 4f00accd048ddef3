"""Batches: a JSON array of operations in one request, where an installation takes them."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.execution.content_negotiation import JSON, RESPONSE
from graph.execution.request_limits import Limits
from graph.graphql_app import GraphQLSettings
from tests.graph.api import URL, Api, open_api

NAME = {"query": "{ viewer { name } }"}
SCOPES = {"query": "{ viewer { scopes } }"}
DATA = {"viewer": {"name": "tester"}}
ONE = "{ recordings(first: 1) { nodes { id } } }"


async def send(api: Api, content: Any, accept: str = f"{RESPONSE}, {JSON};q=0.9") -> httpx.Response:
    headers = {"authorization": "Bearer me", "accept": accept}
    return await api.http.post(URL, json=content, headers=headers)


def codes(response: httpx.Response) -> list[str | None]:
    """What is wrong with each operation, if anything is."""
    return [one["errors"][0]["extensions"]["code"] if "errors" in one else None for one in response.json()]


def taking(batch: int = 4, **others: Any) -> GraphQLSettings:
    limits = {name: others.pop(name) for name in ("cost", "body", "seconds") if name in others}
    return GraphQLSettings(limits=Limits(batch=batch, **limits), **others)


async def test_batches_are_not_taken_by_default(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        for batch in ([NAME], [], [1]):
            response = await send(api, batch)
            assert response.status_code == 400
            assert "batches are disabled" in response.json()["errors"][0]["message"]


async def test_operations_are_answered_in_their_order(tmp_path: Path) -> None:
    async with open_api(tmp_path, taking()) as api:
        response = await send(api, [NAME, SCOPES, NAME])
        assert (response.status_code, response.headers["content-type"]) == (200, f"{JSON}; charset=utf-8")
        assert [list(one["data"]["viewer"]) for one in response.json()] == [["name"], ["scopes"], ["name"]]
        assert response.json()[0]["data"] == DATA
        # What a client that knows of no batches sends is answered as ever.
        alone = await send(api, NAME)
        assert (alone.json()["data"], alone.headers["content-type"]) == (DATA, f"{RESPONSE}; charset=utf-8")


async def test_what_is_wrong_with_one_is_told_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [{"query": "{"}, {}, {"query": ONE}, {"query": "{ nothing }"}, {"documentId": "?"}]
    async with open_api(tmp_path, taking(len(wrong) + 1)) as api:

        async def broken(*_args: Any) -> Any:
            raise OSError("a disk is gone")

        monkeypatch.setattr(api.installation.store, "page", broken)
        response = await send(api, [*wrong, NAME])
        assert response.status_code == 200
        assert codes(response) == ["BAD_REQUEST", "BAD_REQUEST", "INTERNAL", "BAD_REQUEST", "BAD_REQUEST", None]
        assert response.json()[-1]["data"] == DATA
        assert "disk" not in response.text


async def test_a_fault_outside_of_an_execution_is_that_of_one_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_json(*_args: Any) -> Any:
        return {"secret": object()}

    async with open_api(tmp_path, taking()) as api:
        monkeypatch.setattr("graph.schema.error_format._position", no_json)
        response = await send(api, [{"query": "{ recordings { totalCount } }"}, NAME])
        assert codes(response) == ["INTERNAL", None]


async def test_a_batch_has_a_bounded_number_of_operations(tmp_path: Path) -> None:
    async with open_api(tmp_path, taking(2)) as api:
        assert codes(await send(api, [NAME, NAME])) == [None, None]
        for batch in ([], [NAME] * 3):
            response = await send(api, batch)
            assert response.status_code == 400
            assert f"1 to 2 operations, not {len(batch)}" in response.json()["errors"][0]["message"]
        for wrong in (b"[1]", b"[[]]", b'[{"query": 1}]', b"[null]", b"[", b"[{}"):
            headers = {"authorization": "Bearer me", "content-type": JSON}
            assert (await api.http.post(URL, content=wrong, headers=headers)).status_code == 400
        assert (await send(api, [NAME], accept="text/html")).status_code == 406


async def test_each_operation_is_held_to_the_limits(tmp_path: Path) -> None:
    async with open_api(tmp_path, taking(cost=50, body=1_000)) as api:
        costly = {"query": "{ recordings(first: 90) { nodes { id } } }"}
        assert codes(await send(api, [costly, NAME, costly])) == ["LIMIT_EXCEEDED", None, "LIMIT_EXCEEDED"]
        # The body is that of all of them.
        assert (await send(api, [NAME, {"query": "#" * 1_000}])).status_code == 413


async def test_each_operation_is_paid_for(tmp_path: Path) -> None:
    async with open_api(tmp_path, taking(burst=5, per_second=1)) as api:
        response = await send(api, [NAME, NAME, NAME, NAME])
        assert codes(response) == [None, None, "RATE_LIMITED", "RATE_LIMITED"]
        assert 1 <= int(response.headers["retry-after"]) <= 2
        assert (await send(api, NAME)).status_code == 429


async def test_each_operation_has_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, taking(seconds=0.05)) as api:

        async def endless(*_args: Any) -> Any:
            await asyncio.Event().wait()

        monkeypatch.setattr(api.installation.store, "page", endless)
        assert codes(await send(api, [{"query": ONE}, NAME])) == ["TIMEOUT", None]


async def test_nothing_is_kept_from_one_operation_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, taking()) as api:
        await api.keep()
        read = api.installation.store.page

        async def slowly(*given: Any) -> Any:
            api.installation.clock.move(60_000)
            return await read(*given)

        monkeypatch.setattr(api.installation.store, "page", slowly)
        until = {"query": "{ recordings(first: 1) { nodes { media { urlExpires } } } }"}
        answers = (await send(api, [until, until])).json()
        first, second = (answer["data"]["recordings"]["nodes"][0]["media"]["urlExpires"] for answer in answers)
        assert first < second


async def test_a_mutation_is_over_before_the_next_operation_begins(tmp_path: Path) -> None:
    async with open_api(tmp_path, taking()) as api:
        kept = await api.keep()
        gone = f'mutation {{ deleteRecording(input: {{id: "{kept.id}"}}) {{ errors {{ __typename }} }} }}'
        state = {"query": f'{{ recording(id: "{kept.id}") {{ state }} }}'}
        answers = (await send(api, [state, {"query": gone}, state])).json()
        assert [answer["data"] for answer in answers] == [
            {"recording": {"state": "STORED"}},
            {"deleteRecording": {"errors": []}},
            {"recording": {"state": "TRASHED"}},
        ]
