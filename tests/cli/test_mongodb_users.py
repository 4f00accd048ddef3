"""Commands with MongoDB say in one line what its user may not do, and change nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.cli.conftest import CommandLine
from tests.servers.mongod import REPLICA_SET, Mongod

PASSWORD = "correct"
DATABASE = "calls"
COMMANDS = (
    ("account", "create", "Other"),
    ("list",),
    ("doctor", "--repair"),
    ("backup", "backup"),
    ("key", "rotate-installation"),
    ("audit", "seal"),
    ("migrate", "--from", "mongodb", "--to", "sqlite"),
)
NEEDS_ROLE = "the user in the URL of --mongodb needs the role readWrite on this database"
Client = MongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
def server(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server that requires logins, with users of different rights."""
    with Mongod(tmp_path_factory.mktemp("users"), login=True) as server:
        with server.client() as client:
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient[dict[str, Any]](url(server, "root")) as client:
            for name, roles in {"writer": ["readWrite"], "reader": ["read"], "stranger": []}.items():
                rights = [{"role": role, "db": DATABASE} for role in roles]
                client.admin.command("createUser", name, pwd=PASSWORD, roles=rights)
        yield server


@pytest.fixture
def client(server: Mongod) -> Iterator[Client]:
    with MongoClient[dict[str, Any]](url(server, "root")) as client:
        yield client
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


@pytest.fixture(scope="module")
def cli(server: Mongod, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """The commands of one installation. No test changes it."""
    cli = CommandLine(tmp_path_factory.mktemp("installation") / "data")
    cli.run("account", "create", "Acme", RECORDINGS_MONGODB=url(server, "writer"))
    return cli


def url(server: Mongod, user: str, password: str = PASSWORD) -> str:
    return f"mongodb://{user}:{password}@127.0.0.1:{server.port}/{DATABASE}?replicaSet={REPLICA_SET}&authSource=admin"


def message(cli: CommandLine, uri: str, *words: str) -> str:
    """Return what a command that fails prints."""
    result = cli.run(*words, expected=1, RECORDINGS_MONGODB=uri)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def documents(client: Client) -> dict[str, int]:
    names = client[DATABASE].list_collection_names()
    return {name: client[DATABASE][name].count_documents({}) for name in names}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_missing_right_or_a_failed_login_is_one_line_and_changes_nothing(
    cli: CommandLine, server: Mongod, client: Client, words: tuple[str, ...], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    before = documents(client)

    reader = message(cli, url(server, "reader"), *words)
    stranger = message(cli, url(server, "stranger"), *words)
    wrong = message(cli, url(server, "writer", "wrong"), *words)
    nobody = message(cli, f"mongodb://127.0.0.1:{server.port}/{DATABASE}?replicaSet={REPLICA_SET}", *words)

    refused = f"MongoDB does not permit its user the command {{!r}} on the database {DATABASE!r}: {NEEDS_ROLE}\n"
    assert reader.endswith(refused.format("createIndexes"))
    assert stranger.endswith(refused.format("find"))
    assert wrong.endswith(
        "MongoDB rejects the login: check the user, the password and authSource in the URL of --mongodb\n"
    )
    assert "MongoDB requires a login: give a user and a password in the URL of --mongodb" in nobody
    assert all(text.count("\n") == 1 and text.startswith("Error: ") for text in (reader, stranger, wrong, nobody))
    assert documents(client) == before


@pytest.mark.parametrize(
    ("code", "expected"),
    [(16_500, "Error: MongoDB does not answer: "), (13, "Error: MongoDB "), (121, "Error: ")],
    ids=["overloaded", "not permitted", "rejected"],
)
def test_an_error_in_the_middle_of_a_command_is_one_line(
    cli: CommandLine, server: Mongod, client: Client, code: int, expected: str
) -> None:
    uri = url(server, "writer")
    data = {"failCommands": ["find", "aggregate"], "namespace": f"{DATABASE}.recordings", "errorCode": code}
    client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data})
    text = message(cli, uri, "list")
    assert text.startswith(expected)
    assert text.count("\n") == 1
    assert "full error" not in text


def test_a_mongodb_that_is_no_replica_set_is_named_and_stays_empty(
    mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("standalone")
    with Mongod(folder / "mongod", standalone=True) as server:
        uri = f"mongodb://127.0.0.1:{server.port}/{DATABASE}"
        ended = CommandLine(folder / "data").run("account", "create", "Acme", expected=1, RECORDINGS_MONGODB=uri)
        with server.client() as client:
            assert client[DATABASE].list_collection_names() == []
    assert "MongoDB must be a replica set, also with one server: start mongod with --replSet rs0" in ended.stderr


def test_a_replica_set_that_was_not_initiated_is_named(
    mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("new")
    server = Mongod(folder / "mongod")
    try:
        server.start()
        uri = f"mongodb://127.0.0.1:{server.port}/{DATABASE}?serverSelectionTimeoutMS=500"
        ended = CommandLine(folder / "data").run("account", "create", "Acme", expected=1, RECORDINGS_MONGODB=uri)
    finally:
        server.stop()
    assert "MongoDB has no primary" in ended.stderr
    assert "a new replica set needs rs.initiate()" in ended.stderr
