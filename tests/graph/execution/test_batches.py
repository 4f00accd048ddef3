"""Batches: a JSON array of operations in one request, if the installation enables them."""

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
    """Return the error code of each operation, or `None`."""
    return [one["errors"][0]["extensions"]["code"] if "errors" in one else None for one in response.json()]


def with_batches(batch: int = 4, **others: Any) -> GraphQLSettings:
    limits = {name: others.pop(name) for name in ("cost", "body", "seconds") if name in others}
    return GraphQLSettings(limits=Limits(batch=batch, **limits), **others)


async def test_batches_are_disabled_by_default(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        for batch in ([NAME], [], [1]):
            response = await send(api, batch)
            assert response.status_code == 400
            assert "batches are disabled" in response.json()["errors"][0]["message"]


async def test_responses_are_in_the_order_of_the_operations(tmp_path: Path) -> None:
    async with open_api(tmp_path, with_batches()) as api:
        response = await send(api, [NAME, SCOPES, NAME])
        assert (response.status_code, response.headers["content-type"]) == (200, f"{JSON}; charset=utf-8")
        assert [list(one["data"]["viewer"]) for one in response.json()] == [["name"], ["scopes"], ["name"]]
        assert response.json()[0]["data"] == DATA
        # A single operation is answered as before.
        alone = await send(api, NAME)
        assert (alone.json()["data"], alone.headers["content-type"]) == (DATA, f"{RESPONSE}; charset=utf-8")


async def test_an_error_of_one_operation_is_reported_at_its_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = [{"query": "{"}, {}, {"query": ONE}, {"query": "{ nothing }"}, {"documentId": "?"}]
    async with open_api(tmp_path, with_batches(len(wrong) + 1)) as api:

        async def broken(*_args: Any) -> Any:
            raise OSError("the disk failed")

        monkeypatch.setattr(api.installation.store, "page", broken)
        response = await send(api, [*wrong, NAME])
        assert response.status_code == 200
        assert codes(response) == ["BAD_REQUEST", "BAD_REQUEST", "INTERNAL", "BAD_REQUEST", "BAD_REQUEST", None]
        assert response.json()[-1]["data"] == DATA
        assert "disk" not in response.text


async def test_an_unexpected_error_outside_an_execution_affects_one_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_json(*_args: Any) -> Any:
        return {"secret": object()}

    async with open_api(tmp_path, with_batches()) as api:
        monkeypatch.setattr("graph.schema.error_format._position", no_json)
        response = await send(api, [{"query": "{ recordings { totalCount } }"}, NAME])
        assert codes(response) == ["INTERNAL", None]


async def test_a_batch_has_a_bounded_number_of_operations(tmp_path: Path) -> None:
    async with open_api(tmp_path, with_batches(2)) as api:
        assert codes(await send(api, [NAME, NAME])) == [None, None]
        for batch in ([], [NAME] * 3):
            response = await send(api, batch)
            assert response.status_code == 400
            assert f"1 to 2 operations, not {len(batch)}" in response.json()["errors"][0]["message"]
        for wrong in (b"[1]", b"[[]]", b'[{"query": 1}]', b"[null]", b"[", b"[{}"):
            headers = {"authorization": "Bearer me", "content-type": JSON}
            assert (await api.http.post(URL, content=wrong, headers=headers)).status_code == 400
        assert (await send(api, [NAME], accept="text/html")).status_code == 406


async def test_the_limits_apply_to_each_operation(tmp_path: Path) -> None:
    async with open_api(tmp_path, with_batches(cost=50, body=1_000)) as api:
        costly = {"query": "{ recordings(first: 90) { nodes { id } } }"}
        assert codes(await send(api, [costly, NAME, costly])) == ["LIMIT_EXCEEDED", None, "LIMIT_EXCEEDED"]
        # The limit of the body applies to the whole batch.
        assert (await send(api, [NAME, {"query": "#" * 1_000}])).status_code == 413


async def test_each_operation_counts_against_the_rate_limit(tmp_path: Path) -> None:
    async with open_api(tmp_path, with_batches(burst=5, per_second=1)) as api:
        response = await send(api, [NAME, NAME, NAME, NAME])
        assert codes(response) == [None, None, "RATE_LIMITED", "RATE_LIMITED"]
        assert 1 <= int(response.headers["retry-after"]) <= 2
        assert (await send(api, NAME)).status_code == 429


async def test_each_operation_has_its_own_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, with_batches(seconds=0.05)) as api:

        async def endless(*_args: Any) -> Any:
            await asyncio.Event().wait()

        monkeypatch.setattr(api.installation.store, "page", endless)
        assert codes(await send(api, [{"query": ONE}, NAME])) == ["TIMEOUT", None]


async def test_each_operation_has_its_own_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, with_batches()) as api:
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


async def test_a_mutation_ends_before_the_next_operation_starts(tmp_path: Path) -> None:
    async with open_api(tmp_path, with_batches()) as api:
        kept = await api.keep()
        gone = f'mutation {{ deleteRecording(input: {{id: "{kept.id}"}}) {{ errors {{ __typename }} }} }}'
        state = {"query": f'{{ recording(id: "{kept.id}") {{ state }} }}'}
        answers = (await send(api, [state, {"query": gone}, state])).json()
        assert [answer["data"] for answer in answers] == [
            {"recording": {"state": "STORED"}},
            {"deleteRecording": {"errors": []}},
            {"recording": {"state": "TRASHED"}},
        ]
