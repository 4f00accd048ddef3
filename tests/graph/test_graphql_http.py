"""The GraphQL API over HTTP: authentication, valid bodies, and the errors that clients and the log see."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from graph.execution.request_limits import Limits
from graph.graphql_app import GraphQLSettings
from graph.schema.build import schema
from recordings.ports.recording_store import StoreUnavailableError
from tests.graph.api import URL, Api, open_api

ME = {"authorization": "Bearer me"}
JSON = {"content-type": "application/json"}


async def test_a_request_without_a_token_is_refused(api: Api) -> None:
    nothing_sent = "send a token or an API key as X-Auth-Token or Authorization: Bearer"
    for headers, message in (({}, nothing_sent), ({"authorization": "Bearer unknown"}, "send a token")):
        response = await api.http.post(URL, json={"query": "{ __typename }"}, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        (error,) = response.json()["errors"]
        assert error["extensions"].pop("requestId")
        assert error == {"message": message, "extensions": {"code": "UNAUTHENTICATED", "path": []}}


async def test_a_request_without_a_token_learns_nothing_of_the_schema(api: Api) -> None:
    response = await api.http.post(URL, json={"query": "{ __schema { types { name } } }"})
    assert response.status_code == 401
    assert "Recording" not in response.text


async def test_get_runs_queries_but_not_mutations(api: Api) -> None:
    query = "query($n: Int) { recordings(first: $n) { totalCount } }"
    params = {"query": query, "variables": '{"n": 1}'}
    response = await api.http.get(URL, params=params, headers=ME | {"accept": "text/html,*/*"})
    assert response.json()["data"] == {"recordings": {"totalCount": 0}}
    response = await api.http.get(
        URL, params={"query": 'mutation { stopRecording(input: {id: "x"}) { recording { id } } }'}, headers=ME
    )
    assert response.status_code == 405
    assert "queries" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{", JSON),
        (b"", JSON),
        (b"[]", JSON),
        (b"1", JSON),
        (b'"x"', JSON),
        (b'\xff{"query": "{ __typename }"}', JSON),
        (b"[" * 100_000, JSON),
        (b'[{"query": "{ __typename }"}]', JSON),
        (b'{"query": 1}', JSON),
        (b'{"query": "{ __typename }", "variables": []}', JSON),
        (b'{"variables": {}}', JSON),
        (b'{"query": ""}', JSON),
    ],
)
async def test_a_body_that_is_not_a_request_is_a_client_error(api: Api, body: bytes, headers: dict[str, str]) -> None:
    response = await api.http.post(URL, content=body, headers=ME | headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_other_methods_are_refused_with_the_allowed_ones(api: Api) -> None:
    for method in ("PATCH", "OPTIONS"):
        response = await api.http.request(method, URL, json={"query": "{ __typename }"}, headers=ME)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, POST, PUT, DELETE"


async def test_a_body_has_a_limit_with_and_without_content_length(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(limits=Limits(body=1_000))) as api:
        body = json.dumps({"query": "{ __typename }", "extensions": {"x": "y" * 1_000}}).encode()
        response = await api.http.post(URL, content=body, headers=ME | JSON)
        assert response.status_code == 413

        async def chunks() -> Any:
            for start in range(0, len(body), 100):
                yield body[start : start + 100]

        response = await api.http.post(URL, content=chunks(), headers=ME | JSON)
        assert response.status_code == 413
        assert response.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"
        response = await api.http.post(URL, content=b'{"query": "{ __typename }"}', headers=ME | JSON)
        assert response.json()["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "query",
    [
        "{",
        "{ nothing }",
        '{ recordings(first: "1") { totalCount } }',
        "{ recordings(first: 1, orderBy: {field: COLOUR, direction: ASC}) { totalCount } }",
        '{ recordings(first: 1, filter: {start: {gte: "yesterday"}}) { totalCount } }',
        "{ recordings(first: 1, filter: {start: {gte: 5}}) { totalCount } }",
        "query($n: Int!) { recordings(first: $n) { totalCount } }",
        'query($id: ID = "a") { recording(id: $id) { id } }',
    ],
)
async def test_an_error_in_a_document_is_reported(api: Api, query: str) -> None:
    error = await api.refused(query, id=None)
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert not error["message"].startswith("internal error")


@pytest.mark.parametrize(
    ("order", "variables"),
    [
        ("{field: START, direction: UP}", {}),
        ('{field: START, direction: "ASC"}', {}),
        ("{field: START, direction: $direction}", {"direction": "UP"}),
        ("{field: START, direction: $direction}", {"direction": 1}),
        ("$order", {"order": {"field": "START", "direction": "UP"}}),
    ],
)
async def test_an_error_in_an_enumeration_names_the_allowed_values(
    api: Api, order: str, variables: dict[str, Any]
) -> None:
    types = {"direction": "OrderDirection!", "order": "RecordingOrder"}
    declared = "".join(f"(${name}: {types[name]})" for name in variables)
    error = await api.refused(f"query{declared} {{ recordings(orderBy: {order}) {{ totalCount }} }}", **variables)
    assert error["message"].endswith(" Allowed: ASC, DESC.")


async def test_an_unexpected_error_is_logged_with_its_request_id_and_masked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: Any) -> Any:
        raise RuntimeError("password is hunter2")

    monkeypatch.setattr(api.installation.store, "page", broken)
    with structlog.contextvars.bound_contextvars(request_id="request-7"), capture_logs() as lines:
        error = await api.refused("{ viewer { name } list: recordings(first: 1) { totalCount } }")
    assert error == {
        "message": "internal error: the log has the details under this request id",
        "locations": [{"line": 1, "column": 19}],
        "path": ["list"],
        "extensions": {"code": "INTERNAL", "requestId": "request-7"},
    }
    faults = [line for line in lines if line["log_level"] == "error"]
    assert [line["request_id"] for line in faults] == ["request-7"]
    assert "hunter2" in str(faults[0]["exc_info"])


async def test_an_unavailable_store_is_one_line_in_the_log(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(*_args: Any) -> Any:
        raise StoreUnavailableError("MongoDB does not answer")

    monkeypatch.setattr(api.installation.store, "page", unavailable)
    with capture_logs() as lines:
        error = await api.refused("{ viewer { name } list: recordings(first: 1) { totalCount } }")
    assert error["extensions"]["code"] == "UNAVAILABLE"
    (line,) = lines
    assert (line["event"], line["why"]) == ("metadata store unavailable", "MongoDB does not answer")
    assert "exc_info" not in line


async def test_a_stored_value_that_does_not_fit_the_schema_is_an_internal_error(api: Api) -> None:
    kept = await api.keep(duration_ms=2**40)
    error = await api.refused("query($id: ID!) { recording(id: $id) { durationMs } }", id=kept.id)
    assert error["extensions"]["code"] == "INTERNAL"
    assert str(2**40) not in str(error)


async def test_a_refusal_is_not_logged(api: Api) -> None:
    with capture_logs() as lines:
        await api.refused("{ recordings { totalCount } }")
    assert lines == []


async def test_an_unexpected_error_outside_a_field_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_headers: Any) -> Any:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("tests.graph.api.authenticate", broken)
    async with open_api(tmp_path) as api:
        with capture_logs() as lines:
            response = await api.http.post(URL, json={"query": "{ __typename }"})
    assert response.status_code == 500
    error = response.json()["errors"][0]
    assert error["extensions"]["requestId"] == lines[0]["request_id"]
    assert "hunter2" not in response.text


async def test_media_urls_begin_with_the_public_url_and_expire_after_their_ttl(tmp_path: Path) -> None:
    settings = GraphQLSettings(public_url="https://calls.example.org/api/", media_ttl=5_000)
    async with open_api(tmp_path, settings) as api:
        kept = await api.keep()
        answer = await api.ask("query($id: ID!) { recording(id: $id) { media { url } } }", id=kept.id)
        expires = api.installation.clock.now() + 5_000
        url = answer["recording"]["media"]["url"]
        assert url.startswith(f"https://calls.example.org/api/media/{kept.id}?expires={expires}&by=")


async def test_a_document_has_limits(api: Api) -> None:
    deep = (
        "{ recordings(first: 1) { nodes "
        + "{ account { recordings(first: 1) { nodes " * 6
        + "{ id }"
        + "}}}" * 6
        + "} }"
    )
    limits = Limits()
    assert f"at most {limits.depth}" in (await api.refused(deep))["message"]
    aliases = "{" + " ".join(f"a{index}: __typename" for index in range(101)) + "}"
    assert f"at most {limits.aliases} are" in (await api.refused(aliases))["message"]
    assert "tokens" in (await api.refused("{" + "__typename " * 1_200 + "}"))["message"]


async def test_nested_fragments_take_time_in_proportion_to_their_length(api: Api) -> None:
    fragments = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
    began = time.process_time()
    await api.ask("{ ...f0 } " + fragments + " fragment f60 on Query { __typename }")
    circle = await api.send("{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }")
    assert "Cannot spread fragment" in circle["errors"][0]["message"]
    assert time.process_time() - began < 2


async def test_a_document_is_validated_once(api: Api) -> None:
    query = "query Once { viewer { name } }"
    await api.ask(query)
    before = schema.documents.find(query)
    await api.ask(query)
    assert schema.documents.find(query) is before


async def test_deeply_nested_variables_are_refused(api: Api) -> None:
    deep: dict[str, Any] = {}
    for _ in range(400):
        deep = {"not": deep}
    answer = await api.send("query($f: RecordingFilter) { recordings(first: 1, filter: $f) { totalCount } }", f=deep)
    assert answer["errors"][0]["extensions"]["code"] in {"INVALID_INPUT", "BAD_REQUEST"}
