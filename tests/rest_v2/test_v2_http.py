"""Bodies, methods, errors, headers and CORS (`docs/v2_contract.md`, section 5)."""

import gzip
import json
import logging
import re
import zlib
from typing import Any

import pytest
from isal import isal_zlib

from adapters.http import compression
from adapters.rest_v2.listing import list_recordings as listing
from adapters.rest_v2.v2_routes import OPERATIONS
from tests.rest_v2.v2_installation import AUDIO, VERSION, V2Client, client_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CORS = {
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
}


async def test_the_envelope_of_an_error(v2: V2Client) -> None:
    response = await v2.get(f"{v2.recordings}/202403-0")
    body = response.json()
    assert body["status"] == "error"
    assert body["error"] == "404"
    assert {"data", "message", "request_id", "timestamp", "node", "auth_token", "version", "tokens"} <= set(body)
    assert body["version"] == VERSION
    assert body["auth_token"] == v2.headers["X-Auth-Token"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"5", b'"x"', b"\xff", b"[" * 100_000, b'{"data": nan}', b"{'data': 1}"],
)
async def test_a_body_that_is_not_json(v2: V2Client, content: bytes) -> None:
    response = await v2.send("GET", content=content, headers={"Content-Type": "application/json"})
    body = response.json()
    assert (response.status_code, body["message"]) == (400, "validation error")
    assert body["data"]["json"]["invalid"]["target"] == "body"
    assert " around " in body["data"]["json"]["invalid"]["message"]


async def test_invalid_data(v2: V2Client) -> None:
    for data in ("x", 5, None):
        response = await v2.send("GET", json={"data": data})
        assert (response.status_code, set(response.json()["data"])) == (400, {"data"})
    assert (await v2.send("GET", json={})).status_code == 200
    assert (await v2.send("GET", json={"DATA": {}})).status_code == 200


async def test_a_body_that_is_too_large(v2: V2Client) -> None:
    response = await v2.send("PUT", "/v2/api_auth", content=b" " * 262_145)
    message = "Payload or Files must not be more than 262144 bytes"
    assert response.status_code == 400
    assert response.json()["data"] == {"file": {"maxSize": {"message": message, "target": 262_144}}}


