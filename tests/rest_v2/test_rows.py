"""Rows of the contract's tables that have no test among their neighbours, by their sections."""

import base64
import csv
import io
import json
import re
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.types import Message

from adapters.http.streaming import BrokenOffError
from adapters.rest_v2 import listing
from recordings.access import Scope
from recordings.options import RecordingOptions
from recordings.query import Page, PageRequest, Query
from recordings.recording import State
from tests.rest_v2.test_auth import NOBODY, digest
from tests.rest_v2.test_channels import ask, flow
from tests.rest_v2.world import OFFSET, Site, new_account

pytestmark = pytest.mark.asyncio(loop_scope="session")


# 0: D2, D5, and 6.2: what is not said has its documented default


async def test_the_defaults_of_a_start(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "defaults")
    assert (await ask(site, "defaults", flow())).status_code == 201
    active = await site.world.store.find_active(site.account.id, "defaults")
    assert active is not None
    options = active.options
    assert (options.time_limit, options.should_follow_transfer, options.method) == (3_600, True, "put")
    assert (options.record_on_answer, options.record_on_bridge) == (False, False)
    assert (options.url, options.media_name, options.label) == (None, None, None)
    assert (active.format, active.state) == ("mp3", State.RECORDING)


# 1.3


async def test_the_form_of_an_id(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "id")
    await ask(site, "id", flow())
    active = await site.world.store.find_active(site.account.id, "id")
    assert active is not None
    month = datetime.fromtimestamp(active.start / 1_000, UTC).strftime("%Y%m")
    assert re.fullmatch(rf"{month}-[0-9a-f]{{32}}", active.id)
    await ask(site, "id", flow("stop"))
    assert await site.ids() == [active.id]


async def test_a_recording_that_crosses_the_end_of_a_month(site: Site) -> None:
    # Its id is of the month in which it began, the instant that lists go by is of the next one.
    made = await site.add(id=f"202401-{site.account.id}", created=1_706_745_605_000, start=1_706_745_595_000)
    january, february = 63_871_761_600 + 86_400, 63_873_964_800
    assert february == 1_706_745_600 + OFFSET
    assert await site.ids(created_from=str(february), created_to=str(february + 60)) == [made.id]
    assert await site.ids(created_from=str(january), created_to=str(february)) == []
    path = f"{site.recordings}/{made.id}"
    assert (await site.get(path)).json()["data"]["id"] == made.id
    assert (await site.get(path, accept="audio/mpeg")).status_code == 200
    assert (await site.send("DELETE", path)).status_code == 200


async def test_the_lists_of_devices_are_none(site: Site) -> None:
    await site.add()
    response = await site.get(f"{site.path}/devices/{'d' * 32}/recordings")
    assert (response.status_code, response.json()["message"]) == (404, "not_found")


# 1.4


async def test_a_start_key_in_a_body(site: Site) -> None:
    made = [(await site.add(at=at)).id for at in range(3)]
    key = (await site.get(page_size=1)).json()["next_start_key"]
    for body in ({"data": {"start_key": key}}, {"start_key": key}):
        response = await site.send("GET", json=body)
        assert [item["id"] for item in response.json()["data"]] == made[1:]


async def test_an_end_key_has_no_effect(site: Site) -> None:
    made = [(await site.add(at=at)).id for at in range(2)]
    for key in ("nonsense", "g2wAAAACbgUAEkRl3w5oAWpq", ""):
        assert await site.ids(end_key=key) == made


# 1.5


@pytest.mark.parametrize("name", ["modified_from", "modified_to"])
async def test_times_of_change_count_alone_too(site: Site, name: str) -> None:
    await site.add()
    behind = str(site.now + 10 if name == "modified_from" else site.now - 10)
    for others in ({}, {"filter_not_call_id": "x"}):
        assert await site.ids(**{name: behind}, **others) == []


# 1.7


