"""Accounts, keys, tokens and ingest addresses by the command line."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from graph.cli.main import recordings
from graph.cli.shared_options import setting_options
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from tests.cli.conftest import CommandLine
from tests.servers.mongod import free_port


def principal_of(cli: CommandLine, secret: str) -> Principal:
    async def ask() -> Principal:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            return await services.identity.authenticate({"X-Auth-Token": secret})

    return asyncio.run(ask())


def test_accounts_form_a_tree(cli: CommandLine) -> None:
    (top,) = cli.json("account", "create", "Top", "--id", "ab" * 16)
    (below,) = cli.json("account", "create", "Below", "--parent", top["id"])
    assert (top["id"], below["parent"]) == ("ab" * 16, "ab" * 16)
    assert [found["name"] for found in cli.json("account", "list")] == ["Top", "Below"]


def test_an_account_that_is_there_cannot_be_made_again(cli: CommandLine) -> None:
    cli.run("account", "create", "One", "--id", "ab" * 16)
    assert "already" in cli.run("account", "create", "Two", "--id", "ab" * 16, expected=1).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["account", "create", "X", "--id", "short"], "32 lower-case hexadecimal digits"),
        (["account", "create", ""], "1 to 128 printable"),
        (["user", "create", "--account", "nobody", "--username", ""], "1 to 128 printable"),
        (["account", "create", "X", "--parent", "cd" * 16], "there is no account"),
        (["key", "create", "--account", "nobody"], "there is no account"),
        (["key", "list", "--account", "nobody"], "there is no account"),
        (["key", "revoke", "nothing"], "there is no API key"),
        (["ingest", "create", "--account", "nobody"], "there is no account"),
        (["ingest", "revoke", "nothing"], "there is no ingest address"),
        (["token", "--account", "nobody"], "there is no account"),
        (["user", "list", "--account", "nobody"], "there is no account"),
        (["token", "--account", "nobody", "--expires", "0"], "--expires"),
        (["key", "create", "--account", "nobody", "--scope", "ingest"], "--scope"),
        (["key", "create"], "--account"),
        (["call"], "start the server with --demo"),
        (["call", "--url", "127.0.0.1:8000"], "http://"),
        (["call", "--url", "http://127.0.0.1:99999"], "http://"),
        (["call", "--url", "http://[::1"], "http://"),
    ],
)
@pytest.mark.usefixtures("account")
def test_what_cannot_be_done_is_said_and_no_traceback_is_shown(cli: CommandLine, words: list[str], said: str) -> None:
    asked_wrongly = {"--id", "", "--expires", "--scope", "--url"} & set(words) or words == ["key", "create"]
    result = cli.run(*words, expected=2 if asked_wrongly else 1)
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["account", "list"],
        ["key", "list", "--account", "ab" * 16],
        ["token", "--account", "ab" * 16],
        ["user", "create", "--account", "ab" * 16, "--username", "ada"],
        ["ingest", "create", "--account", "ab" * 16],
        ["retention", "list", "--account", "ab" * 16],
        ["call"],
        ["doctor"],
    ],
)
def test_where_no_installation_is_none_is_made(cli: CommandLine, words: list[str]) -> None:
    result = cli.run(*words, expected=1)
    assert f"there is no installation in {cli.data}" in result.stderr
    assert not cli.data.exists()


@pytest.mark.parametrize("uri", ["mongodb://ada:hunter%zz@db/x", "mongodb://db/a/b", "mongodb://db/?tls=perhaps"])
def test_a_uri_that_cannot_be_used_is_told_in_one_line(cli: CommandLine, uri: str) -> None:
    result = cli.run("account", "list", "--mongodb", uri, expected=1)
    assert result.stderr.startswith("Error: RECORDINGS_MONGODB cannot be used: ")
    assert result.stderr.count("\n") == 1
    assert "hunter" not in result.stderr


def test_a_store_that_is_away_is_told_without_all_that_the_driver_knows(cli: CommandLine) -> None:
    uri = f"mongodb://127.0.0.1:{free_port()}/x?serverSelectionTimeoutMS=100"
    said = cli.run("account", "list", "--mongodb", uri, expected=1).stderr
    assert said.startswith("Error: the metadata store cannot be opened: ")
    assert "Topology" not in said


def test_the_name_of_a_server_is_whole(cli: CommandLine, account: str) -> None:
    (cli.data / "node").write_text("")
    assert "node must hold the name of this server" in cli.run("key", "list", "--account", account, expected=1).stderr


def test_a_full_disk_behind_an_answer_is_told(cli: CommandLine, account: str) -> None:
    words = (sys.executable, "-m", "graph.cli.main", "key", "list", "--account", account, "--data", str(cli.data))
    cli.run("key", "create", "--account", account)
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (1, "Error: [Errno 28] No space left on device\n")


def test_a_key_is_shown_once_and_works_until_it_is_revoked(cli: CommandLine, account: str) -> None:
    (made,) = cli.json("key", "create", "--account", account, "--owner", "ada", "--scope", "read", "--scope", "listen")
    assert len(made["key"]) == 64
    assert principal_of(cli, made["key"]).scopes == {Scope.READ, Scope.LISTEN}
    assert principal_of(cli, made["key"]).owner_id == "ada"
    listed = cli.run("key", "list", "--account", account)
    assert made["key"] not in listed.output
    assert cli.json("key", "list", "--account", account)[0]["revoked"] is None
    cli.run("key", "revoke", made["id"])
    cli.run("key", "revoke", made["id"])
    assert cli.json("key", "list", "--account", account)[0]["revoked"] is not None
    with pytest.raises(Unauthenticated):
        principal_of(cli, made["key"])


def test_a_token_is_all_that_is_printed(cli: CommandLine, account: str) -> None:
    printed = cli.run("token", "--account", account, "--expires", "60").stdout
    assert printed.count("\n") == 1
    assert principal_of(cli, printed.strip()) == Principal(
        account, frozenset({Scope.READ, Scope.LISTEN, Scope.CONTROL, Scope.DELETE}), None, "token"
    )


def test_an_ingest_address_is_shown_once(cli: CommandLine, account: str) -> None:
    (made,) = cli.json("ingest", "create", "--account", account, "--port", "9000")
    base = f"http://127.0.0.1:9000/ingest/{made['id']}/"
    secret = made["url"].removeprefix(base)
    assert len(secret) == 64
    assert made["websocket"] == f"ws://127.0.0.1:9000/ingest/{made['id']}/{secret}/ws"
    assert secret not in cli.run("ingest", "list", "--account", account).output
    cli.run("ingest", "revoke", made["id"])
    assert cli.json("ingest", "list", "--account", account)[0]["revoked"] is not None


def test_no_secret_is_on_the_disk_but_the_one_of_the_installation(cli: CommandLine, account: str) -> None:
    key = cli.json("key", "create", "--account", account)[0]["key"]
    ingest = cli.json("ingest", "create", "--account", account)[0]["url"].rsplit("/", 1)[1]
    token = cli.run("token", "--account", account).stdout.strip()
    kept = b"".join(path.read_bytes() for path in cli.data.rglob("*") if path.is_file())
    for secret in (key, ingest, token):
        assert secret.encode() not in kept


def test_the_data_folder_is_private(cli: CommandLine, account: str) -> None:
    assert cli.data.stat().st_mode & 0o077 == 0
    assert (cli.data / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_schema_is_the_one_in_the_repository(cli: CommandLine) -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert cli.run("schema").stdout == committed.read_text(encoding="utf-8")


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        here = (*path, name)
        found += commands(command, *here) if isinstance(command, click.Group) else [here]
    return found


@pytest.mark.parametrize("words", commands(recordings), ids=" ".join)
def test_every_command_and_every_option_says_what_it_is_for(cli: CommandLine, words: tuple[str, ...]) -> None:
    shown = cli.run(*words, "--help").stdout
    command: click.Command = recordings
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            assert parameter.opts[0] in shown


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RECORDINGS_PORT": "none"}, "RECORDINGS_PORT (or --port) must be an integer from 1 to 65535, not 'none'"),
        ({"RECORDINGS_DRIVER": "odbc"}, "RECORDINGS_DRIVER (or --driver) must be one of pymongo, motor, not 'odbc'"),
        ({"RECORDINGS_GRAPHIQL": "maybe"}, "on or off"),
        (
            {"RECORDINGS_JWKS_URL": "https://issuer.example/keys"},
            "RECORDINGS_JWKS_ISSUER (or --jwks-issuer) must be a text, as --jwks-url needs it",
        ),
        ({"RECORDINGS_MONGODB": "postgres://x"}, "mongodb://"),
    ],
)
def test_a_wrong_setting_ends_the_start_and_says_what_to_change(
    cli: CommandLine, variables: dict[str, str], said: str
) -> None:
    assert said in " ".join(cli.run("serve", expected=2, **variables).stderr.split())


def test_a_key_file_that_everybody_can_read_ends_the_start(cli: CommandLine, account: str) -> None:
    (cli.data / "secret.key").chmod(0o644)
    assert "chmod 600" in cli.run("serve", expected=1).stderr
    assert "chmod 600" in cli.run("account", "list", expected=1).stderr


def test_a_store_that_cannot_be_opened_is_said(cli: CommandLine) -> None:
    cli.data.mkdir()
    (cli.data / "recordings.sqlite3").mkdir()
    for words in (["account", "list"], ["serve"]):
        said = cli.run(*words, expected=1).stderr
        assert "the metadata store cannot be opened" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("words", [["account", "create", "Acme"], ["serve"]], ids=" ".join)
def test_a_data_folder_that_cannot_be_used_is_said(cli: CommandLine, words: list[str]) -> None:
    cli.data.write_bytes(b"")
    said = cli.run(*words, expected=1).stderr
    assert said == f"Error: the data folder {cli.data} cannot be used: File exists\n"


def test_a_variable_that_is_no_setting_is_named_and_what_is_in_it_is_not(cli: CommandLine) -> None:
    words = ("serve", "--media", "nosuch://bucket", "--log-format", "json")
    said = cli.run(*words, expected=1, RECORDINGS_MONGO="mongodb://ada:hunter2@db").stderr
    line = json.loads(said.splitlines()[0])
    assert (line["level"], line["variables"]) == ("warning", ["RECORDINGS_MONGO"])
    assert "hunter2" not in said


@pytest.mark.parametrize("option", ["--allowed-hosts", "--private-hosts"])
def test_hosts_that_are_none_end_the_start(cli: CommandLine, option: str) -> None:
    said = cli.run("serve", option, "https://audio.example.org", expected=1).stderr
    assert said.startswith("Error: RECORDINGS_ALLOWED_HOSTS or RECORDINGS_PRIVATE_HOSTS cannot be used: 'https://audio")


@pytest.mark.usefixtures("account")
def test_a_spool_that_cannot_be_written_ends_the_start(cli: CommandLine) -> None:
    (cli.data / "spool").write_bytes(b"")
    said = cli.run("serve", "--port", str(free_port()), expected=1).stderr
    assert said == f"Error: the spool in {cli.data} cannot be written: File exists\n"


def test_a_full_disk_is_said_where_the_store_cannot_be_opened(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.data.mkdir()
    (cli.data / "recordings.sqlite3").mkdir()
    assert "full" not in cli.run("account", "list", expected=1).stderr
    total, used, _ = shutil.disk_usage(cli.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: (total, used, 4_096))
    assert cli.run("account", "list", expected=1).stderr.endswith(f" (the disk of {cli.data} is full)\n")


@pytest.mark.parametrize("words", [["account", "create", "Acme"], ["serve"]], ids=" ".join)
def test_a_key_file_that_cannot_be_made_is_said(cli: CommandLine, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    key = tmp_path / "file" / "secret.key"
    said = cli.run(*words, "--key-file", key, expected=1).stderr
    assert said == f"Error: {key} cannot be used as the key file: File exists\n"


@pytest.mark.parametrize(
    ("missing", "words", "said"),
    [
        ("motor.motor_asyncio", ["--driver", "motor", "--mongodb", "mongodb://127.0.0.1:1/x"], "the extra 'motor'"),
        ("adapters.media.s3_store", ["--media", "s3://bucket"], "the extra 's3'"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, missing: str, words: list[str], said: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    told = cli.run("account", "create", "Acme", *words, expected=1).stderr
    assert said in told
    assert told.count("\n") == 1


def test_a_place_for_audio_that_nothing_reaches_ends_the_start(cli: CommandLine) -> None:
    said = cli.run("serve", "--media", "nosuch://bucket", expected=1).stderr
    assert said == "Error: the media store cannot be opened: Protocol not known: nosuch\n"


def test_what_is_on_or_off_is_an_option_alone_or_with_a_word() -> None:
    given: list[object] = []

    @click.command()
    @setting_options(["graphiql", "demo", "media_presign"])
    def probe(options: Mapping[str, str | None]) -> None:
        load({}, options)
        given.append(dict(options))

    for words in (["--demo", "--graphiql", "off"], ["--demo", "on", "--graphiql=off"], ["--graphiql", "off", "--demo"]):
        assert CliRunner().invoke(probe, words).exit_code == 0
        assert given.pop() == {"graphiql": "off", "demo": "on", "media_presign": None}


async def test_services_can_be_opened_twice_at_once(cli: CommandLine) -> None:
    settings = load({}, {"data": str(cli.data)})

    async def seen(services: Services) -> int:
        return len([account async for account in services.administration.accounts()])

    async with open_services(settings) as one, open_services(settings) as two:
        await one.administration.create_account("Acme")
        assert await seen(one) == await seen(two) == 1
        assert one.node == two.node
