"""A server whose S3 store stalls: its requests are answered in time, and its work continues afterwards."""

import uuid
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.e2e.installation import make_account, make_ingest, make_key
from tests.e2e.server import Server, until
from tests.e2e.sound import wav
from tests.servers.network_link import NetworkLink
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address


def test_a_stalled_store(tmp_path: Path, seaweedfs: Address) -> None:
    port = urlsplit(seaweedfs["s3"]).port
    assert port is not None
    with NetworkLink(port) as link:
        server = Server(
            tmp_path / "data",
            "--trash-days", "0",
            RECORDINGS_MEDIA=f"s3://{BUCKET}/stalled/{uuid.uuid4().hex}",
            FSSPEC_S3_ENDPOINT_URL=f"http://127.0.0.1:{link.ports[port]}",
            FSSPEC_S3_KEY=seaweedfs["key"],
            FSSPEC_S3_SECRET=seaweedfs["secret"],
        )  # fmt: skip
        with ExitStack() as stack:
            stack.push(server.__exit__)
            server.launch(prepare=("tests.e2e.short_waits:for_media", "0.5"))
            check(server.wait_until_ready(), link)


def check(server: Server, link: NetworkLink) -> None:
    make_account(server.data, **server.variables)
    client = server.client(make_key(server.data, **server.variables))
    address = f"{server.url}{make_ingest(server.data, **server.variables)}/call_recording_{{0}}.wav?call_id={{0}}"
    played, deleted = (upload(address.format(name), seconds) for name, seconds in (("a", 1), ("b", 2)))
    for identity in (played, deleted):
        client.wait_for(identity, "STORED")
    link.cut()
    # The time limit of the client is much shorter than that of the S3 library.
    with httpx.Client(base_url=server.url, headers=client.http.headers, timeout=15) as listener:
        for method, path in (("GET", ""), ("GET", "?format=mp3")):
            answer = listener.request(method, f"/media/{played}{path}")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10"), answer.text
    client.do("deleteRecording", id=deleted)
    later = upload(address.format("c"), 3)
    assert client.find(later)["state"] == "FINALIZING"
    assert httpx.get(f"{server.url}/readyz").json()["status"] == "ready"
    link.heal()
    client.wait_for(later, "STORED")
    until(lambda: client.find(deleted) is None)
    assert client.http.get(f"/media/{played}").content == wav(seconds=1)


def upload(url: str, seconds: int) -> str:
    return str(httpx.put(url, content=wav(seconds=seconds), timeout=15).json()["id"])
