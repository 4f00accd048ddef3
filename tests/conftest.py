"""Fixtures and hooks for all tests.

`mongodb_uri` is the URI of a real MongoDB server, which all workers of a run share. `mongodb_database` is the name of
an empty database for one test, which is dropped afterwards. Without a server these tests are skipped with a clear
warning; in CI they fail.
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
LONG = (
    "tests/browser/",
    "tests/faults/",
    "tests/servers/",
    "tests/e2e/",
    "tests/node/",
    "tests/rest_v2/test_store_unavailable.py",
)
SHARED_MONGOD = pytest.StashKey[SharedMongod]()

# Test machines can be slow. No test proves anything about time with a deadline of hypothesis.
hypothesis.settings.register_profile("unhurried", deadline=None, print_blob=True)
hypothesis.settings.load_profile("unhurried")


def keep_bytecode(config: pytest.Config) -> None:
    """Write bytecode to pytest's cache if Python must not write it next to the sources.

    A run starts several hundred processes: servers, commands and audio workers. Without cached bytecode, such a process
    spends most of its time compiling its imports.
    """
    if sys.dont_write_bytecode and config.pluginmanager.has_plugin("cacheprovider"):
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure(config: pytest.Config) -> None:
    """Make the directory of the MongoDB server in the main process. xdist passes its path to the workers."""
    worker: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker is not None:
        config.stash[SHARED_MONGOD] = SharedMongod(Path(worker["shared_mongod"]))
        return
    keep_bytecode(config)
    server = SharedMongod(Path(tempfile.mkdtemp(prefix="recordings-tests-mongod-")))
    server.hold()
    config.stash[SHARED_MONGOD] = server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that start servers first. At the end of a run, one long test would keep a single worker busy."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: "pytest.Item") -> None:
    """Pass the directory to a worker. xdist calls this in the main process."""
    node.workerinput["shared_mongod"] = str(node.config.stash[SHARED_MONGOD].directory)  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the MongoDB server and delete its directory."""
    if (server := config.stash.get(SHARED_MONGOD, None)) is not None:
        server.release()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a warning for the skipped MongoDB tests at the end of the run."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    if skipped := [reason for reason in reasons if NO_MONGOD in reason]:
        why = skipped[0].split(NO_MONGOD, 1)[1].rstrip("')")
        terminalreporter.section("NOT TESTED: MongoDB", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} tests skipped: {NO_MONGOD}{why}", red=True)


@pytest.fixture(scope="session")
def mongodb_uri(pytestconfig: pytest.Config) -> str:
    """Return the URI of a real replica set with one node, the same for all workers."""
    try:
        return pytestconfig.stash[SHARED_MONGOD].uri()
    except MongodUnavailableError as error:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{NO_MONGOD}{error}", pytrace=False)
        pytest.skip(f"{NO_MONGOD}{error}")


@pytest.fixture(scope="session")
def mongodb_client(mongodb_uri: str) -> Iterator[MongoClient[Document]]:
    """Return a synchronous client, to examine the server independently of the code under test."""
    with MongoClient[Document](mongodb_uri) as client:
        yield client


@pytest.fixture
def mongodb_database(mongodb_client: MongoClient[Document]) -> Iterator[str]:
    """Return the name of an empty database for this test. Drop the database afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    mongodb_client.drop_database(name)