async def test_a_file_name_in_a_body(site: Site) -> None:
    await site.add()
    response = await site.send("GET", json={"data": {"accept": "text/csv", "file_name": "mine.csv"}})
    assert response.headers["content-disposition"] == 'attachment; filename="mine.csv"'


async def test_rows_end_in_one_character(site: Site) -> None:
    await site.add()
    text = (await site.get(accept="csv")).text
    assert text.endswith('"\n')
    assert "\r" not in text


# 1.8


async def test_jsonp_has_no_effect(site: Site) -> None:
    made = await site.add()
    for path in (site.recordings, f"{site.recordings}/{made.id}"):
        response = await site.get(path, jsonp="evil")
        assert response.headers["content-type"] == "application/json"
        assert response.json()["status"] == "success"


async def test_no_chunk_is_empty(site: Site) -> None:
    response = await site.get(is_chunked="true", chunk_size="0")
    assert (response.status_code, response.json()["data"]) == (404, {"message": "chunk size must be at least 1"})


@pytest.mark.parametrize("params", [{"is_chunked": "true"}, {}, {"accept": "csv"}])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_what_breaks_off_in_the_middle_is_not_ended_as_a_success(
    site: Site, params: dict[str, str], coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "HELD", 5)
    for at in range(250):
        await site.add(at=at, audio=None)
    service, pages = site.world.service, 0
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

    # By the protocol itself: a client shows nothing of what is unfinished.
    headers = {**site.headers, "Accept-Encoding": coding}
    request = site.client.build_request("GET", site.recordings, params={"paginate": "false", **params}, headers=headers)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    with pytest.raises(BrokenOffError):
        await site.world.app()(scope, receive, send)
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


# 2.1


async def test_one_document_as_a_table(site: Site) -> None:
    made = await site.add()
    response = await site.get(f"{site.recordings}/{made.id}", accept="csv")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/csv")
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert (row["ID"], row["call_id"], row["duration_ms"]) == (made.id, made.call_id, "42380")
    # Not by the header: 406.
    by_header = await site.send("GET", f"{site.recordings}/{made.id}", headers={"Accept": "text/csv"})
    assert (by_header.status_code, by_header.content) == (406, b"")


@pytest.mark.parametrize("accept", ["nonsense", "audio/mpeg;q=2", "a/b c"])
async def test_a_malformed_accept_of_one(site: Site, accept: str) -> None:
    made = await site.add()
    response = await site.send("GET", f"{site.recordings}/{made.id}", headers={"Accept": accept})
    assert (response.status_code, response.content) == (400, b"")


async def test_of_equals_the_last_is_taken(site: Site) -> None:
    made = await site.add()
    for accept, kind in (
        ("audio/mpeg, application/json", "application/json"),
        ("application/json, audio/mpeg", "audio/mpeg"),
        ("audio/mpeg;q=0.9, application/json;q=0.8", "audio/mpeg"),
        ("audio/mpeg, */*", "application/json"),
    ):
        response = await site.send("GET", f"{site.recordings}/{made.id}", headers={"Accept": accept})
        assert response.headers["content-type"] == kind, accept


# 2.3


async def test_a_list_is_never_what_one_has_already(site: Site) -> None:
    empty = await site.send("GET", headers={"If-None-Match": '"x"'})
    assert (empty.status_code, empty.json()["data"]) == (200, [])
    await site.add()
    tags = set()
    for _ in range(2):
        tags.add((await site.get()).headers["etag"])
    assert len(tags) == 2
    for tag in (*tags, "*"):
        assert (await site.send("GET", headers={"If-None-Match": tag})).status_code == 200


