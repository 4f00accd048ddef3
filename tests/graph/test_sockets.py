"""GraphQL over WebSockets, through a real server and a real client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus

from adapters.http.cross_origin import CrossOrigin
from graph.server.request_log import RequestLog
from graph.subscriptions import socket_endpoint, transport_ws
from graph.subscriptions.socket_endpoint import SocketEndpoint
from recordings.model.events import Annotated, Created
from recordings.model.recording import Recording
from recordings.use_cases.save_event import RecordingWriter
from tests.graph.api import PRINCIPALS, Api, recording
from tests.support.memory_installation import ACCOUNT
from tests.support.socket_client import SocketClient, serving, socket

CHANGES = "subscription ($since: String) { recordingChanged(since: $since) { kind cursor event { revision } } }"
VIEWER = "{ viewer { account { plainId } } }"
ME = {"authorization": "Bearer me"}


@dataclass
class Service:
    """A served API."""

    api: Api
    url: str

    async def create(self, **fields: Any) -> Recording:
        self.api.made += 1
        new = replace(recording(self.api.installation.clock.now() + self.api.made), **fields)
        return await RecordingWriter(self.api.installation.store).create(new, Created(at=new.created))

    async def amend(self, item: Recording, label: str) -> Recording:
        event = Annotated(at=item.created, changes={"label": label})
        return await RecordingWriter(self.api.installation.store).save_event(item, event)

    async def live(self, number: int = 1) -> None:
        """Wait until so many subscriptions are live."""
        async with asyncio.timeout(20):
            while self.api.installation.hub.readers != number:  # noqa: ASYNC110 - the hub has no event for it
                await asyncio.sleep(0.01)


@pytest.fixture
async def service(api: Api, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(socket_endpoint, "TICK_SECONDS", 0.05)
    monkeypatch.setattr(socket_endpoint, "CHECK_SECONDS", 0.2)
    async with serving(RequestLog(api.app)) as url:
        yield Service(api, url)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[SocketClient]:
    async with socket(service.url) as client:
        await client.start(ME)
        yield client


@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": "Bearer me"}, {"authorization": "me"}, {"token": "me"}, {"X-Auth-Token": "me"},
        {"headers": {"Authorization": "Bearer me"}}, {"token": "me", "other": 1},
    ],
)  # fmt: skip
async def test_credentials_come_in_the_first_message(service: Service, payload: dict[str, Any]) -> None:
    async with socket(service.url) as client:
        await client.start(payload)
        await client.subscribe(VIEWER)
        assert await client.result() == {"viewer": {"account": {"plainId": ACCOUNT}}}
        assert await client.receive() == {"id": "1", "type": "complete"}


async def test_credentials_come_in_the_headers(service: Service) -> None:
    async with socket(service.url, "me") as client:
        await client.start()
    async with socket(service.url, "me") as client:
        await client.start({})


@pytest.mark.parametrize(
    ("token", "payload"),
    [(None, None), (None, {"token": "x"}), ("me", {"token": "x"}), ("x", None), (None, {"token": 1})],
)
@pytest.mark.event_bar(4)
async def test_refused_credentials_close_the_socket(service: Service, token: str | None, payload: Any) -> None:
    async with socket(service.url, token) as client:
        await client.send({"type": "connection_init", "payload": payload})
        code, reason = await client.closed()
    assert code == 4403
    assert reason.startswith("Forbidden: ")


@pytest.mark.parametrize("subprotocol", [None, "graphql-ws", "soap"])
@pytest.mark.event_bar(4)
async def test_another_subprotocol_is_not_accepted(service: Service, subprotocol: str | None) -> None:
    async with socket(service.url, subprotocol=subprotocol) as client:
        assert (await client.closed())[0] == 4406


@pytest.mark.parametrize("message", ["[]", '"x"', "1", b"x", '{"type":"subscribe","id":"1","payload":null}'])
@pytest.mark.event_bar(4)
async def test_a_malformed_message_closes_the_socket_without_a_traceback(
    service: Service, message: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with socket(service.url, "me") as client:
        await client.send(message)
        assert (await client.closed())[0] == 4400
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err


@pytest.mark.event_bar(4)
async def test_the_other_close_codes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    subscribe = {"type": "subscribe", "id": "1", "payload": {"query": CHANGES}}
    init = {"type": "connection_init", "payload": ME}
    for messages, code in (([subscribe], 4401), ([init, init], 4429), ([init, subscribe, subscribe], 4409)):
        async with socket(service.url) as client:
            for message in messages:
                await client.send(message)
            assert (await client.closed())[0] == code
    monkeypatch.setattr(transport_ws, "INIT_SECONDS", 0.1)
    async with socket(service.url) as client:
        assert (await client.closed())[0] == 4408


async def test_queries_mutations_and_errors(service: Service, client: SocketClient) -> None:
    item = await service.api.keep()
    await client.subscribe(f'mutation {{ deleteRecording(input: {{id: "{item.id}"}}) {{ recording {{ state }} }} }}')
    assert await client.result() == {"deleteRecording": {"recording": {"state": "TRASHED"}}}
    assert await client.receive() == {"id": "1", "type": "complete"}
    await client.subscribe("{ x }", "é")
    message = await client.receive()
    assert (message["type"], message["id"]) == ("error", "é")
    assert message["payload"][0]["extensions"]["code"] == "BAD_REQUEST"
    await client.subscribe('subscription { recordingChanged(accountId: "x") { kind } }', "é")
    assert (await client.receive())["payload"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_operations_of_one_socket_are_independent(service: Service, client: SocketClient) -> None:
    for id in ("a", "b"):
        await client.subscribe(CHANGES, id)
    await service.live(2)
    await client.send({"type": "complete", "id": "a"})
    await client.send({"type": "complete", "id": "unknown"})
    await service.live(1)
    await client.subscribe(CHANGES, "a")
    await service.live(2)
    await service.create()
    found = [await client.receive() for _ in range(2)]
    assert sorted(each["id"] for each in found) == ["a", "b"]
    await client.connection.close()
    await service.live(0)
    assert not service.api.streams.subscriptions


@pytest.mark.event_bar(4)
async def test_a_dropped_client_continues_without_gap_or_repetition(service: Service) -> None:
    item = await service.create()
    revisions: list[int] = []
    cursor = None
    for drop in range(4):
        async with socket(service.url, "me") as client:
            await client.start()
            await client.subscribe(CHANGES, since=cursor)
            if cursor is None:
                await service.live()
            for number in range(5):
                item = await service.amend(item, f"{drop} {number}")
            for _ in range(3):
                change = (await client.result())["recordingChanged"]
                revisions.append(change["event"]["revision"])
                cursor = change["cursor"]
            client.connection.transport.abort()
    assert revisions == list(range(1, 13))


async def test_pings_are_answered_and_sent(
    service: Service, client: SocketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.send({"type": "ping", "payload": {"a": 1}})
    assert await client.receive() == {"type": "pong", "payload": {"a": 1}}
    monkeypatch.setattr(transport_ws, "PING_SECONDS", 0.1)
    monkeypatch.setattr(transport_ws, "DEAD_SECONDS", 1)
    assert await client.receive() == {"type": "ping"}
    code, reason = await client.closed()
    assert code == 4408
    assert "ping" in reason


async def test_credentials_are_limited_to_ten_sockets(service: Service) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(socket(service.url, "me")) for _ in range(11)]
        for client in clients[:10]:
            await client.start()
        await clients[10].send({"type": "connection_init"})
        assert (await clients[10].closed())[0] == 4429
        other = await stack.enter_async_context(socket(service.url, "reader"))
        await other.start()
        await clients[0].connection.close()
        while service.api.streams.slots.open > 10:  # noqa: ASYNC110 - the slots have no event for it
            await asyncio.sleep(0.01)
        again = await stack.enter_async_context(socket(service.url, "me"))
        await again.start()


@pytest.mark.event_bar(9)
async def test_ended_credentials_end_the_stream(
    service: Service, client: SocketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.subscribe(CHANGES)
    await service.live()
    monkeypatch.delitem(PRINCIPALS, "me")
    assert await client.closed() == (4403, "Forbidden: send a token")
    await service.live(0)


@pytest.mark.event_bar(9)
async def test_changed_rights_end_the_stream(
    service: Service, client: SocketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.subscribe(CHANGES)
    monkeypatch.setitem(PRINCIPALS, "me", PRINCIPALS["ada"])
    assert await client.closed() == (4403, "Forbidden: these credentials have changed")


async def test_a_stopping_server_sends_its_clients_elsewhere(service: Service, client: SocketClient) -> None:
    service.api.streams.stopping.set()
    code, _ = await client.closed()
    assert code == 1012


@pytest.mark.event_bar(8)
async def test_a_client_that_does_not_read_is_closed_and_the_others_get_everything(
    service: Service, client: SocketClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_endpoint, "STALL_SECONDS", 1)
    await client.subscribe(CHANGES)
    async with socket(service.url, "reader", max_queue=1) as slow:
        await slow.start()
        slow.connection.transport.pause_reading()
        for number in range(20):
            await slow.subscribe(
                "subscription { recordingChanged { " + " ".join(f"a{n}: cursor" for n in range(90)) + " } }",
                str(number),
            )
        await service.live(21)
        item = await service.create()
        for number in range(299):
            item = await service.amend(item, str(number))
        revisions = [(await client.result())["recordingChanged"]["event"]["revision"] for _ in range(300)]
        assert revisions == list(range(300))
        await service.live(1)
        slow.connection.transport.resume_reading()
        assert (await slow.closed())[0] == 4408


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ((), None, None),
        ((), "http://{host}", None),
        ((), "https://pages.example.com", 403),
        ((), "null", 403),
        (("https://pages.example.com",), "https://pages.example.com", None),
        (("https://pages.example.com",), "https://pages.example.com.evil.example", 403),
        (("*",), "https://pages.example.com", None),
    ],
)
async def test_pages_of_other_origins_need_the_setting(
    api: Api, origins: tuple[str, ...], origin: str | None, status: int | None
) -> None:
    app = SocketEndpoint(api.streams, CrossOrigin(origins).may_connect)
    async with serving(app) as url:
        headers = {} if origin is None else {"origin": origin.format(host=url.split("/")[2])}
        if status is None:
            async with socket(url, "me", headers=headers) as client:
                await client.start()
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with socket(url, headers=headers):
                    pass
            assert refused.value.response.status_code == status


def test_a_page_of_the_public_url_may_connect() -> None:
    cross_origin = CrossOrigin((), "https://recordings.example.com/")
    assert cross_origin.may_connect(Headers({"host": "10.0.0.1:8080", "origin": "https://recordings.example.com"}))
    assert not cross_origin.may_connect(Headers({"host": "10.0.0.1:8080", "origin": "https://example.com"}))
