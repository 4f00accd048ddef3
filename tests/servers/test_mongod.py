"""The MongoDB server of the tests: real, shared by all workers, cleaned up, and reported if it is missing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymongo
import pytest
from pymongo import MongoClient

from tests.servers.mongod import Document, Mongod
from tests.servers.shared_server import SharedServer

ROOT = Path(__file__).parents[2]


def run_pytest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_running(pid: int) -> bool:
    try:
        # A zombie has ended, and its parent has not yet read its status.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_server_is_a_real_replica_set(mongodb_client: MongoClient[Document]) -> None:
    version = mongodb_client.admin.command("buildInfo")["versionArray"]
    hello = mongodb_client.admin.command("hello")
    assert version[0] >= 6
    assert hello["isWritablePrimary"]
    assert hello["setName"] == "rs0"
    assert mongodb_client.admin.command("serverStatus")["process"].endswith("mongod")


async def test_the_asynchronous_client_writes_by_majority_and_watches(mongodb_uri: str, mongodb_database: str) -> None:
    async with pymongo.AsyncMongoClient[Document](mongodb_uri) as client:
        collection = client[mongodb_database].get_collection("things", write_concern=pymongo.WriteConcern("majority"))
        async with await collection.watch() as stream:
            await collection.insert_one({"_id": 1})
            assert (await stream.next())["documentKey"] == {"_id": 1}


def test_the_motor_client_connects(mongodb_uri: str, mongodb_database: str) -> None:
    motor = pytest.importorskip("motor.motor_asyncio")
    client = motor.AsyncIOMotorClient(mongodb_uri)
    client.close()


@pytest.mark.parametrize("round_number", [1, 2])
def test_each_test_has_its_own_database(
    mongodb_client: MongoClient[Document], mongodb_database: str, round_number: int
) -> None:
    assert mongodb_client[mongodb_database].list_collection_names() == []
    mongodb_client[mongodb_database].things.insert_one({"round": round_number})


def test_a_majority_write_survives_a_kill(mongodb_uri: str, tmp_path: Path) -> None:
    with Mongod(tmp_path) as server:
        with MongoClient[Document](server.uri) as client:
            client.test.get_collection("things", write_concern=pymongo.WriteConcern("majority")).insert_one({"_id": 1})
        server.kill()
        server.start()
        server.initiate()
        with MongoClient[Document](server.uri) as client:
            assert client.test.things.find_one() == {"_id": 1}


def test_all_workers_of_a_run_share_one_server(mongodb_uri: str) -> None:
    ended = run_pytest("-q", "-n2", "--dist=each", f"{__file__}::test_the_server_is_a_real_replica_set")
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the test reads /proc")
def test_a_killed_run_leaves_no_server_behind(mongodb_uri: str, tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    program = (
        "import pathlib, sys, time; from tests.servers.shared_server import SharedServer;"
        "server = SharedServer('mongod', pathlib.Path(sys.argv[1]));"
        "server.hold(); print(server.address()['uri'], flush=True);"
        "time.sleep(100)"
    )
    run = subprocess.Popen([sys.executable, "-c", program, directory], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout as output, MongoClient[Document](output.readline().strip()) as client:
        pid = client.admin.command("serverStatus")["pid"]
    assert is_running(pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while (is_running(pid) or directory.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
    assert not directory.exists()


def test_release_without_a_started_server_leaves_no_files(tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    server = SharedServer("mongod", directory)
    server.hold()
    server.release()
    assert not directory.exists()


def test_without_a_server_the_tests_are_skipped_with_a_notice() -> None:
    ended = run_pytest("-q", f"{__file__}::test_the_server_is_a_real_replica_set", MONGOD="/nonexistent/mongod")
    assert ended.returncode == 0, ended.stdout
    assert "NOT TESTED: real servers" in ended.stdout
    assert "1 tests skipped: no server: mongod: /nonexistent/mongod does not start" in ended.stdout


def test_without_a_server_the_tests_fail_in_ci() -> None:
    ended = run_pytest(
        "-q", f"{__file__}::test_the_server_is_a_real_replica_set", MONGOD="/nonexistent/mongod", CI="true"
    )
    assert ended.returncode == 1, ended.stdout
    assert "no server: mongod: /nonexistent/mongod does not start" in ended.stdout


def test_the_reason_names_the_missing_library(tmp_path: Path) -> None:
    fake = tmp_path / "mongod"
    fake.write_text("#!/bin/sh\necho 'libcurl.so.4: cannot open shared object file' >&2\nexit 127\n")
    fake.chmod(0o755)
    ended = run_pytest("-q", f"{__file__}::test_the_server_is_a_real_replica_set", MONGOD=str(fake))
    assert "libcurl4. Its output: libcurl.so.4: cannot open shared object file" in ended.stdout
