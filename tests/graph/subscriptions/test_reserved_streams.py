"""Event streams that carry the results of several operations: the "single connection mode" of graphql-sse."""

import asyncio
from typing import Any

import pytest

from graph.subscriptions import operation_streams, reserved_streams
from graph.subscriptions.http_streams import TOKEN_HEADER
from graph.subscriptions.reserved_streams import MAX_OPERATIONS
from graph.subscriptions.stream_slots import PER_CREDENTIAL
from tests.graph.api import PRINCIPALS, Api
from tests.graph.subscriptions.streamed_request import SSE, StreamedRequest
from tests.graph.subscriptions.test_http_streams import FOLLOW, freed
from tests.graph.test_subscription_results import amend, create, live


async def status_of(request: StreamedRequest) -> int:
    async with request as response:
        await response.rest()
    return response.status


def request(api: Api, method: str, query: str = "", token: str = "", **options: Any) -> StreamedRequest:
    return StreamedRequest(api.app, method, query, **({TOKEN_HEADER: token} if token else {}), **options)


async def reserve(api: Api, caller: str = "me") -> str:
    async with request(api, "PUT", accept="*/*", caller=caller) as response:
        token = (await response.rest()).decode()
    assert (response.status, response.headers["content-type"]) == (201, "text/plain; charset=utf-8")
    return token


async def start(api: Api, token: str, operation: Any, query: str = FOLLOW, caller: str = "me", **variables: Any) -> int:
    body = {"query": query, "variables": variables, "extensions": {"operationId": operation}}
    return await status_of(request(api, "POST", token=token, body=body, accept="*/*", caller=caller))


async def stop(api: Api, token: str, operation: str, caller: str = "me") -> int:
    query = f"operationId={operation}"
    return await status_of(request(api, "DELETE", query, token, accept="*/*", caller=caller))


async def test_one_stream_has_the_results_of_all_operations(api: Api) -> None:
    token = await reserve(api)
    async with request(api, "GET", token=token) as stream:
        assert stream.headers["content-type"].startswith(SSE)
        assert await start(api, token, "first") == 202
        assert await start(api, token, "second") == 202
        await live(api, 2)
        item = await create(api)
        found = {event["data"]["id"]: event["data"]["payload"] for event in await stream.events(2)}
        assert found["first"] == found["second"]
        assert await stop(api, token, "first") == 200
        await amend(api, item, "one")
        assert (await stream.event())["data"]["id"] == "second"
        # A query ends by itself.
        assert await start(api, token, "query", "{ viewer { name } }") == 202
        result, end = await stream.events(2)
    assert result["data"]["payload"]["data"] == {"viewer": {"name": "tester"}}
    assert (end["event"], end["data"]) == ("complete", {"id": "query"})
    await freed(api)


async def test_an_operation_may_start_before_the_stream_is_connected(api: Api) -> None:
    token = await reserve(api)
    item = await create(api)
    assert await start(api, token, "early", since="2026-01-01T00:00:00Z") == 202
    # An `EventSource` can send no credentials. A parameter of the URL has the token.
    async with request(api, "GET", f"token={token}", caller=None) as stream:
        payload = (await stream.event())["data"]["payload"]
    assert payload["data"]["recordingChanged"]["event"]["revision"] == item.revision
    await freed(api)


async def test_a_stream_has_one_connection_and_one_owner(api: Api) -> None:
    token = await reserve(api)
    async with request(api, "GET", token=token) as stream:
        for second in (request(api, "GET", token=token), request(api, "GET", f"token={token}", caller=None)):
            assert await status_of(second) == 409
        for caller in ("reader", "sibling"):
            assert await status_of(request(api, "GET", token=token, caller=caller)) == 404
            assert await start(api, token, "theirs", caller=caller) == 404
            assert await stop(api, token, "mine", caller) == 404
        assert await start(api, token, "nobody's", caller="nobody") == 401
        assert await start(api, token, "mine") == 202
        assert await start(api, token, "mine") == 409
        stream.disconnect()
    # The operations of a stream end with its connection. A client reserves a new one.
    await freed(api)
    assert await status_of(request(api, "GET", token=token)) == 404
    assert await start(api, token, "late") == 404
    assert await stop(api, token, "mine") == 404


