"""The quotas of an account on a real server: uploads and streams over quota."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Server, command, until
from tests.e2e.stream_call import StreamCall


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("quotas") / "data", "--demo") as server:
        yield server


@pytest.fixture
def ingest(server: Server) -> str:
    made = json.loads(command("ingest", "create", "--account", DEMO_ACCOUNT, data=server.data).stdout)
    return "/ingest/" + str(made["url"].partition("/ingest/")[2])


def set_quota(data: Path, *quotas: str) -> None:
    words = [word for quota in quotas for word in ("--quota", quota)]
    command("account", "set", DEMO_ACCOUNT, *words, data=data)


def test_an_upload_over_quota_is_refused_and_nothing_is_stored(server: Server, ingest: str) -> None:
    set_quota(server.data, "bytes=1", "uploads=")
    spooled = set((server.data / "spool").rglob("*"))
    response = httpx.put(f"{server.url}{ingest}", params={"call_id": "over"}, content=b"RIFF" + bytes(4_000))
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["error"]["code"] == "QUOTA_EXCEEDED"
    assert "the quota `bytes` of the account is used up" in response.json()["error"]["message"]
    assert set((server.data / "spool").rglob("*")) == spooled
    set_quota(server.data, "bytes=", "uploads=0")
    refused = httpx.put(f"{server.url}{ingest}", params={"call_id": "over"}, content=b"RIFF" + bytes(4_000))
    assert (refused.status_code, "`uploads`" in refused.json()["error"]["message"]) == (429, True)
    set_quota(server.data, "uploads=")


def test_a_stream_over_quota_is_closed_before_its_audio(server: Server, ingest: str) -> None:
    set_quota(server.data, "streams=1")
    client = server.client(server.shown_token())
    query = "{ viewer { account { usage { streams } } } }"
    with StreamCall(server.url, ingest, "first"):
        until(lambda: client.graphql(query)["viewer"]["account"]["usage"]["streams"] == 1)
        with StreamCall(server.url, ingest, "second") as second:
            assert second.wait_for_close() == 1008
        assert "the quota `streams` of the account is used up: 1 of 1" in second.close_reason
    set_quota(server.data, "streams=")
