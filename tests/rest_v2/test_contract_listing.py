"""More rules of lists (`docs/v2_contract.md`, section 1)."""

import re
import zlib
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from adapters.http.streaming_response import BodySourceError
from adapters.rest_v2.listing import list_recordings as listing
from recordings.model.query import Page, PageRequest, Query
from tests.rest_v2.test_channels import ask, flow
from tests.rest_v2.v2_installation import OFFSET, V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


# Order and ids


async def test_the_form_of_an_id(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "id")
    await ask(v2, "id", flow())
    active = await v2.installation.store.find_active(v2.account.id, "id")
    assert active is not None
    month = datetime.fromtimestamp(active.start / 1_000, UTC).strftime("%Y%m")
    assert re.fullmatch(rf"{month}-[0-9a-f]{{32}}", active.id)
    await ask(v2, "id", flow("stop"))
    assert await v2.ids() == [active.id]


async def test_a_recording_over_the_end_of_a_month(v2: V2Client) -> None:
    # Its id has the month of its start. Its end, which lists are sorted by, is in the next month.
    made = await v2.add(id=f"202401-{v2.account.id}", created=1_706_745_595_000, ended=1_706_745_605_000)
    january, february = 63_871_761_600 + 86_400, 63_873_964_800
    assert february == 1_706_745_600 + OFFSET
    assert await v2.ids(created_from=str(february), created_to=str(february + 60)) == [made.id]
    assert await v2.ids(created_from=str(january), created_to=str(february)) == []
    path = f"{v2.recordings}/{made.id}"
    assert (await v2.get(path)).json()["data"]["id"] == made.id
    assert (await v2.get(path, accept="audio/mpeg")).status_code == 200
    assert (await v2.send("DELETE", path)).status_code == 200


async def test_a_client_that_lists_since_its_last_request_misses_nothing(v2: V2Client) -> None:
    # It started three hours ago and ended a minute ago.
    now = v2.installation.clock.now()
    made = await v2.add(created=now - 10_800_000, ended=now - 60_000)
    assert await v2.ids(created_from=v2.now - 3_600) == [made.id]
    assert await v2.ids(created_to=v2.now - 3_600) == []
    assert await v2.ids(filter_pvt_created=v2.now - 60) == [made.id]


@pytest.mark.parametrize(
    "path", ["devices/x/recordings", "storage/plans", "att_handlers_errors", "cdrs", "users/x/devices"]
)
async def test_resources_that_are_not_offered(v2: V2Client, path: str) -> None:
    await v2.add()
    response = await v2.get(f"{v2.path}/{path}")
    assert (response.status_code, response.json()["message"]) == (404, "not_found")


# Paging


async def test_a_start_key_in_a_body(v2: V2Client) -> None:
    made = [(await v2.add(at=at)).id for at in range(3)]
    key = (await v2.get(page_size=1)).json()["next_start_key"]
    for body in ({"data": {"start_key": key}}, {"start_key": key}):
        response = await v2.send("GET", json=body)
        assert [item["id"] for item in response.json()["data"]] == made[1:]


async def test_an_end_key_has_no_effect(v2: V2Client) -> None:
    made = [(await v2.add(at=at)).id for at in range(2)]
    for key in ("nonsense", "g2wAAAACbgUAEkRl3w5oAWpq", ""):
        assert await v2.ids(end_key=key) == made


# Time range


@pytest.mark.parametrize("name", ["modified_from", "modified_to"])
async def test_modified_times_also_apply_alone(v2: V2Client, name: str) -> None:
    await v2.add()
    outside = str(v2.now + 10 if name == "modified_from" else v2.now - 10)
    for others in ({}, {"filter_not_call_id": "x"}):
        assert await v2.ids(**{name: outside}, **others) == []


# CSV


async def test_a_file_name_in_a_body(v2: V2Client) -> None:
    await v2.add()
    response = await v2.send("GET", json={"data": {"accept": "text/csv", "file_name": "mine.csv"}})
    assert response.headers["content-disposition"] == 'attachment; filename="mine.csv"'


async def test_rows_end_in_a_line_feed(v2: V2Client) -> None:
    await v2.add()
    text = (await v2.get(accept="csv")).text
    assert text.endswith('"\n')
    assert "\r" not in text


# Chunked responses and failures


async def test_jsonp_has_no_effect(v2: V2Client) -> None:
    made = await v2.add()
    for path in (v2.recordings, f"{v2.recordings}/{made.id}"):
        response = await v2.get(path, jsonp="evil")
        assert response.headers["content-type"] == "application/json"
        assert response.json()["status"] == "success"


async def test_a_chunk_size_of_zero_is_rejected(v2: V2Client) -> None:
    response = await v2.get(is_chunked="true", chunk_size="0")
    assert (response.status_code, response.json()["data"]) == (404, {"message": "chunk size must be at least 1"})


def scope_of(request: httpx.Request) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }


@pytest.mark.parametrize("params", [{}, {"paginate": "false"}, {"accept": "csv"}])
async def test_reading_stops_when_the_client_disconnects(
    v2: V2Client, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(250):
        await v2.add(at=at, audio=None)
    service, pages = v2.installation.service, 0
    inner = service.page

    async def page(principal: Any, query: Query, request: PageRequest) -> Page:
        nonlocal pages
        pages += 1
        return await inner(principal, query, request)

    monkeypatch.setattr(service, "page", page)
    messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if len(messages) > 1 else messages[0]

    async def send(_message: Message) -> None:
        """Drop the message: the client has disconnected."""

    # The store cannot apply this filter, and no document matches it.
    query = {"filter_nothing": "x", **params}
    request = v2.client.build_request("GET", v2.recordings, params=query, headers=v2.headers)
    with pytest.raises(ClientDisconnect):
        await v2.installation.app()(scope_of(request), receive, send)
    assert pages == 1


@pytest.mark.parametrize("params", [{"is_chunked": "true"}, {}, {"accept": "csv"}])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_response_that_fails_in_the_middle_does_not_end_as_a_success(
    v2: V2Client, params: dict[str, str], coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_BUFFERED", 5)
    for at in range(250):
        await v2.add(at=at, audio=None)
    service, pages = v2.installation.service, 0
    inner = service.page

    async def page(principal: Any, query: Query, request: PageRequest) -> Page:
        nonlocal pages
        pages += 1
        if pages > 1:
            raise ConnectionResetError
        return await inner(principal, query, request)

    monkeypatch.setattr(service, "page", page)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    # This test calls the app directly, because the client hides an incomplete response.
    headers = {**v2.headers, "Accept-Encoding": coding}
    request = v2.client.build_request("GET", v2.recordings, params={"paginate": "false", **params}, headers=headers)
    with pytest.raises(BodySourceError):
        await v2.installation.app()(scope_of(request), receive, send)
    begun, *parts = sent
    assert begun["status"] == 200
    assert parts
    assert all(part["more_body"] for part in parts)
    body = b"".join(part["body"] for part in parts)
    if coding == "gzip":
        reader = zlib.decompressobj(31)
        body = reader.decompress(body)
        assert not reader.eof
    assert b"caller_id_name" in body
    assert b'"success"' not in body
