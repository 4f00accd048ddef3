"""The commands that end access: of accounts, users and tokens. Each is followed by a request with the credentials."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from graph.cli.main import recordings
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from recordings.model.ids import new_recording_id
from recordings.model.recording import Recording, State
from tests.cli.conftest import CommandLine

SCOPES = frozenset({Scope.READ})


def with_services(cli: CommandLine, work: Callable[[Services], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_services(load({"RECORDINGS_DATA": str(cli.data)})) as services:
            return await work(services)

    return asyncio.run(run())


def is_accepted(cli: CommandLine, token: str) -> bool:
    async def accepted(services: Services) -> bool:
        try:
            await services.identity.authenticate_token(token)
        except Unauthenticated:
            return False
        return True

    return bool(with_services(cli, accepted))


def accepts_ingest(cli: CommandLine, url: str) -> bool:
    address, secret = url.split("/")[-2:]

    async def accepted(services: Services) -> bool:
        return await services.identity.ingest(address, secret) is not None

    return bool(with_services(cli, accepted))


def token(cli: CommandLine, account: str, *words: str) -> str:
    return cli.run("token", "--account", account, *words).stdout.strip()


def answer(cli: CommandLine, text: str, *words: str, expected: int) -> str:
    environment = {"RECORDINGS_DATA": str(cli.data)}
    result = CliRunner().invoke(recordings, words, env=environment, input=text, prog_name="recordings")
    assert result.exit_code == expected, result.output
    return result.stderr


def add_recording(cli: CommandLine, account: str, state: State = State.FAILED, **values: Any) -> None:
    async def add(services: Services) -> None:
        now = services.clock.now()
        await services.store.insert(
            Recording(
                id=new_recording_id(now), account_id=account, state=state, start=now, created=now, modified=now,
                call_id="c", from_="a@b", to="c@d", **values,
            )
        )  # fmt: skip

    with_services(cli, add)


def test_revoking_ends_the_tokens_issued_before(cli: CommandLine, account: str) -> None:
    plain, adas, bobs = (
        token(cli, account),
        token(cli, account, "--owner", "ada"),
        token(cli, account, "--owner", "bob"),
    )
    (made,) = cli.json("key", "create", "--account", account)
    assert cli.json("token", "revoke", "--account", account, "--owner", "ada")[0]["revoked"]
    assert [is_accepted(cli, each) for each in (plain, adas, bobs)] == [True, False, True]
    later = token(cli, account, "--owner", "ada")
    assert is_accepted(cli, later)
    cli.run("token", "revoke", "--account", account)
    assert [is_accepted(cli, each) for each in (plain, bobs, later, made["key"])] == [False, False, False, True]
    assert is_accepted(cli, token(cli, account))
    assert "there is no account" in cli.run("token", "revoke", "--account", "0" * 32, expected=1).stderr
    assert "after `revoke`" in cli.run("token", "--account", account, "revoke", expected=2).stderr
    assert "--account" in cli.run("token", expected=2).stderr


def test_revoking_a_key_ends_the_tokens_made_from_it(cli: CommandLine, account: str) -> None:
    made, other = [cli.json("key", "create", "--account", account)[0] for _ in range(2)]

    async def tokens(services: Services) -> list[str]:
        found = [await services.identity.authenticate_token(each["key"]) for each in (made, other)]
        return [services.tokens.issue(principal) for principal in found]

    first, second = with_services(cli, tokens)
    assert is_accepted(cli, first)
    cli.run("key", "revoke", made["id"])
    assert [is_accepted(cli, each) for each in (made["key"], first, other["key"], second)] == [False, False, True, True]


def test_a_disabled_account_keeps_its_recordings_and_rejects_its_credentials(cli: CommandLine, account: str) -> None:
    add_recording(cli, account)
    (key,) = cli.json("key", "create", "--account", account)
    (ingest,) = cli.json("ingest", "create", "--account", account)
    (other,) = cli.json("account", "create", "Other")
    credentials = [token(cli, account), key["key"]]
    assert "1 recordings" in answer(cli, "n\n", "account", "disable", account, expected=1)
    assert all(is_accepted(cli, each) for each in credentials)
    asked = answer(cli, "y\n", "account", "disable", account, expected=0)
    assert "They are kept" in asked
    assert not any(is_accepted(cli, each) for each in credentials)
    assert not accepts_ingest(cli, ingest["url"])
    assert is_accepted(cli, token(cli, other["id"]))
    assert [bool(each["disabled"]) for each in cli.json("account", "list")] == [True, False]
    cli.run("account", "enable", account)
    assert all(is_accepted(cli, each) for each in credentials)
    assert accepts_ingest(cli, ingest["url"])


@pytest.mark.parametrize("values", [{}, {"state": State.TRASHED, "trashed_from": State.FAILED, "purge_at": 10**15}])
def test_an_account_with_recordings_is_not_deleted(cli: CommandLine, account: str, values: dict[str, Any]) -> None:
    add_recording(cli, account, **values)
    refused = cli.run("account", "delete", account, "--yes", expected=1).stderr
    assert "cannot be deleted, because it has 1 " in refused
    assert [(each["id"], each["disabled"]) for each in cli.json("account", "list")] == [(account, None)]


def test_an_empty_account_is_deleted(cli: CommandLine, account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.use_cases.account_closing.SETTLED", 20)
    old = token(cli, account)
    cli.run("account", "create", "Below", "--parent", account, "--id", "b" * 32)
    cli.run("webhook", "create", "--account", account, "--url", "https://93.184.216.34/hook")
    assert "1 accounts below it" in cli.run("account", "delete", account, "--yes", expected=1).stderr
    for identity in ("b" * 32, account):
        assert cli.json("account", "delete", identity, "--yes") == [{"id": identity, "deleted": True}]
    assert cli.json("account", "list") == []
    assert not is_accepted(cli, old)
    cli.run("account", "create", "Again", "--id", account)
    assert not is_accepted(cli, old)
    assert is_accepted(cli, token(cli, account))
    assert cli.json("webhook", "list", "--account", account) == []


def test_a_user_gets_a_new_password_and_is_disabled_and_deleted(cli: CommandLine, account: str) -> None:
    words = ["--account", account]
    (ada,) = cli.json("user", "create", *words, "--username", "Ada", "--admin")

    async def issue(services: Services) -> str:
        return services.tokens.issue(Principal(account, SCOPES, user_id=ada["id"]))

    first = with_services(cli, issue)
    assert "at least 8" in cli.run("user", "set-password", *words, "ada", "--password", "short", expected=2).stderr
    assert is_accepted(cli, first)
    cli.run("user", "set-password", *words, "ada", "--password", "a new password")
    assert not is_accepted(cli, first)
    answer(cli, "another one\nanother one\n", "user", "set-password", *words, ada["id"], expected=0)
    second, owned = with_services(cli, issue), token(cli, account, "--owner", ada["id"])
    cli.run("user", "disable", *words, "--username", "ada")
    assert not is_accepted(cli, second)
    assert not is_accepted(cli, owned)
    assert cli.json("user", "list", *words)[0]["disabled"]
    cli.run("user", "enable", *words, ada["id"], "--yes")
    assert is_accepted(cli, second)
    assert "are kept" in answer(cli, "n\n", "user", "delete", *words, "ada", expected=1)
    assert json.loads(cli.run("user", "delete", *words, "ada", "--yes").stdout)["deleted"]
    assert cli.json("user", "list", *words) == []
    assert not is_accepted(cli, second)
    assert "has no user" in cli.run("user", "disable", *words, "ada", expected=1).stderr
    assert "name the user once" in cli.run("user", "disable", *words, expected=2).stderr
    cli.run("user", "create", *words, "--username", "Ada", "--id", ada["id"])
    assert not is_accepted(cli, second)
    assert is_accepted(cli, token(cli, account, "--owner", ada["id"]))