# 3


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
async def test_a_conflict_of_writes(site: Site, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await site.add()

    async def beaten(*_: Any) -> bool:
        return False

    monkeypatch.setattr(site.world.store, "save", beaten)
    body = {"json": {"data": {"user_metadata": {"a": 1}}}} if method == "PATCH" else {}
    response = await site.send(method, f"{site.recordings}/{made.id}", **body)
    assert (response.status_code, response.json()["error"]) == (409, "409")
    assert response.json()["message"] == "datastore_conflict"
    assert response.json()["data"]["message"] == "conflicting documents"


@pytest.mark.parametrize("where", ["data", "envelope"])
async def test_soft_in_a_body_is_the_same_too(site: Site, where: str) -> None:
    made = await site.add()
    said = {"should_soft_delete": False}
    body = {"data": said} if where == "data" else {"data": {}, **said}
    assert (await site.send("DELETE", f"{site.recordings}/{made.id}", json=body)).status_code == 200
    assert (await site.get(f"{site.recordings}/{made.id}")).status_code == 404


# 4.1


async def test_the_first_token_that_is_found_is_taken(site: Site) -> None:
    token, wrong = site.token(), "wrong"
    bearer = {"Authorization": f"Bearer {token}"}
    ways: list[tuple[int, dict[str, Any]]] = [
        (200, {"json": {"data": {"auth_token": token}, "auth_token": wrong}, "params": {"auth_token": wrong}}),
        (401, {"json": {"data": {"auth_token": wrong}, "auth_token": token}, "params": {"auth_token": token}}),
        (200, {"json": {"data": {}, "auth_token": wrong}, "params": {"auth_token": token}}),
        (200, {"headers": {"Authorization": "Bearer x"}, "params": {"auth_token": token}}),
        (401, {"headers": bearer, "params": {"auth_token": wrong}}),
        (200, {"headers": bearer, "params": {"authorization": "Bearer wrong"}}),
        (200, {"json": {"data": {"authorization": f"Bearer {token}"}}}),
        (200, {"json": {"authorization": f"Bearer {token}"}}),
    ]
    for status, way in ways:
        headers = {**NOBODY, **way.pop("headers", {})}
        assert (await site.send("GET", headers=headers, **way)).status_code == status, way


# 4.2 and 4.3


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


async def test_what_a_login_gives(site: Site) -> None:
    name = f"logins {site.account.id}"
    account = await new_account(site.world, name)
    user = await site.world.members.create(account.id, "bob", "Sesame")
    data = {"credentials": digest("bob", "Sesame").upper(), "account_name": name}
    response = await site.send("PUT", "/v2/user_auth", headers=NOBODY, json={"data": data})
    body = response.json()
    assert response.status_code == 201
    assert body["tokens"] == {"consumed": 35, "remaining": 65}
    assert body["data"] == {
        "account_id": account.id,
        "owner_id": user.id,
        "account_name": name,
        "apps": [],
        "language": "en-us",
        "reseller_id": account.id,
        "is_reseller": False,
        "is_master_account": False,
        "cluster_id": "",
        "capabilities": {},
        "ui_config": {},
    }
    said = claims(body["auth_token"])
    assert (said["account_id"], said["owner_id"]) == (account.id, user.id)
    # An hour; and using it does not make it longer.
    assert said["exp"] == site.now - OFFSET + 3_600
    headers = {"X-Auth-Token": body["auth_token"]}
    for _ in range(2):
        told = (await site.send("GET", "/v2/token_auth", headers=headers)).json()
        assert (told["data"]["exp"], told["auth_token"]) == (said["exp"], body["auth_token"])
        assert told["data"]["owner_id"] == user.id


# 5


async def test_where_a_parameter_is_looked_for_first(site: Site) -> None:
    for at in range(4):
        await site.add(at=at, audio=None)
    for size, body, params in (
        (1, {"data": {"page_size": 1}, "page_size": 3}, {"page_size": "2"}),
        (2, {"data": {}, "page_size": 3}, {"page_size": "2"}),
        (3, {"data": {}, "PAGE_SIZE": 3}, {}),
    ):
        response = await site.send("GET", json=body, params=params)
        assert response.json()["page_size"] == size


@pytest.mark.parametrize("name", ["text/csv", "text/comma-separated-values"])
async def test_a_body_that_is_said_to_be_a_table_is_not_415(site: Site, name: str) -> None:
    made = await site.add()
    response = await site.send(
        "PATCH", f"{site.recordings}/{made.id}", content=b'"a","b"\n', headers={"Content-Type": name}
    )
    assert (response.status_code, response.json()["message"]) == (400, "validation error")


async def test_a_dot_in_a_name_is_written_otherwise(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "dots")
    response = await ask(site, "dots", flow("start", **{"a.b": 1}))
    assert response.status_code == 400
    assert list(response.json()["data"]) == ["data.a%2Eb"]


async def test_the_headers_for_other_origins_word_for_word(site: Site) -> None:
    asked = await site.send("OPTIONS", headers={"Origin": "https://ui.example.com", "X-Auth-Token": None})
    listed = await site.send("GET", headers={"Origin": "https://ui.example.com"})
    for response in (asked, listed):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-headers"] == (
            "content-type, depth, user-agent, x-http-method-override, x-file-size, x-requested-with, "
            "if-modified-since, x-file-name, cache-control, x-auth-token, x-kazoo-cluster-id, if-match"
        )
        assert response.headers["access-control-expose-headers"] == (
            "content-type, x-auth-token, x-request-id, x-kazoo-cluster-id, location, etag, etag"
        )
        assert response.headers["access-control-max-age"] == "86400"
        assert response.headers["access-control-allow-methods"].startswith("OPTIONS, ")


