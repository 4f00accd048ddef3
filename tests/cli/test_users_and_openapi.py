"""The commands `recordings user` and `recordings openapi`."""

import json

from adapters.rest_v2.openapi.openapi_document import openapi
from graph.app import VERSION
from tests.cli.conftest import CommandLine


def test_a_user_is_created_once_and_listed_without_a_password(cli: CommandLine, account: str) -> None:
    words = ["user", "create", "--account", account, "--username", "Ada", "--password", "secret", "--admin"]
    (user,) = cli.json(*words, "--id", "ab" * 16, "--first-name", "Ada", "--email", "ada@example.com")
    assert (user["id"], user["username"], user["priv_level"]) == ("ab" * 16, "Ada", "admin")
    assert "already" in cli.run(*words, expected=1).stderr
    assert cli.json("user", "list", "--account", account) == [user]
    assert not any("secret" in str(value) for value in user.values())


def test_an_empty_password_is_rejected(cli: CommandLine, account: str) -> None:
    words = ["user", "create", "--account", account, "--username", "ada", "--password", ""]
    assert "password must be at least one character" in cli.run(*words, expected=2).stderr
    assert cli.json("user", "list", "--account", account) == []


def test_openapi_prints_the_openapi_document(cli: CommandLine) -> None:
    assert json.loads(cli.run("openapi").stdout) == openapi(VERSION)
