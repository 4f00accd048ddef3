"""`recordings key …-installation`, and key files that do not belong to the metadata store."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from graph.cli import installation_key_command as commands
from tests.cli.conftest import CommandLine
from tests.cli.test_end_of_access import is_accepted, token


@pytest.fixture(autouse=True)
def no_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "INTERVAL", 0)
    monkeypatch.setattr(commands, "_MARGIN_SECONDS", 0)


def test_a_rotation_keeps_old_signatures_until_their_key_is_dropped(cli: CommandLine, account: str) -> None:
    before = token(cli, account)
    old = cli.json("key", "show-installation")[0]
    assert old["signs"]
    shown = cli.json("key", "rotate-installation")
    assert [(key["id"] == old["id"], key["signs"]) for key in shown] == [(True, False), (False, True)]
    assert shown == cli.json("key", "show-installation")
    assert (cli.data / "secret.key").stat().st_mode & 0o777 == 0o600
    after = token(cli, account)
    assert (jwt.get_unverified_header(before)["kid"], jwt.get_unverified_header(after)["kid"]) == (
        old["id"],
        shown[1]["id"],
    )
    assert is_accepted(cli, before)
    assert is_accepted(cli, after)
    assert "signs now" in cli.run("key", "drop-installation", "--yes", shown[1]["id"], expected=1).stderr
    assert "no key 'x'" in cli.run("key", "drop-installation", "--yes", "x", expected=1).stderr
    dropped = cli.run("key", "drop-installation", "--yes", old["id"])
    assert shown[1]["since"] in dropped.stderr
    assert len(dropped.stdout.splitlines()) == 1
    assert not is_accepted(cli, before)
    assert is_accepted(cli, after)


def test_dropping_a_key_asks_first(cli: CommandLine, account: str) -> None:
    assert account
    old = cli.json("key", "show-installation")[0]["id"]
    cli.run("key", "rotate-installation")
    assert "Tokens, signed URLs" in cli.run("key", "drop-installation", old, expected=1).stderr
    assert len(cli.json("key", "show-installation")) == 2


@pytest.mark.parametrize(
    "command", [("serve",), ("doctor",), ("token", "--account", "x"), ("key", "rotate-installation")]
)
def test_no_command_works_with_the_key_of_another_installation(
    cli: CommandLine, account: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    assert account
    other = CommandLine(tmp_path / "other")
    other.run("account", "create", "Other")
    foreign, own = (each.json("key", "show-installation")[0]["id"] for each in (other, cli))
    refused = cli.run(*command, "--key-file", other.data / "secret.key", expected=1)
    assert f"does not belong to this metadata store: it has the key {foreign}" in refused.stderr
    assert f"belongs to the key {own}" in refused.stderr
    # Not the key itself.
    assert (other.data / "secret.key").read_text().strip() not in refused.output


def test_a_lost_key_is_not_replaced_silently(cli: CommandLine, account: str) -> None:
    before = token(cli, account)
    (cli.data / "secret.key").unlink()
    assert "does not exist: the metadata store belongs" in cli.run("doctor", expected=1).stderr
    assert not (cli.data / "secret.key").exists()
    cli.run("key", "adopt-installation", expected=1)
    adopted = cli.json("key", "adopt-installation", "--yes")
    assert [key["signs"] for key in adopted] == [True]
    assert not is_accepted(cli, before)
    assert is_accepted(cli, token(cli, account))


def test_a_copied_data_folder_works_and_a_copy_without_its_key_does_not(
    cli: CommandLine, account: str, tmp_path: Path
) -> None:
    before = token(cli, account)
    copy = CommandLine(tmp_path / "copy")
    shutil.copytree(cli.data, copy.data)
    assert is_accepted(copy, before)
    (copy.data / "secret.key").unlink()
    assert "does not exist" in copy.run("account", "list", expected=1).stderr
    shutil.copy(cli.data / "secret.key", copy.data)
    assert is_accepted(copy, before)


def test_a_backup_from_before_a_rotation_works_until_its_key_is_dropped(
    cli: CommandLine, account: str, tmp_path: Path
) -> None:
    backup = CommandLine(tmp_path / "backup")
    before = token(cli, account)
    shutil.copytree(cli.data, backup.data)
    old = cli.json("key", "show-installation")[0]["id"]
    new = cli.json("key", "rotate-installation")[1]["id"]
    # The older metadata with the newer key file signs with the older key, and the opposite is refused.
    newer_key = cli.data / "secret.key"
    assert is_accepted(backup, before)
    assert f"belongs to the key {new}" in cli.run("doctor", "--key-file", backup.data / "secret.key", expected=1).stderr
    shown = backup.json("key", "show-installation", "--key-file", newer_key)
    assert [(key["id"], key["signs"]) for key in shown] == [(old, True), (new, False)]
    cli.run("key", "drop-installation", "--yes", old)
    assert f"belongs to the key {old}" in backup.run("doctor", "--key-file", newer_key, expected=1).stderr
    assert backup.json("key", "adopt-installation", "--yes", "--key-file", newer_key)[0]["id"] == new


def test_a_store_of_an_earlier_release_is_claimed_by_the_first_key(cli: CommandLine, account: str) -> None:
    before = token(cli, account)
    with closing(sqlite3.connect(cli.data / "recordings.sqlite3")) as connection, connection:
        connection.execute("UPDATE installation SET key_id = NULL, key_since = NULL")
    assert is_accepted(cli, before)
    assert cli.json("key", "show-installation")[0]["signs"]


def test_changes_of_the_key_are_in_the_audit_trail(cli: CommandLine, account: str) -> None:
    assert account
    old = cli.json("key", "show-installation")[0]["id"]
    new = cli.json("key", "rotate-installation")[1]["id"]
    cli.run("key", "drop-installation", "--yes", old)
    cli.run("key", "adopt-installation", "--yes")
    entries = cli.json("audit", "list", "--account", "installation", "--action", "key")
    found = [(entry["object"], entry["details"], entry["way"], entry["outcome"]) for entry in entries]
    assert sorted(map(str, found)) == sorted(
        str((key_id, {"change": change}, "CLI", "GRANTED"))
        for key_id, change in ((new, "signs"), (old, "dropped"), (new, "adopted"))
    )


@pytest.mark.parametrize("step", ["os.write", "os.fsync", "pathlib.Path.replace", "note", "claim_key"])
def test_a_rotation_that_is_killed_at_any_step_is_continued(
    cli: CommandLine, account: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = token(cli, account)
    old = cli.json("key", "show-installation")[0]["id"]
    targets = {
        "note": "graph.cli.installation_key_command._Opened.note",
        "claim_key": "adapters.metadata.sqlite.sqlite_store.SqliteStore.claim_key",
    }
    with monkeypatch.context() as killed:
        killed.setattr(targets.get(step, step), _kill)
        cli.run("key", "rotate-installation", expected=137)
    assert is_accepted(cli, before)
    shown = cli.json("key", "show-installation")
    assert [key["id"] for key in shown if key["signs"]] == [old]
    waiting = [key["id"] for key in shown if not key["signs"]]
    after = cli.json("key", "rotate-installation")
    assert [key["signs"] for key in after] == [False, True]
    assert waiting in ([], [after[1]["id"]])
    assert is_accepted(cli, before)
    assert [path.name for path in cli.data.iterdir() if "secret.key" in path.name] == ["secret.key"]


def _kill(*_: object, **__: object) -> None:
    raise SystemExit(137)