@pytest.mark.parametrize("status", [304, 406, 412, 415])
async def test_answers_without_a_body(site: Site, status: int) -> None:
    made = await site.add()
    path = f"{site.recordings}/{made.id}"
    tag = (await site.get(path)).headers["etag"]
    method, headers, content = {
        304: ("GET", {"If-None-Match": tag}, b""),
        406: ("GET", {"Accept": "text/html"}, b""),
        412: ("GET", {"If-Match": '"x"'}, b""),
        415: ("PATCH", {"Content-Type": "text/plain"}, b"{}"),
    }[status]
    response = await site.send(method, path, headers=headers, content=content)
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["x-request-id"]
    assert "content-type" not in response.headers


# 6.1


async def test_a_channel_of_another_account(site: Site) -> None:
    other = await new_account(site.world)
    site.world.recorder.ring(other.id, "theirs")
    for action in ("start", "stop", "mask", "unmask"):
        response = await ask(site, "theirs", flow(action))
        assert (response.status_code, response.json()["message"]) == (404, "bad identifier")
        assert response.json()["data"] == ["theirs"]
    assert await site.world.store.find_active(other.id, "theirs") is None


async def test_what_else_there_is_about_channels_is_not_here(site: Site) -> None:
    assert (await site.get(f"{site.path}/channels")).status_code == 404
    assert (await site.get(f"{site.path}/channels/x")).status_code == 405


# 6.2 and 6.3


async def test_skipping_is_a_part_of_callflows_alone(site: Site) -> None:
    site.world.recorder.ring(site.account.id, "skip")
    assert (await ask(site, "skip", flow("start", skip_module=True))).status_code == 201
    assert await site.world.store.find_active(site.account.id, "skip") is not None


@pytest.mark.parametrize(("label", "origin"), [(None, "rest:tester"), ("Front desk", "rest:tester : Front desk")])
async def test_how_it_was_started(site: Site, label: str | None, origin: str) -> None:
    site.world.recorder.ring(site.account.id, "origin")
    for action, given in (("start", {} if label is None else {"label": label}), ("stop", {})):
        assert (await ask(site, "origin", flow(action, **given))).status_code == 201
    (item,) = (await site.get()).json()["data"]
    assert item["origin"] == origin


# 6.4


@pytest.mark.parametrize("name", ["record_on_answer", "record_on_bridge"])
async def test_what_was_waited_for_never_came(site: Site, name: str) -> None:
    site.world.recorder.ring(site.account.id, name)
    assert (await ask(site, name, flow("start", **{name: True}))).status_code == 201
    assert (await ask(site, name, flow("stop"))).status_code == 201
    assert await site.world.store.find_active(site.account.id, name) is None
    assert await site.ids() == []


