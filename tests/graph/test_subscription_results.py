"""The results of subscriptions, without a transport."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from graph.execution.request_limits import Limits
from graph.execution.request_params import RequestParams
from graph.execution.trusted_documents import TrustedDocument
from graph.graphql_app import GraphQLSettings
from graph.subscriptions import Caller, OperationError, ResultStream, StreamedResult
from recordings.model.events import Annotated, Created, Purged, Trashed
from recordings.model.recording import Recording
from recordings.use_cases.save_event import RecordingWriter
from tests.graph.api import PRINCIPALS, Api, open_api, recording
from tests.support.memory_installation import ACCOUNT, CHILD, SIBLING

CHANGES = """subscription Changes($filter: RecordingEventFilter, $account: ID, $below: Boolean, $since: String) {
  recordingChanged(filter: $filter, accountId: $account, descendants: $below, since: $since) {
    kind cursor event { revision subject } recording { plainId label account { name } media { url } } } }"""
SHORT = "subscription { recordingChanged { kind cursor recording { plainId } } }"


def caller_of(name: str) -> Caller:
    return Caller(PRINCIPALS[name], {"authorization": f"Bearer {name}"}, "http://api.test/", "the-request")


async def opened(api: Api, document: str = CHANGES, caller: str = "me", **variables: Any) -> ResultStream:
    return await api.streams.open(RequestParams(document, variables=variables), caller_of(caller))


async def following(results: ResultStream) -> dict[str, Any]:
    async with asyncio.timeout(20):
        result: dict[str, Any] = json.loads((await anext(results)).body)
    assert "errors" not in result, result
    found: dict[str, Any] = result["data"]["recordingChanged"]
    return found


async def create(api: Api, **fields: Any) -> Recording:
    api.made += 1
    new = replace(recording(api.installation.clock.now() + api.made), **fields)
    return await RecordingWriter(api.installation.store).create(new, Created(at=new.created))


async def save(api: Api, item: Recording, event: Any) -> Recording:
    return await RecordingWriter(api.installation.store).save_event(item, event)


async def amend(api: Api, item: Recording, label: str) -> Recording:
    return await save(api, item, Annotated(at=item.created, changes={"label": label}))


async def live(api: Api, number: int = 1) -> None:
    """Wait until so many subscriptions wait for new events: none of them still reads stored ones.

    Then an event has the same cursor for all of them, and one result.
    """
    hub = api.installation.hub
    async with asyncio.timeout(20):
        while sum(queue._is_waited for queues in hub._queues.values() for queue in queues) < number:  # noqa: ASYNC110 - the hub has no event for it
            await asyncio.sleep(0.01)


@pytest.fixture
async def tight(tmp_path: Path) -> AsyncIterator[Api]:
    """An API with small limits, and with one trusted document."""
    settings = GraphQLSettings(
        limits=Limits(cost=250, characters=500), trusted=(TrustedDocument("changes", SHORT),), burst=500, per_second=1
    )
    async with open_api(tmp_path, settings) as opened:
        yield opened


async def test_changes_come_in_their_order_with_their_recording(api: Api) -> None:
    await create(api)
    async with aclosing(await opened(api)) as results:
        item = await create(api)
        await amend(api, item, "a")
        first, second = await following(results), await following(results)
    assert [each["event"] for each in (first, second)] == [
        {"revision": 0, "subject": item.id},
        {"revision": 1, "subject": item.id},
    ]
    assert second["kind"] == "AMENDED"
    assert second["recording"]["label"] == "a"
    assert second["recording"]["account"] is not None
    assert second["recording"]["media"]["url"].startswith("http://api.test/media/")


async def test_a_subscription_continues_after_any_item_without_gap_or_repetition(api: Api) -> None:
    async with aclosing(await opened(api)) as results:
        item = await create(api)
        for number in range(9):
            item = await amend(api, item, str(number))
        found = [await following(results) for _ in range(10)]
    item = await amend(api, item, "later")
    for place, each in enumerate(found):
        async with aclosing(await opened(api, since=each["cursor"])) as results:
            rest = [(await following(results))["event"]["revision"] for _ in range(10 - place)]
        assert rest == list(range(place + 1, 11))
    params = RequestParams(CHANGES, variables={"since": "2020-01-01T00:00:00Z"})
    async with aclosing(await api.streams.open(params, caller_of("me"), found[8]["cursor"])) as results:
        assert (await anext(results)).cursor == found[9]["cursor"]


async def test_callers_get_only_what_they_may_read(api: Api) -> None:
    async with (
        aclosing(await opened(api, caller="ada")) as ada,
        aclosing(await opened(api, below=True)) as below,
        aclosing(await opened(api, caller="child")) as child,
    ):
        others = await create(api)
        hers = await create(api, owner_id="ada")
        theirs = await create(api, account_id=CHILD)
        assert (await following(ada))["event"]["subject"] == hers.id
        assert [(await following(below))["event"]["subject"] for _ in range(3)] == [others.id, hers.id, theirs.id]
        assert (await following(child))["event"]["subject"] == theirs.id


async def test_a_purged_recording_is_named_by_its_event_only(api: Api) -> None:
    item = await create(api)
    async with aclosing(await opened(api, filter={"types": ["PURGED"]})) as results:
        item = await save(api, item, Trashed(at=item.created, by="me", purge_at=item.created))
        await save(api, item, Purged(at=item.created))
        found = await following(results)
    assert (found["kind"], found["recording"], found["event"]["subject"]) == ("PURGED", None, item.id)


async def test_a_slow_client_is_told_that_events_were_lost_and_misses_none(api: Api) -> None:
    async with aclosing(await opened(api)) as results:
        pending = asyncio.create_task(following(results))
        await live(api)
        item = await create(api)
        await pending
        for number in range(300):
            item = await amend(api, item, str(number))
        found = [await following(results) for _ in range(301)]
    (place,) = [place for place, each in enumerate(found) if each["kind"] == "EVENTS_LOST"]
    assert found[place]["recording"] is None
    lost = found.pop(place)
    assert [each["event"]["revision"] for each in found] == list(range(1, 301))
    async with aclosing(await opened(api, since=lost["cursor"])) as results:
        assert (await following(results))["event"]["revision"] == place + 1


@pytest.mark.parametrize(
    ("document", "caller", "variables", "code"),
    [
        ("subscription { recordingChanged { x } }", "me", {}, "BAD_REQUEST"),
        (CHANGES, "me", {"since": "yesterday"}, "INVALID_CURSOR"),
        (CHANGES, "me", {"account": SIBLING}, "NOT_FOUND"),
        (CHANGES, "no_read", {}, "FORBIDDEN"),
        (CHANGES, "me", {"below": "x"}, "BAD_REQUEST"),
        ("", "me", {}, "BAD_REQUEST"),
    ],
)
async def test_an_operation_that_cannot_start_has_errors(
    api: Api, document: str, caller: str, variables: dict[str, Any], code: str
) -> None:
    with pytest.raises(OperationError) as raised:
        await opened(api, document, caller, **variables)
    assert [error["extensions"]["code"] for error in raised.value.errors] == [code]
    assert not api.streams.subscriptions


async def test_the_limits_and_the_price_are_those_of_http(tight: Api) -> None:
    for document in ("{ recordings(first: 100) { nodes { id start label } } }", CHANGES + "#" * 500):
        with pytest.raises(OperationError) as raised:
            await opened(tight, document)
        assert raised.value.errors[0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    first, second = [await opened(tight, SHORT) for _ in range(2)]
    with pytest.raises(OperationError) as raised:
        await opened(tight, SHORT)
    assert raised.value.errors[0]["extensions"]["code"] == "RATE_LIMITED"
    for each in (first, second):
        await each.aclose()


async def test_documents_are_found_by_their_ids(tight: Api) -> None:
    digest = sha256(SHORT.encode()).hexdigest()
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    for params in (RequestParams(document_id="changes"), RequestParams(extensions=persisted)):
        async with aclosing(await tight.streams.open(params, caller_of("me"))) as results:
            item = await create(tight)
            assert (await following(results))["recording"] == {"plainId": item.id}
    unknown = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    with pytest.raises(OperationError, match="PersistedQueryNotFound"):
        await tight.streams.open(RequestParams(extensions=unknown), caller_of("me"))


async def test_queries_and_mutations_have_one_result(api: Api) -> None:
    async with aclosing(await opened(api, "{ viewer { name } }")) as results:
        (found,) = [json.loads(each.body) async for each in results]
    assert found["data"]["viewer"] is not None
    assert found["extensions"]["cost"]["requested"] == 2
    item = await api.keep()
    text = f'mutation {{ deleteRecording(input: {{id: "{item.id}"}}) {{ recording {{ state }} }} }}'
    async with aclosing(await opened(api, text)) as results:
        (found,) = [json.loads(each.body) async for each in results]
    assert found["data"] == {"deleteRecording": {"recording": {"state": "TRASHED"}}}


async def test_subscribers_with_equal_rights_share_each_result(api: Api) -> None:
    streams = [await opened(api) for _ in range(20)]
    others = [await opened(api, caller="reader"), await opened(api, SHORT)]
    # After the first event, no stream still catches up, which gives it results of its own.
    reading = [asyncio.create_task(_take(each, 1)) for each in (*streams, *others)]
    await live(api, 22)
    await create(api)
    await asyncio.gather(*reading)
    reading = [asyncio.create_task(_take(each, 3)) for each in (*streams, *others)]
    for _ in range(3):
        await create(api)
    *same, reader, short = [await each for each in reading]
    # The bodies of the first event can differ: their signed URLs expire in different seconds.
    assert all([each.cursor for each in found] == [each.cursor for each in same[0]] for found in same)
    # The first result shows that results of this document have signed URLs, so it is made more than once.
    made = sorted(len({id(found[number]) for found in same}) for number in range(3))
    assert made[:2] == [1, 1]
    assert not {id(result) for result in (*reader, *short)} & {id(result) for result in same[0]}
    for stream in (*streams, *others):
        await stream.aclose()
    assert not api.streams.subscriptions


async def test_subscribers_that_continue_at_different_places_share_the_results_after_them(api: Api) -> None:
    items = [await create(api) for _ in range(3)]
    async with aclosing(await opened(api, since="2026-01-01T00:00:00Z")) as results:
        places = [(await following(results))["cursor"] for _ in items]
    filters: list[Any] = [{}, None]
    streams = [await opened(api, since=place, filter=each) for place in places for each in filters]
    for number, stream in enumerate(streams):
        await _take(stream, 2 - number // 2)
    reading = [asyncio.create_task(_take(each, 2)) for each in streams]
    await live(api, 6)
    for item in items[:2]:
        await amend(api, item, "x")
    found = [await each for each in reading]
    # Without sharing there are twelve, usually there are three. A stream that still catches up makes its own result.
    assert len({id(result) for results in found for result in results}) <= 6
    for stream in streams:
        await stream.aclose()


async def test_variables_of_the_result_are_not_shared(api: Api) -> None:
    document = "subscription ($a: Boolean!) { recordingChanged { cursor kind @include(if: $a) } }"
    streams = [await opened(api, document, a=each) for each in (True, False, True)]
    reading = [asyncio.create_task(_take(each, 1)) for each in streams]
    await live(api, 3)
    await create(api)
    with_kind, without, again = [(await each)[0].body for each in reading]
    assert (b"kind" in with_kind, b"kind" in without) == (True, False)
    assert with_kind == again
    for stream in streams:
        await stream.aclose()


class UnreliableOutlet:
    """A client that is ready only sometimes, and whose connection fails sometimes."""

    def __init__(self, got: list[StreamedResult]) -> None:
        self.got = got
        self.sent = self.refused = self.asked = 0

    @property
    def is_ready(self) -> bool:
        self.asked += 1
        return self.asked % 5 != 0

    def send(self, result: StreamedResult) -> None:
        if self.asked % 3 == 0:
            self.refused += 1
            raise ConnectionError
        self.sent += 1
        self.got.append(result)


async def test_results_that_are_sent_at_once_and_by_the_task_have_one_order(tight: Api) -> None:
    document = "subscription { recordingChanged { event { revision } } }"
    got: list[StreamedResult] = []
    outlet = UnreliableOutlet(got)
    async with aclosing(await opened(tight, document)) as results:
        results.open_outlet(outlet)

        async def follow() -> None:
            async for result in results:
                got.append(result)  # noqa: PERF401 - they are read one by one

        following_task = asyncio.create_task(follow())
        await live(tight)
        item = await create(tight)
        for number in range(40):
            item = await amend(tight, item, str(number))
            if number % 4 == 0:
                await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            while len(got) < 41:  # noqa: ASYNC110 - two parts add results
                await asyncio.sleep(0.01)
        following_task.cancel()
    found = [json.loads(each.body)["data"]["recordingChanged"]["event"]["revision"] for each in got]
    assert found == list(range(41))
    assert outlet.sent > 0
    assert outlet.refused > 0
    assert len(got) - outlet.sent > 0


async def _take(results: ResultStream, number: int) -> list[StreamedResult]:
    return [await anext(results) for _ in range(number)]


CALLS = """subscription ($account: ID, $since: String) { callsChanged(accountId: $account, since: $since) {
  kind cursor call { callId id node capabilities } } }"""


async def call_update(results: ResultStream) -> tuple[str, str | None, str]:
    async with asyncio.timeout(20):
        result = json.loads((await anext(results)).body)
    assert "errors" not in result, result
    found = result["data"]["callsChanged"]
    return found["kind"], found["call"] and found["call"]["callId"], found["cursor"]


async def test_changes_of_calls(api: Api) -> None:
    recorder, hub = api.installation.recorder, api.installation.call_hub
    recorder.ring(ACCOUNT, "first")
    async with (
        aclosing(await opened(api, CALLS)) as results,
        aclosing(await opened(api, CALLS, "ada")) as hers,
        aclosing(await opened(api, CALLS, account=CHILD)) as below,
    ):
        assert (await call_update(results))[:2] == ("CURRENT", "first")
        recorder.ring(ACCOUNT, "second", "ada")
        recorder.ring(CHILD, "third")
        hub.note_change()
        *found, cursor = await call_update(results)
        assert found == ["STARTED", "second"]
        assert (await call_update(hers))[:2] == ("STARTED", "second")
        assert (await call_update(below))[:2] == ("STARTED", "third")
    recorder.hang_up(ACCOUNT, "first")
    async with aclosing(await opened(api, CALLS, since=cursor)) as results:
        assert (await call_update(results))[:2] == ("ENDED", "first")
    for caller, variables, code in (
        ("me", {"account": SIBLING}, "NOT_FOUND"),
        ("no_read", {}, "FORBIDDEN"),
        ("me", {"since": "x"}, "INVALID_CURSOR"),
    ):
        with pytest.raises(OperationError) as raised:
            await opened(api, CALLS, caller, **variables)
        assert raised.value.errors[0]["extensions"]["code"] == code
