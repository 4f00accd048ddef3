"""S3 credentials that may read, write and delete objects, and nothing else: what works, and what is named."""

import asyncio
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.installation import ACCOUNT, make_account, make_ingest, make_key
from tests.e2e.server import Client, Server, command
from tests.e2e.sound import wav
from tests.servers.faulty_proxy import Act, Fault, answer, breaking, s3_error
from tests.servers.seaweedfs import BUCKET, LIMITED_KEY
from tests.servers.shared_server import Address

AUDIO = wav(seconds=1)


@pytest.fixture
def server(tmp_path: Path, seaweedfs: Address) -> Iterator[Server]:
    made = Server(
        tmp_path / "data",
        RECORDINGS_MEDIA=f"s3://{BUCKET}/restricted/{uuid.uuid4().hex}",
        FSSPEC_S3_ENDPOINT_URL=seaweedfs["s3"],
        FSSPEC_S3_KEY=LIMITED_KEY,
        FSSPEC_S3_SECRET=seaweedfs["secret"],
    )
    with made:
        yield made


@pytest.fixture
def stored(server: Server) -> tuple[Client, str]:
    """A client, and the id of a recording that it can play."""
    make_account(server.data, **server.variables)
    client = server.client(make_key(server.data, **server.variables))
    ingest = make_ingest(server.data, **server.variables)
    sent = httpx.put(f"{server.url}{ingest}/call_recording_a.wav?call_id=a", content=AUDIO, timeout=30)
    client.wait_for(sent.json()["id"], "STORED")
    return client, sent.json()["id"]


def run(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    variables: dict[str, Any] = dict(server.variables)
    ended = command(*words, data=server.data, **variables)
    assert "Traceback" not in ended.stderr
    return ended


def test_all_commands_work_and_name_the_missing_permission(server: Server, stored: tuple[Client, str]) -> None:
    client, identity = stored
    assert client.http.get(f"/media/{identity}").content == AUDIO
    verified = run(server, "verify")
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    examined = run(server, "doctor", "--verify", "1")
    assert (examined.returncode, examined.stdout) == (0, ""), examined.stderr
    assert "ListObjectsV2 needs the permission s3:ListBucket" in examined.stderr
    chosen = run(server, "account", "set", ACCOUNT, "--media", f"{server.variables['RECORDINGS_MEDIA']}/own")
    assert chosen.returncode == 0, chosen.stderr
    client.do("deleteRecording", id=identity)


async def test_a_missing_object_that_the_store_does_not_admit_is_no_loss(
    server: Server, stored: tuple[Client, str], seaweedfs: Address
) -> None:
    """Without `s3:ListBucket`, S3 answers 403 for an object that does not exist."""
    client, identity = stored
    async with breaking(urlsplit(seaweedfs["s3"]).port or 0) as proxy:
        server.variables["FSSPEC_S3_ENDPOINT_URL"] = proxy.url
        proxy.faults = [
            Fault(Act.ANSWER, b"HEAD /", times=99, answer=answer("403 Forbidden")),
            Fault(Act.ANSWER, b"GET /", times=99, answer=s3_error("403 Forbidden", "AccessDenied")),
        ]
        examined = await asyncio.to_thread(run, server, "doctor", "--repair")
        verified = await asyncio.to_thread(run, server, "verify")
        chosen = await asyncio.to_thread(
            run, server, "account", "set", ACCOUNT, "--media", f"{server.variables['RECORDINGS_MEDIA']}/own"
        )
    for ended, permission in ((examined, "s3:ListBucket"), (verified, "s3:GetObject")):
        assert ended.returncode == 1
        assert permission in ended.stderr, ended.stderr
    assert (chosen.returncode, "s3:GetObject" in chosen.stderr) == (1, True)
    assert client.find(identity)["state"] == "STORED"


async def test_an_archived_object_is_named_as_that(
    server: Server, stored: tuple[Client, str], seaweedfs: Address
) -> None:
    client, identity = stored
    async with breaking(urlsplit(seaweedfs["s3"]).port or 0) as proxy:
        proxy.faults = [Fault(Act.ANSWER, b"GET /", times=99, answer=s3_error("403 Forbidden", "InvalidObjectState"))]
        server.variables["FSSPEC_S3_ENDPOINT_URL"] = proxy.url
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        for path in (f"/media/{identity}", f"/media/{identity}?format=mp3"):
            answered = await asyncio.to_thread(client.http.get, path)
            assert (answered.status_code, answered.headers.get("retry-after")) == (404, None), answered.text
            assert "archived" in answered.text
        verified = await asyncio.to_thread(run, server, "verify")
        assert (verified.returncode, "archived" in verified.stderr) == (1, True)
    assert client.find(identity)["state"] == "STORED"
