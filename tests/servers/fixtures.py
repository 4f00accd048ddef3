"""Fixtures for real servers. All workers of a test run share one server of each kind.

`mongodb_uri` is the URI of a real MongoDB server. `mongodb_database` is the name of an empty database for one test.
If a server does not run on this machine, its tests are skipped with a clear notice; in CI they fail.
"""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.servers.mongod import Document
from tests.servers.server_process import ServerUnavailableError
from tests.servers.shared_server import Address, SharedServer

KINDS = ("mongod", "seaweedfs", "juicefs", "nginx")
NO_SERVER = "no server: "
ROOT = pytest.StashKey[Path]()
SERVERS = pytest.StashKey[dict[str, SharedServer]]()


def pytest_configure(config: pytest.Config) -> None:
    """The main process owns the servers' folders. xdist passes their path to its workers."""
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    root = Path(worker["shared_servers"] if worker else tempfile.mkdtemp(prefix="recordings-tests-servers-"))
    config.stash[ROOT] = root
    config.stash[SERVERS] = servers = {kind: SharedServer(kind, root / kind) for kind in KINDS}
    if worker is None:
        for server in servers.values():
            server.hold()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "pytest.Item") -> None:
    """Called by xdist in the main process for each worker."""
    node.workerinput["shared_servers"] = str(node.config.stash[ROOT])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers and delete their files."""
    if SERVERS not in config.stash or hasattr(config, "workerinput"):
        return
    for server in config.stash[SERVERS].values():
        server.release()
    config.stash[ROOT].rmdir()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a clear notice about the tests that were skipped because a server does not run."""
    reports = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if skipped := [report for report in reports if NO_SERVER in report]:
        terminalreporter.section("NOT TESTED: real servers", sep="!", red=True, bold=True)
        for reason, count in sorted(Counter(report.split(NO_SERVER, 1)[1].rstrip("')") for report in skipped).items()):
            terminalreporter.line(f"{count} tests skipped: {NO_SERVER}{reason}", red=True)


def address_or_skip(config: pytest.Config, kind: str) -> Address:
    """Return the address of a server. Skip the test with the reason if it does not run, or fail it in CI."""
    try:
        return config.stash[SERVERS][kind].address()
    except ServerUnavailableError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{NO_SERVER}{kind}: {error}", pytrace=False)
        pytest.skip(f"{NO_SERVER}{kind}: {error}")


@pytest.fixture(scope="session")
def seaweedfs(pytestconfig: pytest.Config) -> Address:
    """SeaweedFS: `s3`, `filer`, `key`, `secret`."""
    return address_or_skip(pytestconfig, "seaweedfs")


@pytest.fixture(scope="session")
def juicefs(pytestconfig: pytest.Config) -> Address:
    """A JuiceFS gateway: `s3`, `key`, `secret`."""
    return address_or_skip(pytestconfig, "juicefs")


@pytest.fixture(scope="session")
def nginx(pytestconfig: pytest.Config) -> Address:
    """nginx: `http`, and the folder `root` that it serves."""
    return address_or_skip(pytestconfig, "nginx")


@pytest.fixture(scope="session")
def mongodb_uri(pytestconfig: pytest.Config) -> str:
    """Return the URI of a real replica set with one node, the same for all workers."""
    return address_or_skip(pytestconfig, "mongod")["uri"]


@pytest.fixture(scope="session")
def mongodb_client(mongodb_uri: str) -> Iterator[MongoClient[Document]]:
    """Return a synchronous client, to examine the server independently of the code under test."""
    with MongoClient[Document](mongodb_uri) as client:
        yield client


@pytest.fixture
def mongodb_database(mongodb_client: MongoClient[Document]) -> Iterator[str]:
    """Return the name of a new database for this test. Drop the database afterwards."""
    name = new_database_name()
    yield name
    mongodb_client.drop_database(name)


def new_database_name() -> str:
    """Return the name of a database that does not exist."""
    return f"test_{uuid.uuid4().hex}"
