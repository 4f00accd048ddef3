"""One operation whose results are streamed over HTTP: server-sent events, and Apollo's multipart responses."""

import asyncio
from typing import Any

import pytest

from graph.execution.content_negotiation import RESPONSE
from graph.subscriptions import operation_streams, stream_response
from graph.subscriptions.stream_slots import PER_CREDENTIAL
from tests.graph.api import PRINCIPALS, Api
from tests.graph.subscriptions.streamed_request import MIXED, SSE, StreamedRequest
from tests.graph.test_subscription_results import amend, create, live
from tests.support.memory_installation import SIBLING

FOLLOW = "subscription($since: String) { recordingChanged(since: $since) { kind cursor event { revision } } }"
JSON_TOO = f"{RESPONSE}, application/json"
URQL = f"application/graphql-response+json, application/graphql+json, application/json, {SSE}, multipart/mixed"
APOLLO = f"{MIXED},{JSON_TOO}"


def follow(api: Api, since: str | None = None, **options: Any) -> StreamedRequest:
    return StreamedRequest(api.app, body={"query": FOLLOW, "variables": {"since": since}}, **options)


def ask(api: Api, query: str, **options: Any) -> StreamedRequest:
    return StreamedRequest(api.app, body={"query": query}, **options)


def revisions(events: list[dict[str, Any]]) -> list[int]:
    return [event["data"]["data"]["recordingChanged"]["event"]["revision"] for event in events]


async def start_of(api: Api) -> str:
    feed = await api.ask('{ recordingEvents(first: 1, since: "now") { cursor } }')
    return str(feed["recordingEvents"]["cursor"])


async def freed(api: Api) -> None:
    """Wait until no connection is counted, and nothing reads events."""
    async with asyncio.timeout(20):
        while api.streams.slots.open or api.installation.hub.readers:  # noqa: ASYNC110 - they have no event for it
            await asyncio.sleep(0.01)


async def test_each_change_is_an_event_with_its_place(api: Api) -> None:
    async with follow(api) as stream:
        await live(api)
        item = await create(api)
        await amend(api, item, "one")
        first, second = await stream.events(2)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert revisions([first, second]) == [0, 1]
    assert first["event"] == "next"
    assert first["id"] == first["data"]["data"]["recordingChanged"]["cursor"]
    await freed(api)


async def test_a_client_continues_with_last_event_id(api: Api) -> None:
    start = await start_of(api)
    item = await create(api)
    async with follow(api, start) as stream:
        got = await stream.events(1)
    for label in ("one", "two"):
        item = await amend(api, item, label)
    # `EventSource` sends the same request again. The header is later than its argument.
    async with follow(api, start, last_event_id=got[-1]["id"]) as stream:
        got += await stream.events(2)
        await amend(api, item, "three")
        got += await stream.events(1)
    assert revisions(got) == [0, 1, 2, 3]


async def test_a_get_request_of_an_event_source_works(api: Api) -> None:
    item = await create(api)
    query = 'query=subscription{recordingChanged(since:"2026-01-01T00:00:00Z"){kind,event{revision}}}'
    async with StreamedRequest(api.app, "GET", query) as stream:
        assert revisions(await stream.events(1)) == [item.revision]


async def test_a_multipart_response_has_each_change_as_a_payload(api: Api) -> None:
    for accept in (MIXED, APOLLO, 'multipart/mixed;subscriptionSpec="1.0", application/json'):
        async with follow(api, accept=accept) as stream:
            await live(api)
            await create(api)
            (part,) = await stream.parts(1)
        assert stream.headers["content-type"] == "multipart/mixed; boundary=graphql; subscriptionSpec=1.0"
        assert part["payload"]["data"]["recordingChanged"]["kind"] == "STORED"
        await freed(api)


async def test_nothing_may_keep_the_results_back(api: Api) -> None:
    async with follow(api, accept_encoding="gzip, zstd") as stream:
        assert stream.headers["x-accel-buffering"] == "no"
        assert "no-transform" in stream.headers["cache-control"]
        assert "content-encoding" not in stream.headers
        assert "content-length" not in stream.headers


@pytest.mark.parametrize("accept", [SSE, MIXED])
async def test_a_silent_stream_has_pings(api: Api, accept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_response, "PING_SECONDS", 0.01)
    ping = b":\n\n" if accept == SSE else b"{}\r\n--graphql"
    async with follow(api, accept=accept) as stream:
        received = b""
        while received.count(ping) < 3:
            received += await stream._piece() or b""


