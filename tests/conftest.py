"""Fixtures and hooks for all tests.

`mongodb_uri` is the URI of a real MongoDB server, which all workers of a run share. `mongodb_database` is the name of
an empty database for one test, which is dropped afterwards. Without a server these tests are skipped with a clear
warning; in CI they fail.
"""

import os
import sys
import uuid
from collections.abc import Iterator

import hypothesis
import pytest
from pymongo import MongoClient

from tests.servers.fixtures import address_or_skip
from tests.servers.mongod import Document

pytest_plugins = ["tests.servers.fixtures"]

LONG = (
    "tests/browser/",
    "tests/faults/",
    "tests/servers/",
    "tests/e2e/",
    "tests/node/",
    "tests/rest_v2/test_store_unavailable.py",
)

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
    """Set the bytecode cache in the main process. Its workers inherit the setting."""
    if not hasattr(config, "workerinput"):
        keep_bytecode(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that start servers first. At the end of a run, one long test would keep a single worker busy."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


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
    """Return the name of an empty database for this test. Drop the database afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    mongodb_client.drop_database(name)
