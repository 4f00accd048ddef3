"""Web pages of other sites, and credentials that a browser adds by itself (`docs/v2_contract.md`, section 5.6)."""

import hashlib
from base64 import b64encode
from typing import Any

import pytest

from recordings.model.user import PrivLevel
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVIL = {"Origin": "https://evil.example"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def basic(v2: V2Client) -> dict[str, Any]:
    """The headers of a browser that remembers the credentials of an administrator."""
    await v2.installation.users.create(v2.account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
    digest = hashlib.md5(b"admin:secret", usedforsecurity=False).hexdigest()
    text = b64encode(f"{v2.account.id}:{digest}".encode()).decode()
    return {"X-Auth-Token": None, "Authorization": f"Basic {text}"}


@pytest.mark.parametrize(
    ("method", "params", "headers", "body"),
    [
        ("POST", {"verb": "DELETE"}, EVIL | FORM, b"x=1"),
        ("POST", {"verb": "delete"}, EVIL | FORM, b""),
        ("POST", {}, EVIL | {"Content-Type": "text/plain"}, b'{"verb":"DELETE","data":{}}'),
        ("POST", {"verb": "PATCH"}, EVIL | FORM, b'{"data":{"user_metadata":{"a":1}}}'),
        ("POST", {"verb": "DELETE"}, {"Origin": "null"} | FORM, b""),
        ("POST", {"verb": "DELETE"}, {"Origin": "http://[evil"}, b""),
        ("POST", {"verb": "DELETE"}, {"Origin": "http://rest.invalid:81"}, b""),
        ("POST", {"verb": "DELETE"}, {"Sec-Fetch-Site": "cross-site"}, b""),
        ("POST", {"verb": "DELETE"}, {"Sec-Fetch-Site": "same-site", "Origin": "http://rest.invalid"}, b""),
        ("DELETE", {}, EVIL, b""),
    ],
)
async def test_another_site_cannot_use_basic_credentials(
    v2: V2Client, method: str, params: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    response = await v2.send(method, path, params=params, headers=await basic(v2) | headers, content=body)
    assert (response.status_code, response.json()["message"]) == (403, "forbidden")
    assert response.json()["data"]["cause"] == "a page of another site must send a token, not Basic credentials"
    (item,) = (await v2.get()).json()["data"]
    assert (item["id"], "user_metadata" in item) == (made.id, False)


async def test_another_site_cannot_start_a_recording_with_basic_credentials(v2: V2Client) -> None:
    v2.installation.recorder.ring(v2.account.id, "call")
    body = b'{"action":"metaflow","verb":"PUT","data":{"module":"record_call"}}'
    headers = await basic(v2) | EVIL | FORM
    response = await v2.send("POST", f"{v2.path}/channels/call", headers=headers, content=body)
    assert response.status_code == 403
    assert await v2.installation.store.find_active(v2.account.id, "call") is None


@pytest.mark.parametrize("where", ["x-auth-token", "bearer", "query", "form"])
async def test_another_site_that_has_a_token_may_delete(v2: V2Client, where: str) -> None:
    made = await v2.add()
    token = v2.token()
    headers: dict[str, Any] = {"X-Auth-Token": token if where == "x-auth-token" else None}
    headers |= {"Authorization": f"Bearer {token}"} if where == "bearer" else {}
    query = {"verb": "DELETE"} | ({"auth_token": token} if where == "query" else {})
    content = f"auth_token={token}".encode() if where == "form" else b""
    path = f"{v2.recordings}/{made.id}"
    response = await v2.send("POST", path, params=query, headers=headers | EVIL | FORM, content=content)
    assert (response.status_code, response.json()["data"]["id"]) == (200, made.id)


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://rest.invalid"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
async def test_basic_credentials_work_without_another_site(v2: V2Client, headers: dict[str, str]) -> None:
    made = await v2.add()
    path = f"{v2.recordings}/{made.id}"
    headers = await basic(v2) | headers
    assert (await v2.send("POST", path, params={"verb": "DELETE"}, headers=headers)).status_code == 200


async def test_another_site_may_read_with_basic_credentials(v2: V2Client) -> None:
    # The browser does not show the response to the page: it has no Access-Control-Allow-Credentials.
    response = await v2.send("GET", headers=await basic(v2) | EVIL)
    assert response.status_code == 200
    assert "access-control-allow-credentials" not in response.headers
