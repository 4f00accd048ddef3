"""The command line: accounts, keys, tokens, ingest addresses, help texts and error messages."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner
from pymongo import MongoClient

from graph.cli.main import recordings
from graph.cli.shared_options import setting_options
from graph.services import Services, open_services
from graph.settings import BY_NAME, load
from graph.settings.config_file import VARIABLE
from recordings.model.account import Principal, Scope
from recordings.model.errors import Unauthenticated
from tests.cli.conftest import CommandLine
from tests.servers.free_ports import free_port


def principal_of(cli: CommandLine, secret: str) -> Principal:
    async def authenticate() -> Principal:
        async with open_services(load({}, {"data": str(cli.data)})) as services:
            return await services.identity.authenticate({"X-Auth-Token": secret})

    return asyncio.run(authenticate())


def test_accounts_form_a_tree(cli: CommandLine) -> None:
    (top,) = cli.json("account", "create", "Top", "--id", "ab" * 16)
    (below,) = cli.json("account", "create", "Below", "--parent", top["id"])
    assert (top["id"], below["parent"]) == ("ab" * 16, "ab" * 16)
    assert [found["name"] for found in cli.json("account", "list")] == ["Top", "Below"]


def test_the_realm_of_an_account(cli: CommandLine) -> None:
    (made,) = cli.json("account", "create", "Acme", "--realm", "Acme.example.com")
    assert made["realm"] == "acme.example.com"
    (other,) = cli.json("account", "create", "Other")
    assert other["realm"] == f"{other['id'][:12]}.sip.invalid"
    for words in (("create", "X"), ("set", other["id"])):
        result = cli.run("account", *words, "--realm", "ACME.example.com", expected=1)
        assert "another account has the realm acme.example.com" in result.stderr
    assert cli.json("account", "set", made["id"], "--realm", "")[0]["realm"] == f"{made['id'][:12]}.sip.invalid"
    assert cli.json("account", "set", other["id"], "--realm", "acme.example.com")[0]["realm"] == "acme.example.com"
    assert [found["realm"].partition(".")[2] for found in cli.json("account", "list")] == ["sip.invalid", "example.com"]


def test_the_quotas_of_an_account(cli: CommandLine) -> None:
    (made,) = cli.json("account", "create", "Acme")
    assert made["quota"] == {}
    cli.run("account", "set", made["id"], "--quota", "bytes=1000", "--quota", "streams=2")
    (shown,) = cli.json("account", "show", made["id"])
    assert shown["quota"] == {"bytes": 1_000, "streams": 2}
    assert shown["usage"] == {"bytes": 0, "recordings_per_day": 0, "decoding_seconds": 0}
    assert cli.json("account", "set", made["id"], "--quota", "bytes=")[0]["quota"] == {"streams": 2}
    for wrong, message in (
        ("disk=1", "one of bytes, recordings_per_day, streams, uploads, decoding_seconds"),
        ("bytes", "NAME=NUMBER"),
        ("bytes=-1", "NAME=NUMBER"),
        ("bytes=9007199254740993", "an integer from 0 to 9007199254740991"),
    ):
        assert message in cli.run("account", "set", made["id"], "--quota", wrong, expected=2).stderr
    assert cli.json("account", "show", made["id"])[0]["quota"] == {"streams": 2}


def test_an_account_id_cannot_be_used_twice(cli: CommandLine) -> None:
    cli.run("account", "create", "One", "--id", "ab" * 16)
    assert "already" in cli.run("account", "create", "Two", "--id", "ab" * 16, expected=1).stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["account", "create", "X", "--id", "short"], "32 lower-case hexadecimal digits"),
        (["account", "create", ""], "1 to 128 printable"),
        (["account", "create", "X", "--realm", "a b", "--id", "ab" * 16], "a host name of at most 253 characters"),
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
        (["token", "--account", "nobody", "--expires", "99d"], "'99d' is not a valid integer from 1 to 31536000"),
        (["key", "create", "--account", "nobody", "--scope", "ingest"], "--scope"),
        (["key", "create"], "--account"),
        (["call"], "start the server with --demo"),
        (["call", "--url", "127.0.0.1:8000"], "http://"),
        (["call", "--url", "http://127.0.0.1:99999"], "http://"),
        (["call", "--url", "http://[::1"], "http://"),
    ],
)
@pytest.mark.usefixtures("account")
def test_failures_print_a_message_and_no_traceback(cli: CommandLine, words: list[str], message: str) -> None:
    is_usage_error = {"--id", "", "--expires", "--scope", "--url"} & set(words) or words == ["key", "create"]
    result = cli.run(*words, expected=2 if is_usage_error else 1)
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["key", "revoke"],
        ["ingest", "revoke"],
        ["policy", "explain", "--account", "ab" * 16, "--device"],
        ["policy", "set", "--account", "ab" * 16, "--lock", "never", "--number"],
        ["policy", "set", "--account", "ab" * 16, "--scope", "user", "--on", "any.any", "--id"],
        ["audit", "list", "--account", "ab" * 16, "--actor"],
    ],
)
@pytest.mark.usefixtures("account")
def test_an_argument_that_is_not_utf_8_is_a_usage_error(cli: CommandLine, words: list[str]) -> None:
    result = cli.run(*words, "x\udcff", expected=2)
    assert "the argument 'x\\udcff' is not UTF-8" in result.stderr
    assert "audit" not in result.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_an_existing_path_may_have_any_name(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "export\udcff.jsonl"
    file.write_text("")
    assert "the file is empty" in cli.run("import", file, "--account", account, expected=1).stderr


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
def test_commands_do_not_create_an_installation(cli: CommandLine, words: list[str]) -> None:
    result = cli.run(*words, expected=1)
    assert f"there is no installation in {cli.data}" in result.stderr
    assert not cli.data.exists()


@pytest.mark.parametrize("words", [["account", "list"], ["doctor"], ["key", "adopt-installation", "--yes"]])
def test_commands_do_not_create_an_installation_in_mongodb(
    cli: CommandLine, mongodb_uri: str, mongodb_database: str, mongodb_client: MongoClient[Any], words: list[str]
) -> None:
    parts = urlsplit(mongodb_uri)
    uri = parts._replace(path=f"/{mongodb_database}").geturl()
    assert "there is no installation in the database" in cli.run(*words, "--mongodb", uri, expected=1).stderr
    assert mongodb_client[mongodb_database].list_collection_names() == []
    cli.run("account", "create", "Acme", "--mongodb", uri)
    assert [each["name"] for each in cli.json("account", "list", "--mongodb", uri)] == ["Acme"]


@pytest.mark.parametrize("uri", ["mongodb://ada:hunter%zz@db/x", "mongodb://db/a/b", "mongodb://db/?tls=perhaps"])
def test_an_invalid_mongodb_uri_is_reported_in_one_line(cli: CommandLine, uri: str) -> None:
    result = cli.run("account", "list", "--mongodb", uri, expected=1)
    assert result.stderr.startswith("Error: RECORDINGS_MONGODB cannot be used: ")
    assert result.stderr.count("\n") == 1
    assert "hunter" not in result.stderr


def test_the_message_for_an_unreachable_store_has_no_driver_details(cli: CommandLine) -> None:
    uri = f"mongodb://127.0.0.1:{free_port()}/x?serverSelectionTimeoutMS=100"
    message = cli.run("account", "list", "--mongodb", uri, expected=1).stderr
    assert message.startswith("Error: the metadata store cannot be opened: ")
    assert "Topology" not in message


def test_an_invalid_node_file_is_reported(cli: CommandLine, account: str) -> None:
    (cli.data / "node").write_text("")
    assert "node must contain this server's id" in cli.run("key", "list", "--account", account, expected=1).stderr


def test_a_full_disk_for_stdout_is_reported(cli: CommandLine, account: str) -> None:
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


def test_token_prints_only_the_token(cli: CommandLine, account: str) -> None:
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


def test_only_the_secret_of_the_installation_is_on_the_disk(cli: CommandLine, account: str) -> None:
    key = cli.json("key", "create", "--account", account)[0]["key"]
    ingest = cli.json("ingest", "create", "--account", account)[0]["url"].rsplit("/", 1)[1]
    token = cli.run("token", "--account", account).stdout.strip()
    stored = b"".join(path.read_bytes() for path in cli.data.rglob("*") if path.is_file())
    for secret in (key, ingest, token):
        assert secret.encode() not in stored


def test_the_data_folder_is_private(cli: CommandLine, account: str) -> None:
    assert cli.data.stat().st_mode & 0o077 == 0
    assert (cli.data / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_printed_schema_equals_the_schema_file(cli: CommandLine) -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"
    assert cli.run("schema").stdout == committed.read_text(encoding="utf-8")


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        here = (*path, name)
        found += commands(command, *here) if isinstance(command, click.Group) else [here]
    return found


@pytest.mark.parametrize("words", commands(recordings), ids=" ".join)
def test_every_command_and_every_option_has_help(cli: CommandLine, words: tuple[str, ...]) -> None:
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


def options_of(words: tuple[str, ...]) -> list[click.Option]:
    command: click.Command = recordings
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_help_promises_variables_only_for_options_that_name_one(cli: CommandLine) -> None:
    shown = " ".join(cli.run("--help").stdout.split())
    assert "Every option" not in shown
    assert "by an environment variable if its help names one" in shown


@pytest.mark.parametrize("words", commands(recordings), ids=" ".join)
def test_help_names_a_variable_exactly_for_the_settings(cli: CommandLine, words: tuple[str, ...]) -> None:
    shown = "".join(cli.run(*words, "--help").stdout.split())
    is_own_media = words in {("import",), ("account", "set")}
    for option in options_of(words):
        setting = BY_NAME.get(option.opts[0].removeprefix("--").replace("-", "_"))
        if option.name == "config":
            assert f"env: {VARIABLE}" in (option.help or "")
        elif setting is None or (setting.name == "media" and is_own_media):
            assert "RECORDINGS_" not in (option.help or "")
        else:
            assert f"env: {setting.environment}" in (option.help or "")
            assert f"env:{setting.environment}" in shown


def test_a_variable_does_not_set_an_option_that_is_no_setting(cli: CommandLine, account: str) -> None:
    result = cli.run("key", "list", expected=2, RECORDINGS_ACCOUNT=account)
    assert "--account" in result.stderr


def test_help_of_doctor_says_which_option_deletes_audio(cli: CommandLine) -> None:
    shown = " ".join(cli.run("doctor", "--help").stdout.split())
    assert "without losing anything" not in shown
    assert "--repair-orphans NUMBER Delete at most this many files that belong to no recording." in shown


@pytest.mark.parametrize("words", [("call",), ("ingest", "create")], ids=" ".join)
def test_help_of_host_and_port_is_true_for_commands_that_do_not_listen(
    cli: CommandLine, words: tuple[str, ...]
) -> None:
    shown = " ".join(cli.run(*words, "--help").stdout.split())
    assert "The address to listen on" not in shown
    assert "The port on which the server listens" in shown


def test_help_of_verify_says_that_all_lengths_are_checked(cli: CommandLine) -> None:
    shown = " ".join(cli.run("verify", "--help").stdout.split())
    assert "checks the length of all audio" in shown


def test_help_promises_json_only_for_commands_that_list_or_change_data(cli: CommandLine) -> None:
    assert "They print JSON" not in cli.run("--help").stdout


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RECORDINGS_PORT": "80_80"}, "must be an integer from 1 to 65535, not '80_80'"),
        ({"RECORDINGS_PORT": "\u0668\u0660"}, "must be an integer from 1 to 65535"),
        ({"RECORDINGS_PORT": "none"}, "RECORDINGS_PORT (or --port) must be an integer from 1 to 65535, not 'none'"),
        ({"RECORDINGS_DRIVER": "odbc"}, "RECORDINGS_DRIVER (or --driver) must be one of pymongo, motor, not 'odbc'"),
        ({"RECORDINGS_GRAPHIQL": "maybe"}, "on or off"),
        (
            {"RECORDINGS_JWKS_URL": "https://issuer.example/keys"},
            "RECORDINGS_JWKS_ISSUER (or --jwks-issuer) is required when --jwks-url is set",
        ),
        ({"RECORDINGS_MONGODB": "postgres://x"}, "mongodb://"),
    ],
)
def test_an_invalid_setting_stops_the_start_with_a_message(
    cli: CommandLine, variables: dict[str, str], message: str
) -> None:
    assert message in " ".join(cli.run("serve", expected=2, **variables).stderr.split())


def test_a_key_file_that_all_users_can_read_stops_the_start(cli: CommandLine, account: str) -> None:
    (cli.data / "secret.key").chmod(0o644)
    assert "chmod 600" in cli.run("serve", expected=1).stderr
    assert "chmod 600" in cli.run("account", "list", expected=1).stderr


def test_a_metadata_store_that_cannot_be_opened_is_reported(cli: CommandLine) -> None:
    cli.data.mkdir()
    (cli.data / "recordings.sqlite3").mkdir()
    for words in (["account", "list"], ["serve"]):
        message = cli.run(*words, expected=1).stderr
        assert "the metadata store cannot be opened" in message
        assert "Traceback" not in message


@pytest.mark.parametrize("words", [["list"], ["doctor"], ["key", "show-installation"]], ids=" ".join)
def test_an_empty_sqlite_file_is_no_installation(cli: CommandLine, account: str, words: list[str]) -> None:
    for file in cli.data.glob("recordings.sqlite3*"):
        file.unlink()
    file = cli.data / "recordings.sqlite3"
    file.touch()
    assert f"there is no installation in {cli.data}" in cli.run(*words, expected=1).stderr
    assert file.stat().st_size == 0


@pytest.mark.parametrize("words", [["account", "create", "Acme"], ["serve"]], ids=" ".join)
def test_an_unusable_data_folder_is_reported(cli: CommandLine, words: list[str]) -> None:
    cli.data.write_bytes(b"")
    message = cli.run(*words, expected=1).stderr
    assert message == f"Error: the data folder {cli.data} cannot be used: File exists\n"


def test_an_unknown_variable_is_logged_without_its_value(cli: CommandLine) -> None:
    words = ("serve", "--media", "nosuch://bucket", "--log-format", "json")
    message = cli.run(*words, expected=1, RECORDINGS_MONGO="mongodb://ada:hunter2@db").stderr
    line = json.loads(message.splitlines()[0])
    assert (line["level"], line["variables"]) == ("warning", ["RECORDINGS_MONGO"])
    assert "hunter2" not in message


@pytest.mark.parametrize("option", ["--allowed-hosts", "--private-hosts"])
def test_invalid_hosts_stop_the_start(cli: CommandLine, option: str) -> None:
    message = cli.run("serve", option, "https://audio.example.org", expected=1).stderr
    assert message.startswith(
        "Error: RECORDINGS_ALLOWED_HOSTS or RECORDINGS_PRIVATE_HOSTS cannot be used: 'https://audio"
    )


@pytest.mark.usefixtures("account")
def test_an_unwritable_spool_stops_the_start(cli: CommandLine) -> None:
    (cli.data / "spool").write_bytes(b"")
    message = cli.run("serve", expected=1).stderr
    assert message == f"Error: the spool in {cli.data} cannot be written: File exists\n"


def test_the_message_for_a_store_names_a_full_disk(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.data.mkdir()
    (cli.data / "recordings.sqlite3").mkdir()
    assert "full" not in cli.run("account", "list", expected=1).stderr
    total, used, _ = shutil.disk_usage(cli.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: (total, used, 4_096))
    assert cli.run("account", "list", expected=1).stderr.endswith(f" (the disk of {cli.data} is full)\n")


@pytest.mark.parametrize("words", [["account", "create", "Acme"], ["serve"]], ids=" ".join)
def test_a_key_file_that_cannot_be_created_is_reported(cli: CommandLine, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    key = tmp_path / "file" / "secret.key"
    message = cli.run(*words, "--key-file", key, expected=1).stderr
    assert message == f"Error: {key} cannot be used as the key file: File exists\n"


@pytest.mark.parametrize(
    ("missing", "words", "message"),
    [
        ("motor.motor_asyncio", ["--driver", "motor", "--mongodb", "mongodb://127.0.0.1:1/x"], "the extra 'motor'"),
        ("adapters.media.s3_store", ["--media", "s3://bucket"], "the extra 's3'"),
    ],
)
def test_a_missing_extra_is_named(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, missing: str, words: list[str], message: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    output = cli.run("account", "create", "Acme", *words, expected=1).stderr
    assert message in output
    assert output.count("\n") == 1


def test_an_unknown_scheme_for_media_stops_the_start(cli: CommandLine) -> None:
    message = cli.run("serve", "--media", "nosuch://bucket", expected=1).stderr
    assert message == "Error: the media store cannot be opened: Protocol not known: nosuch\n"


def test_an_on_off_option_needs_no_value() -> None:
    received: list[object] = []

    @click.command()
    @setting_options(["graphiql", "demo", "media_presign"])
    def probe(options: Mapping[str, str | None]) -> None:
        load({}, options)
        received.append(dict(options))

    for words in (["--demo", "--graphiql", "off"], ["--demo", "on", "--graphiql=off"], ["--graphiql", "off", "--demo"]):
        assert CliRunner().invoke(probe, words).exit_code == 0
        assert received.pop() == {"graphiql": "off", "demo": "on", "media_presign": None, "config": None}


async def test_services_can_be_opened_twice_at_the_same_time(cli: CommandLine) -> None:
    settings = load({}, {"data": str(cli.data)})

    async def count_accounts(services: Services) -> int:
        return len([account async for account in services.accounts.accounts()])

    async with open_services(settings) as one, open_services(settings) as two:
        await one.accounts.create_account("Acme")
        assert await count_accounts(one) == await count_accounts(two) == 1
        assert one.node == two.node


@pytest.mark.parametrize("words", [("list",), ("forget", "x")])
def test_an_installation_with_sqlite_has_no_list_of_servers(cli: CommandLine, words: tuple[str, ...]) -> None:
    cli.run("account", "create", "Acme")
    assert "has one server only" in cli.run("node", *words, expected=1).stderr