async def test_the_type_of_a_body(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    text = b'{"data": {"user_metadata": {"a": 1}}}'
    for name, status in (
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/x-json", 200),
        ("application/x-www-form-urlencoded", 200),
        (None, 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
    ):
        headers = {"Content-Type": name} if name else {}
        response = await v2.send("PATCH", path, content=text, headers=headers)
        assert response.status_code == status, name
        if status == 415:
            assert response.content == b""
    form = {"api_key": "0" * 64}
    assert (await v2.send("PUT", "/v2/api_auth", data=form)).status_code == 404


async def test_the_verb_parameter_of_a_post(v2: V2Client) -> None:
    assert (await v2.send("POST", params={"verb": "get"})).status_code == 200
    assert (await v2.send("POST")).status_code == 405
    assert (await v2.send("POST", headers={"X-HTTP-Method-Override": "GET"})).status_code == 405
    assert (await v2.send("GET", params={"verb": "delete"})).status_code == 200


@pytest.mark.parametrize("path", sorted({operation.path for operation in OPERATIONS}))
async def test_unsupported_methods(v2: V2Client, path: str) -> None:
    has = {operation.method for operation in OPERATIONS if operation.path == path}
    variables = ("recording_id", "user_id", "channel_id", "device_id", "webhook_id", "sample_id")
    names = {"account_id": v2.account.id, **dict.fromkeys(variables, "x")}
    for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "BREW"} - has:
        response = await v2.send(method, "/v2" + path.format(**names))
        assert response.status_code == 405, method
        assert set(response.headers["allow"].split(", ")) == has
        if method != "HEAD":
            assert response.json()["message"] == "invalid_method"
            assert response.json()["data"] == {"message": "method not allowed"}


@pytest.mark.parametrize("path", ["/v2/", "/v2/nothing", "/v2/accounts", "/v2/accounts/a/b/c/d/e/f"])
async def test_unknown_paths(v2: V2Client, path: str) -> None:
    response = await v2.send("GET", path)
    assert (response.status_code, response.json()["message"]) == (404, "not_found")
    assert response.json()["data"] == {"message": "not found"}


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v0", "v02", "v99999999999999999999", "v-1", "v+2"])
async def test_every_version_answers_as_v2(v2: V2Client, version: str) -> None:
    made = await v2.add()
    path = f"/{version}/accounts/{v2.account.id}/recordings"
    assert await v2.ids(path) == [made.id]
    audio = await v2.send("GET", f"{path}/{made.id}", headers={"Accept": "audio/mpeg"})
    assert (audio.status_code, audio.content) == (200, AUDIO)
    assert (await v2.get(f"{path}/%0A")).json()["message"] == "bad identifier"
    deleted = await v2.send("POST", f"{path}/{made.id}", params={"verb": "delete"})
    assert (deleted.status_code, deleted.json()["data"]["id"]) == (200, made.id)
    assert (await v2.get(f"/{version}/nothing")).json()["message"] == "not_found"


@pytest.mark.parametrize("version", ["v", "vx", "2", "V2", "v2a", "v 2", "v1.0", "v--1"])
async def test_a_path_without_a_valid_version_is_unknown(v2: V2Client, version: str) -> None:
    response = await v2.get(f"/{version}/accounts/{v2.account.id}/recordings")
    assert (response.status_code, response.headers["content-type"]) == (404, "text/plain; charset=utf-8")


async def test_cors_headers(v2: V2Client) -> None:
    plain = await v2.get()
    assert not CORS & set(plain.headers)
    for header in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"):
        response = await v2.send("GET", headers={header: "x"})
        assert set(response.headers) >= CORS
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["access-control-allow-methods"] == "OPTIONS, GET"
        assert "x-auth-token" in response.headers["access-control-allow-headers"]
        assert "x-request-id" in response.headers["access-control-expose-headers"]
        assert response.headers["access-control-max-age"] == "86400"
        asked = await v2.send("OPTIONS", headers={header: "x", "X-Auth-Token": None})
        assert (asked.status_code, asked.content) == (200, b"")
    one = await v2.send("OPTIONS", f"{v2.recordings}/x", headers={"Origin": "x"})
    assert one.headers["access-control-allow-methods"] == "OPTIONS, GET, DELETE, PATCH"
    for path in ("/v2/nothing", v2.recordings + "/x"):
        assert set((await v2.send("GET", path)).headers) >= CORS


async def test_the_headers_of_every_response(v2: V2Client) -> None:
    response = await v2.get()
    assert response.headers["content-language"] == "en"
    assert response.headers["vary"] == "accept-language, accept, accept-encoding"
    assert response.headers["expires"] == "Fri, 01 Jan 1999 00:00:00 GMT"
    assert "expires" not in (await v2.send("DELETE", f"{v2.recordings}/x")).headers


@pytest.mark.parametrize("given", ["abc-1", "x" * 256, 'a "b" <c>; d=e, f', "{%00}\\", "é 語 🎧", "0"])
async def test_a_request_id_is_repeated(v2: V2Client, given: str) -> None:
    named = [(b"X-Request-ID", given.encode()), *((a.encode(), b.encode()) for a, b in v2.headers.items())]
    for path in (v2.recordings, "/v2/nothing"):
        response = await v2.client.get(path, headers=named)
        (shown,) = [value for name, value in response.headers.raw if name.lower() == b"x-request-id"]
        assert shown == given.encode()
        assert response.json()["request_id"] == given
    await v2.add()
    table = await v2.client.get(v2.recordings, headers=named, params={"accept": "csv"})
    assert re.fullmatch(r'attachment; filename="json_[0-9a-f]{22}\.csv"', table.headers["content-disposition"])


@pytest.mark.parametrize(
    "given",
    [b"", b" ", b"x" * 257, b"a\tb", b"a\r\nset-cookie: b", b"\x1b[31m", b"\xff\xfe", "a\u202eb".encode(), b"a\x7f"],
)
async def test_a_request_id_that_would_break_a_header_or_a_log_is_replaced(v2: V2Client, given: bytes) -> None:
    named = [(b"X-Request-ID", given), *((a.encode(), b.encode()) for a, b in v2.headers.items())]
    response = await v2.client.get(v2.recordings, headers=named)
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("query", ["%ff=%ff", "a" * 5_000, "=&&=", "page_size", "%00=%00", "filter_=&has_key="])
async def test_unusual_queries(v2: V2Client, query: str) -> None:
    assert (await v2.client.get(f"{v2.recordings}?{query}", headers=v2.headers)).status_code in {200, 404}


async def test_too_many_parameters(v2: V2Client) -> None:
    for query in ("a=b&" * 300, "has_key=x&" * 65):
        assert (await v2.client.get(f"{v2.recordings}?{query}", headers=v2.headers)).status_code == 400


async def test_an_internal_error_shows_no_details(v2: V2Client, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def account(self, account_id: str) -> None:
            raise RuntimeError(f"secret {account_id}")

    caplog.set_level(logging.DEBUG)
    async with client_of(v2.installation.app(accounts=Broken())) as client:
        response = await client.get(f"{v2.recordings}/unknown", params={"auth_token": v2.token()})
    body = response.json()
    assert (response.status_code, body["error"], body["status"]) == (500, "500", "error")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"] == body["request_id"]
    assert isinstance(body["data"], dict)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("br;q=1, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("identity", False),
        ("x-gzip-not", False),
        ("", False),
    ],
)
async def test_gzip_if_the_client_accepts_it(v2: V2Client, header: str, taken: bool) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    for where, params in ((v2.recordings, {}), (path, {}), (v2.recordings, {"page_size": "0"})):
        async with v2.client.stream(
            "GET", where, params=params, headers={**v2.headers, "Accept-Encoding": header}
        ) as response:
            raw = b"".join([part async for part in response.aiter_raw()])
        assert (response.headers.get("content-encoding") == "gzip") is taken
        assert response.headers["content-length"] == str(len(raw))
        assert response.headers["vary"].endswith("accept-encoding")
        body = json.loads(gzip.decompress(raw) if taken else raw)
        assert body["status"] == ("error" if params else "success")


async def test_responses_that_are_never_compressed(v2: V2Client) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    tag = (await v2.get(path)).headers["etag"]
    for headers in ({"Accept": "audio/mpeg"}, {"Accept": "text/html"}, {"If-None-Match": tag}):
        response = await v2.send("GET", path, headers={"Accept-Encoding": "gzip", **headers})
        assert "content-encoding" not in response.headers


@pytest.mark.parametrize("library", [isal_zlib, zlib])
@pytest.mark.parametrize(
    "params",
    [
        {"accept": "csv", "paginate": "false"},
        {"is_chunked": "true", "paginate": "false"},
        {"paginate": "false"},
        {"paginate": "false", "pretty_print": "true"},
    ],
)
async def test_streamed_responses_are_compressed(
    v2: V2Client, library: Any, params: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_BUFFERED", 5)
    monkeypatch.setattr(compression, "_zlib", library)
    made = [(await v2.add(at=at, audio=None)).id for at in range(120)]
    answers = {}
    for coding in ("identity", "gzip"):
        headers = {**v2.headers, "Accept-Encoding": coding}
        async with v2.client.stream("GET", v2.recordings, headers=headers, params=params) as response:
            raw = b"".join([part async for part in response.aiter_raw()])
        assert (response.headers.get("content-encoding") == "gzip") is (coding == "gzip")
        assert response.headers["vary"] == "accept-language, accept, accept-encoding"
        assert "content-length" not in response.headers
        answers[coding] = gzip.decompress(raw) if coding == "gzip" else raw
        assert len(answers[coding]) > len(raw) * 4 or coding == "identity"
    if "accept" in params:
        assert answers["gzip"] == answers["identity"]
    else:
        for body in answers.values():
            assert [item["id"] for item in json.loads(body)["data"]] == made
