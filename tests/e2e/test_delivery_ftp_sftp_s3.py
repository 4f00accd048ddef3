"""Delivery of a recording to real FTP, FTPS, SFTP and S3 servers."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.e2e.server import Server, until
from tests.servers.certificates import make_certificate
from tests.servers.ftp_server import ftp_server
from tests.servers.seaweedfs import BUCKET
from tests.servers.sftp_server import sftp_server
from tests.servers.shared_server import Address

QUERY = """query Q($id: ID!) { recording(id: $id) { callId media { sha256 } delivery { state lastError } } }"""


@dataclass
class Target:
    """A customer's URL for recordings, and the files that arrived there."""

    url: str
    arrived: Callable[[], dict[str, bytes]]


def in_folder(folder: Path) -> Callable[[], dict[str, bytes]]:
    return lambda: {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificates") / "certificate.pem")


@pytest.fixture(scope="module")
def bucket_options(seaweedfs: Address) -> dict[str, str]:
    return {"endpoint_url": seaweedfs["s3"], "key": seaweedfs["key"], "secret": seaweedfs["secret"]}


@pytest.fixture(scope="module")
def targets(
    tmp_path_factory: pytest.TempPathFactory, certificate: Path, bucket_options: dict[str, str]
) -> Iterator[dict[str, Target]]:
    """One real server for each URL scheme except HTTP."""
    root = tmp_path_factory.mktemp("targets")
    folders = {scheme: root / scheme for scheme in ("ftp", "ftps", "sftp")}
    for folder in folders.values():
        (folder / "in").mkdir(parents=True)
    with ExitStack() as stack:
        ports = {
            "ftp": stack.enter_context(ftp_server(folders["ftp"])),
            "ftps": stack.enter_context(ftp_server(folders["ftps"], certificate)),
            "sftp": stack.enter_context(sftp_server(folders["sftp"])),
        }
        made = {
            scheme: Target(f"{scheme}://user:p%40ss@127.0.0.1:{port}/in", in_folder(folders[scheme] / "in"))
            for scheme, port in ports.items()
        }
        bucket = f"{BUCKET}/drops/{uuid.uuid4().hex}"
        store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **bucket_options)

        def in_bucket() -> dict[str, bytes]:
            found = store.find(bucket)
            return {path.rpartition("/")[2]: bytes(store.cat_file(path)) for path in found}

        yield made | {"s3": Target(f"s3://{bucket}", in_bucket)}


@pytest.fixture(scope="module")
def sender(
    tmp_path_factory: pytest.TempPathFactory, certificate: Path, bucket_options: dict[str, str]
) -> Iterator[Server]:
    """A server that delivers to all of them. The credentials of the bucket are in a file."""
    folder = tmp_path_factory.mktemp("sender")
    path = folder / "options.json"
    path.touch(0o600)
    path.write_text(json.dumps({f"s3://{BUCKET}/": bucket_options}))
    places = f"ftp,ftps,sftp,s3://{BUCKET}/drops/"
    words = ("--demo", "--private-hosts", "127.0.0.1", "--delivery-places", places, "--media-options", str(path))
    with Server(folder / "data", *words, SSL_CERT_FILE=str(certificate)) as server:
        yield server


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "sftp", "s3"])
def test_a_recording_is_delivered_without_http(sender: Server, targets: dict[str, Target], scheme: str) -> None:
    client = sender.client(sender.shown_token())
    with sender.call() as call:
        identity = client.start(call.id, url=targets[scheme].url)["plainId"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        client.do("stopRecording", id=identity)
    client.wait_for(identity, "STORED")

    def ended() -> Any:
        shown = client.graphql(QUERY, id=identity)["recording"]
        return shown if shown["delivery"]["state"] != "PENDING" or shown["delivery"]["lastError"] else None

    found = until(ended)
    assert (found["delivery"]["state"], found["delivery"]["lastError"]) == ("DELIVERED", None)
    arrived = targets[scheme].arrived()
    assert list(arrived) == [f"call_recording_{found['callId']}.mp3"]
    assert [hashlib.sha256(body).hexdigest() for body in arrived.values()] == [found["media"]["sha256"]]
    assert "p%40ss" not in sender.log.read_text()


def test_a_bucket_that_is_not_allowed_is_rejected_at_the_start(sender: Server) -> None:
    client = sender.client(sender.shown_token())
    with sender.call() as call:
        client.do("stopRecording", id=client.start(call.id)["plainId"])
        for url in (f"s3://{BUCKET}/elsewhere", f"s3://{BUCKET}/drops-of-others/", "http://127.0.0.1:1/"):
            (error,) = client.mutate("startRecording", callId=call.id, url=url)["errors"]
            assert error["code"] == "INVALID_INPUT"