async def test_unknown_tokens_and_operations_have_clear_answers(api: Api) -> None:
    for token in ("unknown", "x" * 60_000, "é"):
        async with request(api, "GET", token=token) as refused:
            message = (await refused.event())["data"]["errors"][0]["message"]
        assert refused.status == 404
        assert "another server" in message
    assert await stop(api, "unknown", "any") == 404
    assert await stop(api, "", "any") == 400
    token = await reserve(api)
    assert await stop(api, token, "unknown") == 200
    assert await stop(api, token, "") == 400
    for operation in (None, "", 7, "x" * 129, {"a": 1}):
        assert await start(api, token, operation) == 400
    assert await start(api, token, "invalid", "subscription { nothing }") == 400
    # The id of an operation that was not started is free again.
    assert await start(api, token, "invalid") == 202
    # Without the token, no operation can be stopped, and `accept: */*` is no stream.
    assert await status_of(request(api, "POST", body={"query": FOLLOW}, accept="*/*")) == 406


async def test_a_stream_has_a_limited_number_of_operations(api: Api) -> None:
    token = await reserve(api)
    async with request(api, "GET", token=token):
        for number in range(MAX_OPERATIONS):
            assert await start(api, token, str(number)) == 202
        assert await start(api, token, "further") == 429
        assert await stop(api, token, "0") == 200
        assert await start(api, token, "further") == 202
    await freed(api)


async def test_reservations_count_as_connections_until_they_expire(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserved_streams, "RESERVED_SECONDS", 0.5)
    tokens = [await reserve(api) for _ in range(PER_CREDENTIAL)]
    assert len({*tokens}) == PER_CREDENTIAL
    assert await start(api, tokens[0], "early") == 202
    assert await status_of(request(api, "PUT", accept="*/*")) == 429
    assert await status_of(request(api, "POST", body={"query": FOLLOW})) == 429
    assert await status_of(request(api, "PUT", accept="*/*", caller="nobody")) == 401
    assert await status_of(request(api, "PUT", accept="application/json")) == 406
    await freed(api)
    assert await status_of(request(api, "GET", token=tokens[0])) == 404


@pytest.mark.event_bar(9)
async def test_revoked_credentials_end_all_operations_with_an_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operation_streams, "CHECK_SECONDS", 0.01)
    monkeypatch.setitem(PRINCIPALS, "guest", PRINCIPALS["me"])
    token = await reserve(api, "guest")
    async with request(api, "GET", f"token={token}", caller=None) as stream:
        for operation in ("one", "two"):
            assert await start(api, token, operation, caller="guest") == 202
        monkeypatch.delitem(PRINCIPALS, "guest")
        events = await stream.events(5)
    assert [(event.get("event"), event["data"]["id"]) for event in events[:4]] == [
        ("next", "one"), ("complete", "one"), ("next", "two"), ("complete", "two"),
    ]  # fmt: skip
    assert events[0]["data"]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert events[4] == {}
    await freed(api)


async def test_a_server_that_stops_ends_streams_and_reservations(api: Api) -> None:
    token, _ = await reserve(api), await reserve(api)
    async with request(api, "GET", token=token) as stream:
        assert await start(api, token, "one") == 202
        api.streams.stopping.set()
        rest = await stream.rest()
    assert b"UNAVAILABLE" in rest
    assert b"complete" not in rest
    await freed(api)
    assert await status_of(request(api, "PUT", accept="*/*")) == 503


async def test_a_slow_client_stops_its_operations_from_reading(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(api.installation.events).follow, "__kwdefaults__", {"max_queued": 4})
    token = await reserve(api)
    async with request(api, "GET", token=token) as stream:
        assert await start(api, token, "slow") == 202
        await live(api)
        item = await create(api)
        for number in range(50):
            item = await amend(api, item, str(number))
        changes: list[int | None] = []
        while not changes or changes[-1] != item.revision:
            change = (await stream.event())["data"]["payload"]["data"]["recordingChanged"]
            changes.append(change["event"] and change["event"]["revision"])
    assert [each for each in changes if each is not None] == list(range(51))
    assert None in changes


async def test_an_operation_that_is_stopped_while_it_starts_leaves_nothing_behind(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow = api.installation.events.follow
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await follow(*args, **options)

    monkeypatch.setattr(api.installation.events, "follow", slow)
    token = await reserve(api)
    async with request(api, "GET", token=token):
        starting = asyncio.create_task(start(api, token, "one"))
        await begun.wait()
        assert await stop(api, token, "one") == 200
        go_on.set()
        assert await starting == 202
        # The id is free, and the operation behind it is another one.
        assert await start(api, token, "one") == 202
        await live(api)
        assert len(api.streams.subscriptions) == 1
    await freed(api)