# 8


KINDS = {
    "id": str, "name": str, "description": str, "content_type": str, "media_type": str, "media_source": str,
    "source_type": str, "from": str, "to": str, "request": str, "direction": str, "start": int, "duration": int,
    "duration_ms": int, "caller_id_name": str, "caller_id_number": str, "callee_id_name": str,
    "callee_id_number": str, "call_id": str, "interaction_id": str, "cdr_id": str, "owner_id": str,
    "endpoint_id": str, "origin": str, "url": str, "custom_channel_vars": dict,
}  # fmt: skip


async def complete(site: Site, **given: Any) -> Any:
    return await site.add(
        **{
            "request": "+14155550123@acme.example.com",
            "callee_id_name": "Grace",
            "callee_id_number": "+14155550123",
            "interaction_id": "63877497820-3f2a1b9c",
            "cdr_id": "202403-x",
            "owner_id": "8e248327b85591955749e53ea45b6baa",
            "endpoint_id": "63fbb9ac78e11f3ccb387928a423798a",
            "origin": "callflow : Front desk",
            "options": RecordingOptions(url="https://example.com/in"),
            "custom_channel_vars": {"Account-ID": site.account.id},
            **given,
        }
    )


@pytest.mark.parametrize(("format", "content_type"), [("mp3", "audio/mpeg"), ("wav", "audio/x-wav")])
async def test_every_field_of_a_document(site: Site, format: str, content_type: str) -> None:
    made = await complete(site, format=format, duration_ms=42_999)
    document = (await site.get(f"{site.recordings}/{made.id}")).json()["data"]
    assert set(document) == set(KINDS)
    assert all(isinstance(document[name], kind) for name, kind in KINDS.items())
    assert document["name"] == f"{made.id}.{format}"
    assert document["description"] == f"recording {document['name']}"
    assert (document["content_type"], document["media_type"]) == (content_type, format)
    assert document["media_source"] == "recorded"
    assert document["start"] == made.start // 1_000 + OFFSET
    # Whole seconds, cut off.
    assert (document["duration"], document["duration_ms"]) == (42, 42_999)
    assert document["custom_channel_vars"] == {"Account-ID": site.account.id}
    assert document["url"] == "https://example.com/in"
    (item,) = (await site.get()).json()["data"]
    assert item == {**document, "_read_only": {"content_types": [content_type]}}
    deleted = (await site.send("DELETE", f"{site.recordings}/{made.id}")).json()["data"]
    assert deleted == {**document, "_read_only": {"deleted": True}}


async def test_where_it_is_sent_to_is_for_those_who_may_say_so(site: Site) -> None:
    for given in ({}, {"imported": {"id": "x", "url": "https://example.com/in", "from": "x"}}):
        made = await complete(site, **given)
        path = f"{site.recordings}/{made.id}"
        assert (await site.get(path)).json()["data"]["url"] == "https://example.com/in"
        assert await site.ids(filter_url="https://example.com/in") == [made.id]
        site.headers = {"X-Auth-Token": site.token(Scope.READ, Scope.DELETE)}
        assert await site.ids(filter_url="https://example.com/in") == await site.ids(has_key="url") == []
        for answer in (
            await site.get(),
            await site.get(is_chunked="true"),
            await site.get(accept="csv"),
            await site.get(path),
            await site.get(path, accept="csv"),
            await site.send("DELETE", path),
        ):
            assert answer.status_code == 200
            assert made.id in answer.text
            assert "example.com/in" not in answer.text
        site.headers = {"X-Auth-Token": site.token()}


async def test_what_has_no_value_is_left_out(site: Site) -> None:
    made = await site.add()
    document = (await site.get(f"{site.recordings}/{made.id}")).json()["data"]
    assert None not in document.values()
    left_out = {"request", "callee_id_name", "callee_id_number", "interaction_id", "cdr_id", "owner_id", "url"}
    assert not left_out & set(document)