@pytest.mark.parametrize("accept", [SSE, MIXED])
async def test_a_query_has_one_result_and_an_end(api: Api, accept: str) -> None:
    async with ask(api, "{ viewer { name } }", accept=accept) as stream:
        body = await stream.rest()
    assert b'"name":"tester"' in body
    assert body.endswith(b"event: complete\ndata:\n\n" if accept == SSE else b"\r\n--graphql--\r\n")


async def test_a_client_that_also_accepts_json_gets_it_for_a_query(api: Api) -> None:
    for accept in (URQL, APOLLO):
        async with ask(api, "{ viewer { name } }", accept=accept) as response:
            assert (await response.json())["data"] == {"viewer": {"name": "tester"}}
        assert response.headers["content-type"].startswith("application/graphql-response+json")
        async with follow(api, accept=accept) as stream:
            assert stream.status == 200
        assert stream.headers["content-type"].startswith(SSE if accept == URQL else "multipart/mixed")


async def test_a_mutation_needs_post(api: Api) -> None:
    mutation = 'mutation{deleteRecording(input:{id:"no"}){errors{__typename}}}'
    async with StreamedRequest(api.app, "GET", f"query={mutation}") as refused:
        assert (await refused.event())["data"]["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
    assert refused.status == 405
    async with ask(api, mutation) as stream:
        assert (await stream.event())["data"]["data"]["deleteRecording"]["errors"]


async def test_a_subscription_needs_a_client_that_accepts_a_stream(api: Api) -> None:
    for accept in (None, "*/*", JSON_TOO, "multipart/mixed"):
        async with follow(api, accept=accept) as response:
            (error,) = (await response.json())["errors"] if accept != "multipart/mixed" else [await response.json()]
        assert response.status == 406
        assert accept == "multipart/mixed" or "text/event-stream" in error["message"]


INVALID: list[dict[str, Any]] = [
    {"query": "subscription { nothing }"},
    {"query": "subscription {"},
    {"query": ""},
    {"query": FOLLOW, "variables": {"since": "yesterday"}},
    {"query": FOLLOW, "variables": {"since": 1}},
    {"query": f'subscription {{ recordingChanged(accountId: "{SIBLING}") {{ kind }} }}'},
    {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
]


async def test_a_document_that_is_not_valid_is_a_result(api: Api) -> None:
    for body in INVALID:
        async with StreamedRequest(api.app, body=body) as stream:
            event, last, end = await stream.events(3)
        assert (stream.status, event["event"], last["event"], end) == (200, "next", "complete", {}), body
        assert event["data"]["errors"][0]["extensions"]["code"]
        async with StreamedRequest(api.app, body=body, accept=MIXED) as stream:
            (part,) = await stream.parts(1)
            assert part["payload"]["errors"][0]["message"] == event["data"]["errors"][0]["message"]
    await freed(api)


async def test_a_bad_last_event_id_is_an_error_of_the_operation(api: Api) -> None:
    for place in ("x", "x" * 60_000, "\x00", "é", "now\x00"):
        async with follow(api, last_event_id=place) as stream:
            event, last = await stream.events(2)
        assert event["data"]["errors"][0]["extensions"]["code"] == "INVALID_CURSOR"
        assert last["event"] == "complete"


async def test_a_place_of_another_account_shows_nothing_of_it(api: Api) -> None:
    await create(api, account_id=SIBLING)
    async with follow(api, "2026-01-01T00:00:00Z", caller="sibling") as stream:
        place = (await stream.event())["id"]
    item = await create(api)
    async with follow(api, last_event_id=place) as stream:
        assert revisions(await stream.events(1)) == [item.revision]


@pytest.mark.parametrize(("accept", "form"), [(SSE, SSE), (MIXED, "multipart/mixed"), (APOLLO, RESPONSE)])
async def test_an_error_before_the_operation_has_its_status_and_an_accepted_type(
    api: Api, accept: str, form: str
) -> None:
    async with follow(api, accept=accept, caller="nobody") as refused:
        body = await refused.rest()
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.headers["content-type"].startswith(form)
    assert b"UNAUTHENTICATED" in body
    streams = [follow(api, accept=accept) for _ in range(PER_CREDENTIAL)]
    for stream in streams:
        await stream.__aenter__()
    async with follow(api, accept=accept) as refused:
        assert b"RATE_LIMITED" in await refused.rest()
    assert refused.status == 429
    assert "retry-after" in refused.headers
    # Other credentials, and queries, are not affected.
    async with follow(api, accept=accept, caller="reader") as other:
        assert other.status == 200
    await api.ask("{ viewer { name } }")
    for stream in streams:
        await stream.__aexit__(None, None, None)
    await freed(api)


async def test_other_methods_are_refused(api: Api) -> None:
    for method in ("HEAD", "PATCH", "OPTIONS"):
        async with StreamedRequest(api.app, method, "query={viewer{name}}") as refused:
            assert b"METHOD_NOT_ALLOWED" in await refused.rest()
        assert (refused.status, refused.headers["allow"]) == (405, "GET, POST, PUT, DELETE")


async def test_a_page_of_another_site_cannot_start_an_operation(api: Api) -> None:
    async with StreamedRequest(api.app, "GET", "query={viewer{name}}", caller=None, x_auth="1") as refused:
        pass
    assert refused.status == 401
    async with StreamedRequest(api.app, body={"query": "{ viewer { name } }"}, content_type="text/plain") as refused:
        assert b"UNSUPPORTED_MEDIA_TYPE" in await refused.rest()
    assert refused.status == 415
    async with StreamedRequest(api.app, body={"query": "{ viewer { name } }"}, content_encoding="gzip") as refused:
        assert b"the body has the content coding 'gzip'" in await refused.rest()
    assert refused.status == 415


async def test_a_body_that_is_too_long_is_refused(api: Api) -> None:
    async with ask(api, "#" * 2_000_000) as refused:
        assert b"PAYLOAD_TOO_LARGE" in await refused.rest()
    assert refused.status == 413


@pytest.mark.parametrize("accept", [SSE, MIXED])
@pytest.mark.event_bar(9)
async def test_revoked_credentials_end_the_stream_with_an_error(
    api: Api, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operation_streams.CHECK_SECONDS < 5
    monkeypatch.setattr(operation_streams, "CHECK_SECONDS", 0.01)
    monkeypatch.setitem(PRINCIPALS, "guest", PRINCIPALS["me"])
    async with follow(api, accept=accept, caller="guest") as stream:
        await live(api)
        monkeypatch.delitem(PRINCIPALS, "guest")
        body = await stream.rest()
    assert b'"code":"UNAUTHENTICATED"' in body
    assert body.endswith(b"event: complete\ndata:\n\n" if accept == SSE else b"\r\n--graphql--\r\n")
    await freed(api)


async def test_credentials_are_checked_while_the_client_reads_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_streams, "CHECK_SECONDS", 0.01)
    monkeypatch.setitem(PRINCIPALS, "guest", PRINCIPALS["me"])
    async with follow(api, caller="guest") as stream:
        await live(api)
        item = await create(api)
        for number in range(10):
            item = await amend(api, item, str(number))
        monkeypatch.delitem(PRINCIPALS, "guest")
        async with asyncio.timeout(20):
            while api.installation.hub.readers:  # noqa: ASYNC110 - the hub has no event for it
                await asyncio.sleep(0.01)
        events = [await stream.event()]
        while events[-1]:
            events.append(await stream.event())
    *_, event, last, _ = events
    assert event["data"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert last["event"] == "complete"


@pytest.mark.parametrize("accept", [SSE, MIXED])
async def test_a_server_that_stops_ends_its_streams_so_that_clients_subscribe_again(api: Api, accept: str) -> None:
    async with follow(api, accept=accept) as stream:
        await live(api)
        api.streams.stopping.set()
        body = await stream.rest()
    assert b"UNAVAILABLE" in body
    # After `complete`, no client would subscribe again.
    assert b"complete" not in body
    async with follow(api, accept=accept) as refused:
        assert b"UNAVAILABLE" in await refused.rest()
    assert (refused.status, "retry-after" in refused.headers) == (503, True)
    await freed(api)


@pytest.mark.event_bar(8)
async def test_a_client_that_reads_too_slowly_is_told_that_events_were_lost_and_gets_them(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(api.installation.events).follow, "__kwdefaults__", {"max_queued": 4})
    async with follow(api) as stream:
        await live(api)
        item = await create(api)
        for number in range(30):
            item = await amend(api, item, str(number))
        kinds: list[str] = []
        got: list[int] = []
        while not got or got[-1] < item.revision:
            change = (await stream.event())["data"]["data"]["recordingChanged"]
            kinds.append(change["kind"])
            got += [] if change["event"] is None else [change["event"]["revision"]]
    assert got == list(range(31))
    assert "EVENTS_LOST" in kinds


async def test_a_client_that_leaves_while_its_operation_starts_leaves_nothing_behind(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_events = api.installation.events.follow
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **options: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await follow_events(*args, **options)

    monkeypatch.setattr(api.installation.events, "follow", slow)
    request = follow(api)
    entering = asyncio.create_task(request.__aenter__())
    await begun.wait()
    request.disconnect()
    go_on.set()
    await entering
    await request.__aexit__(None, None, None)
    await freed(api)
