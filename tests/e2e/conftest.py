"""A server with the demo data on SQLite, shared by all tests that do not stop it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pair import Pair, open_pair
from tests.e2e.server import Client, Server
from tests.servers.mongod import Mongod


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("e2e") / "data", "--demo") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(server.shown_token())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def mongod(tmp_path: Path, mongodb_uri: str) -> Iterator[Mongod]:
    """A MongoDB server of the test's own, which it can disturb."""
    # Without a MongoDB server, the fixture of the shared server reports that.
    assert mongodb_uri
    (tmp_path / "mongod").mkdir()
    with Mongod(tmp_path / "mongod") as server:
        yield server


@pytest.fixture
def pair(tmp_path: Path, mongodb_uri: str, mongodb_database: str) -> Iterator[Pair]:
    with open_pair(tmp_path, mongodb_uri.replace("/?", f"/{mongodb_database}?")) as opened:
        yield opened
