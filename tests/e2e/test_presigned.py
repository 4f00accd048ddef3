"""Audio in a real S3 store, played with the store's own signed URLs."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Client, Server, command
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address

NODES = "plainId media { url urlExpires length contentType mp3: url(format: MP3) flac: url(format: FLAC) }"


@pytest.fixture(scope="module", params=["on", "off"])
def presigns(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "on")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, seaweedfs: Address, presigns: bool) -> Iterator[Server]:
    variables = {
        "RECORDINGS_MEDIA": f"s3://{BUCKET}/{uuid.uuid4().hex}",
        "FSSPEC_S3_ENDPOINT_URL": seaweedfs["s3"],
        "FSSPEC_S3_KEY": seaweedfs["key"],
        "FSSPEC_S3_SECRET": seaweedfs["secret"],
    }
    options = ["--demo", *(["--media-presign"] if presigns else [])]
    with Server(tmp_path_factory.mktemp("presigned") / "data", *options, **variables) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(server.shown_token())


def pages(client: Client) -> Iterator[Any]:
    """Return the same recordings through each query that returns recordings."""
    nodes = client.graphql(f"{{ recordings(first: 9) {{ nodes {{ id {NODES} }} }} }}")["recordings"]["nodes"]
    edges = client.graphql(f"{{ recordings(first: 9) {{ edges {{ node {{ {NODES} }} }} }} }}")["recordings"]["edges"]
    yield from nodes
    yield from (edge["node"] for edge in edges)
    query = f"query Q($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on Recording {{ {NODES} }} }} }}"
    yield from client.graphql(query, ids=[node["id"] for node in nodes])["nodes"]
    one = f"query Q($id: ID!) {{ recording(id: $id) {{ {NODES} }} }}"
    yield client.graphql(one, id=nodes[0]["id"])["recording"]


def test_urls_are_those_of_the_store_if_presigning_is_on(
    server: Server, client: Client, seaweedfs: Address, presigns: bool
) -> None:
    seen = list(pages(client))
    assert len(seen) == 16
    for node in seen:
        media = node["media"]
        assert media["url"].startswith(f"{seaweedfs['s3']}/" if presigns else f"{server.url}/media/")
        assert media["mp3"].startswith(f"{server.url}/media/")
        assert media["flac"].endswith("&format=flac")
        response = httpx.get(media["url"], headers={"Range": "bytes=0-9"}, timeout=30)
        assert (response.status_code, len(response.content)) == (206, 10)
        assert response.headers["content-type"] == media["contentType"]
        assert response.headers["content-range"].endswith(f"/{media['length']}")


def test_the_payload_of_a_mutation_has_the_same_urls(
    server: Server, client: Client, seaweedfs: Address, presigns: bool
) -> None:
    identity = client.graphql("{ recordings(first: 1) { nodes { id } } }")["recordings"]["nodes"][0]["id"]
    payload = f"recording {{ state {NODES} }} errors {{ __typename }}"
    fragment = f"{{ ...P }} }} fragment P on RestoreRecordingPayload {{ {payload} }}"
    deleted = client.graphql(
        f"mutation M($id: ID!) {{ deleteRecording(input: {{id: $id}}) {{ {payload} }} }}", id=identity
    )["deleteRecording"]
    assert (deleted["recording"]["state"], deleted["recording"]["media"]["url"]) == ("TRASHED", None)
    restored = client.graphql(f"mutation M($id: ID!) {{ restoreRecording(input: {{id: $id}}) {fragment}", id=identity)[
        "restoreRecording"
    ]
    media = restored["recording"]["media"]
    assert restored["recording"]["state"] == "STORED"
    assert media["url"].startswith(f"{seaweedfs['s3']}/" if presigns else f"{server.url}/media/")
    assert media["mp3"].startswith(f"{server.url}/media/")
    assert len(httpx.get(media["url"], timeout=30).content) == media["length"]


def test_a_signed_url_needs_the_same_scope(server: Server, client: Client) -> None:
    token = command("token", "--account", DEMO_ACCOUNT, "--scope", "read", data=server.data).stdout.strip()
    assert {node["media"]["url"] for node in pages(server.client(token))} == {None}


def test_the_doctor_finds_the_audio_in_the_store(server: Server, client: Client, tmp_path: Path) -> None:
    ended = command("doctor", "--verify", "1", data=server.data, seconds=60.0, **server.variables)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr


def test_each_url_of_the_store_has_an_entry_in_the_audit_trail(server: Server, client: Client, presigns: bool) -> None:
    before = len(given_urls(server))
    client.graphql("{ recordings(first: 9) { nodes { media { sha256 } } } }")
    assert len(given_urls(server)) == before
    urls = [node["media"]["url"] for node in pages(client) if node["media"]]
    assert len(given_urls(server)) - before == (len(urls) if presigns else 0)


def given_urls(server: Server) -> list[dict[str, Any]]:
    """Return the entries about given URLs."""
    words = ("audit", "list", "--account", DEMO_ACCOUNT, "--action", "URL_GIVEN", "--first", "1000")
    return [json.loads(line) for line in command(*words, data=server.data).stdout.splitlines()]
