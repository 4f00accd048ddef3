"""`recordings export`: the same tables as over HTTP, in a file or on stdout, and resumable."""

import json
import re
from pathlib import Path

import pytest

from recordings.use_cases import export_recordings
from tests.cli.archive_files import WAV, delete, document, id_of, lines, name_of
from tests.cli.conftest import CommandLine


@pytest.fixture
def archive(cli: CommandLine, account: str, tmp_path: Path) -> str:
    """An account with three recordings, the last of them deleted."""
    (tmp_path / "media").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "media" / name_of(number)).write_bytes(WAV)
    stub = {"content_type": "audio/x-wav", "stub": True}
    file = tmp_path / "archive.jsonl"
    start = document(1, account)["start"]
    file.write_bytes(
        lines(*(document(n, account, start=start + n, _attachments={name_of(n): stub}) for n in (1, 2, 3)))
    )
    cli.run("import", file, "--account", account, "--media", tmp_path / "media")
    delete(cli, account, id_of(3))
    return account


def test_an_export_is_written_and_says_where_to_continue(
    cli: CommandLine, archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_recordings, "CHUNK", 1)
    rows = cli.json("export", "--account", archive, "--format", "ndjson")
    assert [row["id"] for row in rows] == [id_of(1), id_of(2)]
    file = tmp_path / "table.csv"
    ended = cli.run("export", "--account", archive, "--fields", "id,state", "--bom", "--output", file)
    assert file.read_bytes().decode("utf-8-sig").splitlines()[0] == "id,state,cursor"
    assert (ended.stdout, ended.stderr) == ("", f"2 rows; continue with --after {rows[-1]['cursor']}\n")
    assert cli.json("export", "--account", archive, "--format", "ndjson", "--after", rows[0]["cursor"]) == rows[1:]


def test_changes_are_exported_with_deleted_recordings(cli: CommandLine, archive: str) -> None:
    wanted = ("export", "--account", archive, "--format", "ndjson", "--modified-since", "2020-01-01")
    ended = cli.run(*wanted)
    states = {row["id"]: row["state"] for row in map(json.loads, ended.stdout.splitlines())}
    assert states == {id_of(1): "STORED", id_of(2): "STORED", id_of(3): "TRASHED"}
    found = re.search(r"--after (\S+)", ended.stderr)
    assert found is not None
    assert cli.json(*wanted, "--after", found[1]) == []
    assert cli.json(*wanted, "--filter", '{"state": {"equal": "STORED"}}') != []


def test_a_file_that_cannot_be_written_is_one_error(cli: CommandLine, account: str, tmp_path: Path) -> None:
    for output, reason in ((tmp_path / "missing" / "table.csv", "No such file"), (tmp_path, "Is a directory")):
        ended = cli.run("export", "--account", account, "--output", output, expected=1)
        (line,) = ended.stderr.splitlines()
        assert str(output) in line
        assert reason in line


def test_a_wrong_option_does_not_empty_the_file(cli: CommandLine, account: str, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("kept")
    cli.run("export", "--account", account, "--from", "x", "--output", file, expected=2)
    assert file.read_text() == "kept"


@pytest.mark.parametrize("options", [("--filter", "{"), ("--from", "x"), ("--after", "x"), ("--fields", "x")])
def test_a_wrong_option_is_a_usage_error(cli: CommandLine, account: str, options: tuple[str, str]) -> None:
    assert options[0].strip("-") in cli.run("export", "--account", account, *options, expected=2).stderr
