"""The endpoint over HTTP: media types, statuses, methods, persisted documents, rate limits, compression, ETags."""

import asyncio
import gzip
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import zstandard

from graph.execution.content_negotiation import JSON, RESPONSE, response_type
from graph.execution.request_errors import HttpError
from graph.execution.request_limits import Limits
from graph.execution.trusted_documents import TrustedDocument
from graph.graphql_app import GraphQLSettings
from recordings.model.account import Scope
from recordings.ports.recording_store import StoreUnavailableError
from tests.graph.api import PRINCIPALS, URL, Api, open_api

ME = {"authorization": "Bearer me"}
NAME = "{ viewer { name } } # of this test"
DIGEST = sha256(NAME.encode()).hexdigest()
DATA = {"viewer": {"name": "tester"}}
BROKEN = "{ recordings { totalCount } ok: viewer { name } }"


async def post(api: Api, who: str = "me", **body: Any) -> httpx.Response:
    accept = body.pop("accept", RESPONSE)
    return await api.http.post(URL, json=body, headers={"authorization": f"Bearer {who}", "accept": accept})


async def get(api: Api, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
    return await api.http.get(URL, params=params, headers=ME | {"accept": RESPONSE} | (headers or {}))


def code(response: httpx.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON), ("", JSON), ("*/*", JSON), ("application/*", JSON), (JSON, JSON), (RESPONSE, RESPONSE),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE), (f"{JSON}, {RESPONSE};q=0.5", JSON), (f"{JSON}, {RESPONSE}", RESPONSE),
        (f"{RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE), ("text/html, */*;q=0.1", JSON),
        (f"*/*, {JSON};q=0", RESPONSE), (f"{RESPONSE};q=0, */*", JSON), (f"{JSON};q=x, {RESPONSE};q=0.1", RESPONSE),
    ],
)  # fmt: skip
def test_the_preferred_media_type_is_chosen(accept: str | None, expected: str) -> None:
    assert response_type(accept) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/*", f"{JSON};q=0", f"{JSON}; charset=utf-16"])
def test_no_acceptable_media_type_is_406(accept: str) -> None:
    with pytest.raises(HttpError) as refused:
        response_type(accept)
    assert refused.value.status == 406


@pytest.mark.parametrize(
    ("query", "status", "has_data"),
    [
        (NAME, 200, True),
        (BROKEN, 294, True),
        ("{", 400, False),
        ("{ nothing }", 400, False),
        ("query A { a }", 400, False),
    ],
)
async def test_the_status_depends_on_the_result_and_the_media_type(
    api: Api, query: str, status: int, has_data: bool
) -> None:
    modern, classic = await post(api, query=query), await post(api, query=query, accept=JSON)
    assert (modern.status_code, classic.status_code) == (status, 200)
    assert modern.headers["content-type"] == f"{RESPONSE}; charset=utf-8"
    assert classic.headers["content-type"] == f"{JSON}; charset=utf-8"
    assert ("data" in modern.json()) is has_data
    assert modern.json().get("data") == classic.json().get("data")
    assert modern.json().get("errors") == classic.json().get("errors")


async def test_partial_data_has_status_294(tmp_path: Path) -> None:
    query = '{ node(id: "?") { id } ok: viewer { name } }'
    async with open_api(tmp_path / "a") as api:
        assert (await post(api, query=query)).status_code == 294
        assert (await post(api, query=query, accept=JSON)).status_code == 200
    async with open_api(tmp_path / "b", GraphQLSettings(partial_status=False)) as api:
        assert (await post(api, query=query)).status_code == 200


async def test_an_operation_needs_a_name_unless_it_is_the_only_one(api: Api) -> None:
    two = "query A { viewer { name } } query B { viewer { scopes } }"
    assert (await post(api, query=two, operationName="A")).json()["data"] == DATA
    assert "Must provide operation name" in (await post(api, query=two)).text
    assert "Unknown operation named" in (await post(api, query=two, operationName="C")).text


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200), ("application/json; charset=utf-8", 200), ("text/plain", 415), ("", 415),
        ("application/x-www-form-urlencoded", 415), ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-16", 415), ("application/graphql", 415),
    ],
)  # fmt: skip
async def test_a_body_must_be_json_in_utf8(api: Api, content_type: str, status: int) -> None:
    body = b'{"query": "{ __typename }"}'
    response = await api.http.post(URL, content=body, headers=ME | {"content-type": content_type})
    assert response.status_code == status


async def test_a_get_that_another_site_could_forge_is_refused(api: Api) -> None:
    params = {"query": "{ __typename }"}
    assert code(await api.http.get(URL, params=params)) == "FORGERY_POSSIBLE"
    for sign in ({"accept": RESPONSE}, {"x-requested-with": "us"}, {"graphql-require-preflight": "1"}):
        # The request passes this check and fails at authentication.
        assert (await api.http.get(URL, params=params, headers=sign)).status_code == 401
    for who in (ME, {"x-auth-token": "me"}):
        assert (await api.http.get(URL, params=params, headers=who)).status_code == 200


async def test_a_get_runs_no_mutation(api: Api) -> None:
    mutation = 'mutation M { stopRecording(input: {id: "x"}) { recording { id } } }'
    response = await get(api, query=mutation)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    both = f"query A {{ __typename }} {mutation}"
    assert (await get(api, query=both, operationName="A")).status_code == 200
    assert (await get(api, query=both, operationName="M")).status_code == 405


@pytest.mark.parametrize("params", [{"variables": "{"}, {"variables": "[]"}, {"extensions": "1"}])
async def test_parameters_in_a_url_must_be_json_and_unique(api: Api, params: dict[str, str]) -> None:
    assert (await api.http.get(URL, params={"query": NAME, **params}, headers=ME)).status_code == 400
    assert (await api.http.get(f"{URL}?query=a&query=b", headers=ME)).status_code == 400


async def test_null_and_empty_parameters_are_ignored(api: Api) -> None:
    for nothing in ("null", ""):
        answer = await get(api, query=NAME, variables=nothing, extensions=nothing, operationName="")
        assert answer.json()["data"] == DATA
    body: dict[str, Any] = {
        "query": NAME,
        "variables": None,
        "extensions": None,
        "operationName": None,
        "documentId": None,
    }
    assert (await post(api, **body)).json()["data"] == DATA


async def test_a_get_can_be_revalidated(api: Api) -> None:
    first = await get(api, query=NAME)
    again = await get(api, {"if-none-match": first.headers["etag"]}, query=NAME)
    assert (again.status_code, again.content) == (304, b"")
    assert {"authorization", "x-auth-token"} <= set(first.headers["vary"].split(", "))
    assert (await get(api, {"if-none-match": '"other"'}, query=NAME)).status_code == 200
    assert "etag" not in (await post(api, query=NAME)).headers


@pytest.mark.parametrize("query", [NAME, BROKEN, "{", "{ __schema { nothing } }"])
@pytest.mark.parametrize("accept", [RESPONSE, JSON])
async def test_no_response_may_be_stored_in_a_shared_cache(api: Api, query: str, accept: str) -> None:
    answer = await get(api, {"accept": accept}, query=query)
    assert answer.headers["cache-control"] == "private, no-cache"
    unknown = await api.http.get(URL, params={"documentId": "0" * 64}, headers=ME | {"accept": accept})
    assert unknown.headers["cache-control"] == "private, no-cache"


async def test_the_available_points_do_not_change_the_etag(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(burst=1_000, per_second=1)) as api:
        first = await get(api, query=NAME)
        again = await get(api, query=NAME)
        assert first.json()["extensions"] != again.json()["extensions"]
        assert first.headers["etag"] == again.headers["etag"]
        assert (await get(api, {"if-none-match": first.headers["etag"]}, query=NAME)).status_code == 304
        assert (await get(api, query="{ viewer { scopes } }")).headers["etag"] != first.headers["etag"]


async def test_documents_can_be_registered_and_used_by_their_hash(api: Api) -> None:
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}
    unknown = await post(api, extensions=persisted, accept=JSON)
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
    assert code(unknown) == "PERSISTED_QUERY_NOT_FOUND"
    assert (await post(api, query=NAME, extensions=persisted)).json()["data"] == DATA
    assert (await post(api, extensions=persisted)).json()["data"] == DATA
    assert (await post(api, documentId=f"sha256:{DIGEST}")).json()["data"] == DATA
    assert (await get(api, documentId=DIGEST)).json()["data"] == DATA
    assert code(await post(api, query="{ __typename }", extensions=persisted)) == "PERSISTED_QUERY_HASH_MISMATCH"
    for other in ({"version": 2, "sha256Hash": DIGEST}, {"sha256Hash": DIGEST}, DIGEST, [1], 1, False):
        assert code(await post(api, extensions={"persistedQuery": other})) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert (await post(api, documentId="../../etc/passwd")).status_code == 400


async def test_only_trusted_documents_can_be_allowed(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(trusted=(TrustedDocument(None, NAME),), only_trusted=True)) as api:
        assert (await post(api, documentId=DIGEST)).json()["data"] == DATA
        assert (await post(api, query=NAME)).json()["data"] == DATA
        assert code(await post(api, query="{ __typename }")) == "DOCUMENT_NOT_TRUSTED"
        other = sha256(b"{ __typename }").hexdigest()
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": other}}
        assert code(await post(api, query="{ __typename }", extensions=persisted)) == "PERSISTED_QUERY_NOT_FOUND"


async def test_registration_can_be_disabled(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(register=False)) as api:
        persisted = {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}
        assert code(await post(api, query=NAME, extensions=persisted)) == "PERSISTED_QUERY_NOT_SUPPORTED"


async def test_the_cost_is_reported_and_limited(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(limits=Limits(cost=50))) as api:
        query = "query($n: Int) { recordings(first: $n) { nodes { plainId } } }"
        told = (await post(api, query=query, variables={"n": 10})).json()["extensions"]["cost"]
        assert (told["requested"], told["limit"]) == (12, 50)
        assert (await post(api, query=query, variables={"n": 60})).status_code == 400
        assert "62 points of cost" in (await post(api, query=query, variables={"n": 60})).text


async def test_too_many_ids_are_refused_before_they_are_read(api: Api) -> None:
    watched = api.watch()
    response = await post(api, query="query($i: [ID!]!) { nodes(ids: $i) { id } }", variables={"i": ["x"] * 201})
    assert code(response) == "LIMIT_EXCEEDED"
    assert watched.rows_fields == []


async def test_the_tokens_of_one_principal_share_one_rate_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        monkeypatch.setitem(PRINCIPALS, f"token-{number}", PRINCIPALS["me"])
    async with open_api(tmp_path, GraphQLSettings(burst=5, per_second=1)) as api:
        found = [(await post(api, f"token-{number}", query=NAME)).status_code for number in range(5)]
        assert found == [200, 200, 429, 429, 429]
        # Another owner of the account, and another account.
        for other in ("ada", "child"):
            assert (await post(api, other, query=NAME)).status_code == 200


async def test_each_principal_has_its_own_rate_limit(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(burst=5, per_second=1)) as api:
        assert [(await post(api, query=NAME)).status_code for _ in range(3)] == [200, 200, 429]
        refused = await post(api, query=NAME)
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert code(refused) == "RATE_LIMITED"
        assert (await post(api, "child", query=NAME)).status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [(RESPONSE, RESPONSE), (f"{RESPONSE}, {JSON};q=0.9", RESPONSE), (JSON, JSON), (None, JSON), ("text/html", JSON)],
)
async def test_an_error_before_the_execution_has_the_accepted_media_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accept: str | None, media_type: str
) -> None:
    headers = {"content-type": JSON, "authorization": "Bearer me", "accept": accept or ""}
    body = json.dumps({"query": NAME}).encode()
    settings = GraphQLSettings(burst=1, per_second=1, limits=Limits(body=1_000))
    async with open_api(tmp_path, settings) as api:
        answers = [
            await api.http.post(URL, content=body, headers=headers | {"authorization": "Bearer wrong"}),
            await api.http.post(URL, content=b"x" * 2_000, headers=headers),
            await api.http.post(URL, content=body, headers=headers | {"content-type": "text/plain"}),
            await api.http.patch(URL, content=body, headers=headers),
            await api.http.post(URL, content=body, headers=headers),
        ]
        monkeypatch.setattr("tests.graph.api.token_in", Mock(side_effect=StoreUnavailableError("down")))
        answers.append(await api.http.post(URL, content=body, headers=headers))
    expected = [406] * 6 if accept == "text/html" else [401, 413, 415, 405, 429, 503]
    assert [answer.status_code for answer in answers] == expected
    for answer in answers:
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
        (error,) = answer.json()["errors"]
        assert error["message"]
        assert error["extensions"]["code"]
        assert "data" not in answer.json()


async def test_a_token_has_the_same_rate_limit_in_every_header(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(burst=5, per_second=1)) as api:

        async def status(**headers: str) -> int:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return (await api.http.post(URL, json={"query": NAME}, headers=named)).status_code

        assert await status(x_auth_token="me") == 200
        assert await status(authorization="Bearer me") == 200
        for other in ("bearer  me", "BEARER me"):
            assert await status(authorization=other) == 429
        assert await status(x_auth_token="me", authorization="Basic dTpw") == 429
        # Other tokens in X-Auth-Token have their own limits.
        assert await status(x_auth_token="child") == 200


async def test_an_operation_has_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_api(tmp_path, GraphQLSettings(limits=Limits(seconds=0.05))) as api:

        async def slow(*_args: Any) -> Any:
            await asyncio.sleep(5)

        monkeypatch.setattr(api.installation.store, "page", slow)
        response = await post(api, query="{ recordings(first: 1) { nodes { id } } }")
        assert (response.status_code, code(response)) == (503, "TIMEOUT")


async def test_introspection_needs_its_scope(tmp_path: Path) -> None:
    schema = "{ __schema { queryType { name } } }"
    async with open_api(tmp_path, GraphQLSettings(introspection=Scope.READ)) as api:
        assert (await post(api, query=schema)).status_code == 200
        assert code(await post(api, "uploader", query=schema)) == "INTROSPECTION_REFUSED"
        assert (await post(api, "uploader", query="{ __typename }")).status_code == 200


APOLLO = "multipart/mixed;deferSpec=20220824,application/json"
"""The `Accept` header of every request of Apollo's client."""


@pytest.mark.parametrize("accept", [APOLLO, "text/event-stream, */*"])
async def test_the_limits_apply_to_clients_that_also_accept_streams(tmp_path: Path, accept: str) -> None:
    limits = GraphQLSettings(limits=Limits(cost=45), introspection=Scope.READ, burst=4, per_second=1)
    schema = "{ __schema { queryType { name } } }"
    async with open_api(tmp_path, limits) as api:
        assert code(await post(api, "uploader", query=schema, accept=accept)) == "INTROSPECTION_REFUSED"
        costly = "{ recordings(first: 90) { nodes { id } } }"
        assert code(await post(api, query=costly, accept=accept)) == "LIMIT_EXCEEDED"
        answers = [await post(api, query=NAME, accept=accept) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["content-type"] == f"{JSON}; charset=utf-8"
        assert answers[0].json()["extensions"]["cost"]["requested"] == 2


async def test_a_client_that_accepts_no_available_type_gets_406(api: Api) -> None:
    watched = api.watch()
    response = await post(api, query="{ recordings(first: 1) { nodes { id } } }", accept="multipart/mixed")
    assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")
    assert watched.rows_fields == []


async def test_a_request_with_a_query_never_gets_the_page(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(limits=Limits(cost=1))) as api:
        page = ME | {"accept": "text/html, */*"}
        for url in (f"{URL}?query=", f"{URL}?%71uery="):
            assert code(await api.http.get(url + "{viewer{name}}", headers=page)) == "LIMIT_EXCEEDED"


PAGE = "{ recordings(first: 100) { nodes { plainId callId from to origin name recorder format start } } }"


async def compressed(api: Api, accept: str) -> httpx.Response:
    for _ in range(30):
        await api.keep()
    async with api.http.stream("POST", URL, json={"query": PAGE}, headers=ME | {"accept-encoding": accept}) as response:
        response._content = b"".join([chunk async for chunk in response.aiter_raw()])
        return response


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, zstd", "gzip"),
        ("gzip;q=0.5, zstd", "zstd"),
        ("zstd", "zstd"),
        ("*", "gzip"),
        ("br", None),
        ("identity", None),
    ],
)
async def test_a_page_is_compressed_with_the_best_accepted_coding(api: Api, accept: str, coding: str | None) -> None:
    response = await compressed(api, accept)
    assert response.headers.get("content-encoding") == coding
    assert int(response.headers["content-length"]) == len(response._content)
    codings: dict[str | None, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": zstandard.decompress}
    plain = codings.get(coding, bytes)(response._content)
    assert plain.startswith(b'{"data":{"recordings":{"nodes":[{"plainId":')
    assert coding is None or len(response._content) < len(plain) / 3


async def test_a_small_response_is_not_compressed(api: Api) -> None:
    response = await api.http.post(URL, json={"query": NAME}, headers=ME | {"accept-encoding": "gzip"})
    assert "content-encoding" not in response.headers
