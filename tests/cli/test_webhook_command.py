"""`recordings webhook`. The test of requests to a real receiver is tests/e2e/test_webhook_receivers.py."""

import re
import shlex
from base64 import b64encode
from pathlib import Path
from typing import Any

import click

from graph.cli.main import recordings
from tests.cli.conftest import CommandLine

URL = "https://93.184.216.34/hook"


def one(cli: CommandLine, *words: str) -> dict[str, Any]:
    (found,) = cli.json("webhook", *words)
    return found  # type: ignore[no-any-return]


def test_a_webhook_is_created_listed_changed_and_deleted(cli: CommandLine, account: str) -> None:
    made = one(
        cli, "create", "--account", account, "--url", URL, "--name", "CRM", "--types",
        "recording.stored, recording.lost", "--filter", '{"label": {"equal": "vip"}}', "--include", "PARTIES",
        "--descendants", "--overlap-hours", "2",
    )  # fmt: skip
    secret, keys = made.pop("secret"), made["public_keys"]
    assert secret.startswith("whsec_")
    assert made == made | {
        "account": account, "url": URL, "name": "CRM", "types": ["recording.lost", "recording.stored"],
        "filter": '{"label": {"equal": "vip"}}', "include": ["PARTIES"], "format": "STANDARD", "descendants": True,
        "enabled": True, "overlap_hours": 2.0, "revision": 1,
    }  # fmt: skip
    assert one(cli, "show", made["id"]) == made
    assert one(cli, "list", "--account", account) == {name: made[name] for name in made if name != "public_keys"}
    changed = one(
        cli, "update", made["id"], "--types", "all", "--filter", "{}", "--include", "none", "--disabled",
        "--no-descendants", "--url", f"{URL}/2",
    )  # fmt: skip
    assert changed == changed | {
        "types": None, "filter": None, "include": [], "enabled": False, "disabled_reason": "BY_CLIENT",
        "descendants": False, "url": f"{URL}/2", "name": "CRM",
    }  # fmt: skip
    given = f"whsec_{b64encode(b'x' * 24).decode()}"
    rotated = one(cli, "rotate", made["id"], "--secret", given, "--overlap-hours", "1")
    assert rotated["secret"] == given
    assert rotated["public_keys"][1:] == keys
    for words in (["list", "--account", account], ["show", made["id"]]):
        assert given not in cli.run("webhook", *words).stdout
    assert "Aborted" in cli.run("webhook", "delete", made["id"], expected=1).stderr
    assert one(cli, "delete", made["id"], "--yes") == {"id": made["id"], "deleted": True}
    assert cli.json("webhook", "list", "--account", account) == []


def test_the_format_of_kazoo_has_its_own_options(cli: CommandLine, account: str) -> None:
    made = one(
        cli, "create", "--account", account, "--url", URL, "--format", "kazoo", "--verb", "put", "--body", "json",
        "--custom-data", "tag=a=b", "--custom-data", "x=",
    )  # fmt: skip
    assert made == made | {"verb": "PUT", "kazoo": {"format": "json"}, "custom_data": {"tag": "a=b", "x": ""}}
    changed = one(cli, "update", made["id"], "--body", "form-data", "--verb", "get")
    assert changed == changed | {
        "verb": "GET",
        "kazoo": {"format": "form-data"},
        "custom_data": {"tag": "a=b", "x": ""},
    }


def test_errors_name_the_value(cli: CommandLine, account: str) -> None:
    create = ("create", "--account", account, "--url")
    for words, message, code in (
        ((*create, "http://127.0.0.1/hook"), "url must be an allowed URL", 2),
        ((*create, URL, "--types", "recording.gone"), "types must be one of", 2),
        ((*create, URL, "--filter", "{"), "filter must be a JSON object", 2),
        ((*create, URL, "--format", "xml"), "'xml' is not one of 'standard', 'cloudevents-binary'", 2),
        ((*create, URL, "--custom-data", "x"), "--custom-data must be NAME=TEXT", 2),
        (("list", "--account", "f" * 32), "there is no account", 1),
        (("test", "f" * 32), f"there is no webhook '{'f' * 32}'", 1),
        (("replay", "x", "--since", "yesterday"), "--since 'yesterday' is not a time: write a date", 2),
        (("replay", "x", "--since", "7d"), "there is no webhook 'x'", 1),
    ):
        assert message in cli.run("webhook", *words, expected=code).stderr


def test_the_commands_of_the_page_exist() -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("recordings ")]
    named = [shlex.split(words) for words in re.findall(r"`recordings (webhook \w+)`", page)]
    assert (len(lines), len(named)) == (3, 8)
    for words in (*(line[1:] for line in lines), *named):
        command: click.Command = recordings
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        if words:
            # This raises an error if the arguments do not parse.
            command.make_context(command.name, words).close()
