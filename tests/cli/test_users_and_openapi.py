"""The commands `recordings user` and `recordings openapi`."""

import json

import pytest

from adapters.rest_v2.openapi.openapi_document import openapi
from graph.app import VERSION
from tests.cli.conftest import CommandLine


def test_a_user_is_created_once_and_listed_without_a_password(cli: CommandLine, account: str) -> None:
    words = ["user", "create", "--account", account, "--username", "Ada", "--password", "open secret", "--admin"]
    (user,) = cli.json(*words, "--id", "ab" * 16, "--first-name", "Ada", "--email", "ada@example.com")
    assert (user["id"], user["username"], user["priv_level"]) == ("ab" * 16, "Ada", "admin")
    assert "already" in cli.run(*words, expected=1).stderr
    assert cli.json("user", "list", "--account", account) == [{**user, "disabled": None}]
    assert not any("secret" in str(value) for value in user.values())


def test_a_user_keeps_what_an_update_does_not_name(cli: CommandLine, account: str) -> None:
    (made,) = cli.json("user", "create", "--account", account, "--username", "ada", "--first-name", "Ada")
    (changed,) = cli.json("user", "update", "ada", "--account", account, "--last-name", "Lind", "--admin")
    assert changed == {**made, "last_name": "Lind", "priv_level": "admin"}
    assert (
        "nothing to change: give --first-name"
        in cli.run("user", "update", "ada", "--account", account, expected=2).stderr
    )


@pytest.mark.parametrize(
    "words",
    [
        ("token", "--owner"),
        ("token", "revoke", "--owner"),
        ("key", "create", "--owner"),
        ("policy", "set", "--scope", "user", "--on", "any.any", "--id"),
        ("policy", "explain", "--owner"),
    ],
)
def test_a_user_name_in_place_of_an_id_is_a_warning(cli: CommandLine, account: str, words: tuple[str, ...]) -> None:
    """Any text can be an owner. So a name is no error, but the command does not concern the user with this name."""
    (user,) = cli.json("user", "create", "--account", account, "--username", "Ada")
    *command, option = words
    for owner, warning in (
        ("ada", f"Warning: 'ada' is the name of a user, not the id: the id of this user is {user['id']}"),
        (user["id"], ""),
        ("eve", ""),
    ):
        assert cli.run(*command, "--account", account, option, owner).stderr.strip() == warning


@pytest.mark.parametrize("password", ["", "7 chars"])
def test_a_short_password_is_rejected(cli: CommandLine, account: str, password: str) -> None:
    words = ["user", "create", "--account", account, "--username", "ada", "--password", password]
    refused = cli.run(*words, expected=2).stderr
    assert f"password must be at least 8 characters, not '{len(password)} characters'" in refused
    assert cli.json("user", "list", "--account", account) == []


def test_openapi_prints_the_openapi_document(cli: CommandLine) -> None:
    assert json.loads(cli.run("openapi").stdout) == openapi(VERSION)
