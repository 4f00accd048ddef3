"""The server of the tests is real, is one for all workers, leaves nothing behind, and is missed loudly."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymongo
import pytest
from pymongo import MongoClient

from tests.servers.mongod import Document, Mongod, SharedMongod

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
        # A zombie is dead already: nobody has collected it yet.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_is_a_real_server(mongodb_client: MongoClient[Document]) -> None:
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


def test_the_motor_client_reaches_it_too(mongodb_uri: str, mongodb_database: str) -> None:
    motor = pytest.importorskip("motor.motor_asyncio")
    client = motor.AsyncIOMotorClient(mongodb_uri)
    client.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_a_database_is_the_tests_own(mongodb_client: MongoClient[Document], mongodb_database: str, turn: int) -> None:
    assert mongodb_client[mongodb_database].list_collection_names() == []
    mongodb_client[mongodb_database].things.insert_one({"turn": turn})


def test_what_was_promised_survives_a_kill(mongodb_uri: str, tmp_path: Path) -> None:
    with Mongod(tmp_path) as server:
        with MongoClient[Document](server.uri) as client:
            client.test.get_collection("things", write_concern=pymongo.WriteConcern("majority")).insert_one({"_id": 1})
        server.kill()
        server.start()
        server.initiate()
        with MongoClient[Document](server.uri) as client:
            assert client.test.things.find_one() == {"_id": 1}


def test_all_workers_of_a_run_share_one(mongodb_uri: str) -> None:
    answer = run_pytest("-q", "-n2", "--dist=each", f"{__file__}::test_it_is_a_real_server")
    assert answer.returncode == 0, answer.stdout
    assert "2 passed" in answer.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at through /proc")
def test_nothing_is_left_when_the_run_is_killed(mongodb_uri: str, tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    program = (
        "import pathlib, sys, time; from tests.servers.mongod import SharedMongod;"
        "server = SharedMongod(pathlib.Path(sys.argv[1])); server.hold(); print(server.uri(), flush=True);"
        "time.sleep(100)"
    )
    run = subprocess.Popen([sys.executable, "-c", program, directory], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    with run.stdout as said, MongoClient[Document](said.readline().strip()) as client:
        pid = client.admin.command("serverStatus")["pid"]
    assert is_running(pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    deadline = time.monotonic() + 20
    while (is_running(pid) or directory.exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
    assert not directory.exists()


def test_letting_go_without_having_started_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "shared"
    directory.mkdir()
    server = SharedMongod(directory)
    server.hold()
    server.release()
    assert not directory.exists()


def test_its_absence_is_loud_on_a_desk() -> None:
    answer = run_pytest("-q", f"{__file__}::test_it_is_a_real_server", MONGOD="/nonexistent/mongod")
    assert answer.returncode == 0, answer.stdout
    assert "NOT TESTED: MongoDB" in answer.stdout
    assert "1 tests skipped: no mongod because /nonexistent/mongod does not start" in answer.stdout


def test_its_absence_fails_in_ci() -> None:
    answer = run_pytest("-q", f"{__file__}::test_it_is_a_real_server", MONGOD="/nonexistent/mongod", CI="true")
    assert answer.returncode == 1, answer.stdout
    assert "no mongod because /nonexistent/mongod does not start" in answer.stdout


def test_a_server_that_cannot_run_says_what_it_lacks(tmp_path: Path) -> None:
    fake = tmp_path / "mongod"
    fake.write_text("#!/bin/sh\necho 'libcurl.so.4: cannot open shared object file' >&2\nexit 127\n")
    fake.chmod(0o755)
    answer = run_pytest("-q", f"{__file__}::test_it_is_a_real_server", MONGOD=str(fake))
    assert "libcurl4, and says: libcurl.so.4: cannot open shared object file" in answer.stdout
