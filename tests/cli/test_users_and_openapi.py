"""`recordings user` and `recordings openapi`."""

import json

from adapters.rest_v2.openapi.openapi_document import openapi
from graph.app import VERSION
from tests.cli.conftest import CommandLine


def test_a_user_is_made_once_and_listed_without_a_password(cli: CommandLine, account: str) -> None:
    words = ["user", "create", "--account", account, "--username", "Ada", "--password", "secret", "--admin"]
    (made,) = cli.json(*words, "--id", "ab" * 16, "--first-name", "Ada", "--email", "ada@example.com")
    assert (made["id"], made["username"], made["priv_level"]) == ("ab" * 16, "Ada", "admin")
    assert "already" in cli.run(*words, expected=1).stderr
    assert cli.json("user", "list", "--account", account) == [made]
    assert not any("secret" in str(value) for value in made.values())


def test_nobody_signs_in_with_no_password(cli: CommandLine, account: str) -> None:
    words = ["user", "create", "--account", account, "--username", "ada", "--password", ""]
    assert "password must be at least one character" in cli.run(*words, expected=2).stderr
    assert cli.json("user", "list", "--account", account) == []


def test_the_openapi_document_is_that_of_the_code(cli: CommandLine) -> None:
    assert json.loads(cli.run("openapi").stdout) == openapi(VERSION)
