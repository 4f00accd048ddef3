"""Metadata stores that take no writes, or that one of two servers cannot reach."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from pymongo.errors import PyMongoError

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.pair import live, open_pair
from tests.e2e.server import Client, Server, until
from tests.e2e.sound import wav
from tests.e2e.stream_call import StreamCall
from tests.servers.mongod import Mongod
from tests.servers.network_link import NetworkLink

CALL = "one call"
LIMIT = ("--graphql-seconds", "2")
"""The time limit of an operation. It is shorter than the timeouts of the stores."""
LIST = "{ viewer { account { recordings(first: 1) { nodes { plainId } } } } }"
DELETE = "mutation D($id: ID!) { deleteRecording(input: { id: $id }) { errors { __typename } } }"
STOP = "mutation S($id: ID!) { stopRecording(input: { id: $id }) { errors { __typename } } }"
OUT_OF_DISK_SPACE = 14_031


@contextmanager
def locked(mongod: Mongod) -> Iterator[None]:
    with mongod.client() as client:
        client.admin.command("fsync", lock=True)
        try:
            yield
        finally:
            client.admin.command("fsyncUnlock")


@contextmanager
def full(mongod: Mongod) -> Iterator[None]:
    commands = ["insert", "update", "findAndModify", "delete", "bulkWrite"]
    with mongod.client() as client:
        data = {"failCommands": commands, "errorCode": OUT_OF_DISK_SPACE}
        client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
        try:
            yield
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")


@contextmanager
def stepped_down(mongod: Mongod) -> Iterator[None]:
    with mongod.client() as client:
        with suppress(PyMongoError):
            client.admin.command("replSetStepDown", 600, force=True)
        try:
            yield
        finally:
            client.admin.command("replSetFreeze", 0)


def test_a_mongodb_that_takes_no_writes(tmp_path: Path, mongod: Mongod) -> None:
    variables = {"RECORDINGS_MONGODB": mongod.uri.replace("/?", "/outage?")}
    server = Server(tmp_path / "data", *LIMIT, **variables)
    with server:
        client = server.client(make_account(server.data, **variables))
        address = f"{server.url}{make_ingest(server.data, **variables)}/call_recording_a.wav?call_id=a"
        identity = httpx.put(address, content=wav(seconds=1), timeout=30).json()["id"]
        client.wait_for(identity, "STORED")
        outages: tuple[Callable[[Mongod], Any], ...] = (full, stepped_down, locked)
        for number, outage in enumerate(outages):
            with outage(mongod):
                found = until(lambda: each if (each := readiness(server)).status_code == 503 else None)
                assert found.json()["parts"]["metadata"] == "failing", outage.__name__
                with ThreadPoolExecutor(1) as pool:
                    deletion = pool.submit(assert_unavailable, client, DELETE, identity)
                    sent = httpx.put(address, content=wav(seconds=number + 2), timeout=30)
                    deletion.result()
                assert (sent.status_code, "retry-after" in sent.headers) == (503, True), sent.text
            until(lambda: readiness(server).status_code == 200)
            sent = httpx.put(address, content=wav(seconds=number + 2), timeout=30)
            assert client.wait_for(sent.json()["id"], "STORED")
        assert client.do("deleteRecording", id=identity)


def test_a_server_that_is_cut_off_from_the_store(tmp_path: Path, mongod: Mongod) -> None:
    uri = mongod.uri.replace("/?", "/partition?")
    with NetworkLink(mongod.port) as link:
        uri_of_one = uri.replace(str(mongod.port), str(link.ports[mongod.port]))
        with (
            open_pair(tmp_path, uri, uri_of_one=uri_of_one) as pair,
            StreamCall(pair.one.url, pair.ingest, CALL) as call,
        ):
            identity = pair.at_other.start(CALL)["plainId"]
            link.cut()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(assert_unavailable, (pair.at_one, pair.at_one), (LIST, STOP), (None, identity)))
            # The other server works, and still reaches the call although the lease of its server is over.
            until(lambda: live(pair.at_other) == [])
            assert pair.at_other.do("maskRecording", id=identity)["state"] == "MASKED"
            assert pair.at_other.do("unmaskRecording", id=identity)["state"] == "RECORDING"
            link.heal()
            assert until(lambda: mask(pair.at_one, identity)) == "MASKED"
            assert call.is_open
            assert pair.at_one.do("stopRecording", id=identity)["state"] == "FINALIZING"
            pair.at_other.wait_for(identity, "STORED")
            until(lambda: live(pair.at_other) == live(pair.at_one) == [CALL])


def mask(client: Client, identity: str) -> str | None:
    """Mask a recording. Return `None` while the server has no connection yet."""
    query = "mutation M($id: ID!) { maskRecording(input: { id: $id }) { recording { state } errors { __typename } } }"
    answer = client.http.post("/graphql", json={"query": query, "variables": {"id": identity}}).json()
    if any(error["extensions"]["code"] == "UNAVAILABLE" for error in answer.get("errors", ())):
        return None
    assert answer["data"]["maskRecording"]["errors"] == []
    return str(answer["data"]["maskRecording"]["recording"]["state"])


def test_a_mutation_that_waits_for_the_write_lock_of_sqlite_is_unavailable(data: Path) -> None:
    with Server(data, *LIMIT) as server:
        client = server.client(make_account(data))
        address = f"{server.url}{make_ingest(data)}/call_recording_a.wav?call_id=a"
        identity = httpx.put(address, content=wav(seconds=1), timeout=30).json()["id"]
        client.wait_for(identity, "STORED")
        other_process = sqlite3.connect(data / "recordings.sqlite3", isolation_level=None)
        other_process.execute("BEGIN IMMEDIATE")
        try:
            assert_unavailable(client, DELETE, identity)
            assert client.find(identity)["state"] == "STORED"
        finally:
            other_process.rollback()
            other_process.close()
        client.do("deleteRecording", id=identity)


def readiness(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/readyz", timeout=30)


def assert_unavailable(client: Client, query: str, identity: str | None = None) -> None:
    answer = client.http.post("/graphql", json={"query": query, "variables": {"id": identity} if identity else {}})
    body = answer.json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAVAILABLE"], body
    assert answer.headers["retry-after"] == "10"
    # The operation's limit is ten seconds. Two more, for a machine under load.
    assert answer.elapsed.total_seconds() < 12
