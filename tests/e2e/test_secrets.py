"""Tokens, keys, ingest addresses and signatures are never logged."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.e2e.installation import ACCOUNT, make_account, make_ingest
from tests.e2e.server import Server, until


@pytest.fixture
def server(data: Path) -> Iterator[Server]:
    with Server(data, "--log-level", "debug") as server:
        yield server


def send_invalid_message(address: str) -> None:
    with connect(address, proxy=None) as connection:
        connection.send("this is no media stream")
        connection.recv(timeout=10)


def test_no_secret_is_logged(server: Server, data: Path) -> None:
    token = make_account(data)
    path = make_ingest(data)
    secret = path.rsplit("/", 1)[1]
    client = server.client(token)
    with server.call(20, "--account", ACCOUNT) as call:
        identity = client.start(call.id)["plainId"]
        client.do("stopRecording", id=identity)
        call.hang_up()
    media = client.wait_for(identity, "STORED", "DISCARDED")["media"]
    signature = re.search(r"signature=([^&]+)", media["url"]) if media else None
    if media:
        client.http.get(media["url"])
    address = f"ws://127.0.0.1:{server.port}"
    for wrong in (f"{address}{path}/ws?auth_token={token}", f"{address}{path}x/ws", f"{address}{path}/nothing"):
        with pytest.raises(WebSocketException):
            send_invalid_message(wrong)
    httpx.put(f"{server.url}{path}/call_recording_x.mp3?token={token}", content=b"no audio")
    httpx.put(f"{server.url}{path}", content=b"no call id")
    httpx.get(f"{server.url}/media/{identity}?signature={secret}&expires=9999999999999")
    httpx.get(f"{server.url}/nothing?auth_token={token}", headers={"X-Auth-Token": "wrong"})
    client.http.post(f"/graphql?token={token}", content=f'{{"query": "{{ {secret} }}"}}')
    until(lambda: "/nothing" in server.log.read_text())
    assert server.stop() == 0
    printed = server.log.read_text() + server.output.read_text()
    assert '"access"' in printed
    key = (data / "secret.key").read_text().strip()
    for hidden in (token, secret, key, token.split(".")[2], signature[1] if signature else token):
        assert hidden not in printed
