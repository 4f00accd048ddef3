"""What every test may ask for.

`mongodb_uri` is a real MongoDB server, shared by all workers of a run; `mongodb_database` is the name of a database on
it that is the test's own and dropped afterwards. Without a server such tests are skipped, loudly; in CI they fail.
"""

import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from pymongo import MongoClient

from tests.servers.mongod import Document, MongodUnavailableError, SharedMongod

pytest_plugins = ["tests.servers.fixtures"]

NO_MONGOD = "no mongod because "
LONG = ("tests/faults/", "tests/servers/", "tests/e2e/", "tests/node/", "tests/rest_v2/test_store_unavailable.py")
SHARED_MONGOD = pytest.StashKey[SharedMongod]()

# Machines that run tests are slow at times; what a test proves does not depend on it.
hypothesis.settings.register_profile("unhurried", deadline=None, print_blob=True)
hypothesis.settings.load_profile("unhurried")


def keep_bytecode(config: pytest.Config) -> None:
    """Where Python is told to leave no bytecode beside the sources, it goes to pytest's own cache.

    Servers, commands and audio workers are processes of their own here, some hundreds in a run. Compiling all that it
    imports is most of what such a process does.
    """
    if sys.dont_write_bytecode and config.pluginmanager.has_plugin("cacheprovider"):
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """The main process owns the server's directory; xdist tells its workers where that is."""
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[SHARED_MONGOD] = SharedMongod(Path(worker["shared_mongod"]))
        return
    keep_bytecode(config)
    server = SharedMongod(Path(tempfile.mkdtemp(prefix="recordings-tests-mongod-")))
    server.hold()
    config.stash[SHARED_MONGOD] = server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that start servers and wait for them come first: at the end a worker would be alone with one."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "pytest.Item") -> None:
    """Called by xdist in the main process for each worker."""
    node.workerinput["shared_mongod"] = str(node.config.stash[SHARED_MONGOD].directory)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of the server is left behind."""
    if (server := config.stash.get(SHARED_MONGOD, None)) is not None:
        server.release()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not proven, where nobody can overlook it."""
    said = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if skipped := [reason for reason in said if NO_MONGOD in reason]:
        why = skipped[0].split(NO_MONGOD, 1)[1].rstrip("')")
        terminalreporter.section("NOT TESTED: MongoDB", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests skipped: {NO_MONGOD}{why}", red=True)


@pytest.fixture(scope="session")
def mongodb_uri(pytestconfig: pytest.Config) -> str:
    """The URI of a real one-node replica set, the same for all workers."""
    try:
        return pytestconfig.stash[SHARED_MONGOD].uri()
    except MongodUnavailableError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{NO_MONGOD}{error}", pytrace=False)
        pytest.skip(f"{NO_MONGOD}{error}")


@pytest.fixture(scope="session")
def mongodb_client(mongodb_uri: str) -> Iterator[MongoClient[Document]]:
    """A synchronous client, to look at the server from beside the code under test."""
    with MongoClient[Document](mongodb_uri) as client:
        yield client


@pytest.fixture
def mongodb_database(mongodb_client: MongoClient[Document]) -> Iterator[str]:
    """The name of a database that is this test's own, empty at first and dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    mongodb_client.drop_database(name)
