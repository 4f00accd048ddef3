"""`recordings audit` on the command line."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from graph.server.request_origin import current_origin
from recordings.model.audit_entry import Way
from recordings.rules.audit_chain import hash_of
from tests.cli.conftest import CommandLine


def test_commands_are_in_the_trail_and_a_change_of_it_is_named(cli: CommandLine, account: str, tmp_path: Path) -> None:
    (key,) = cli.json("key", "create", "--account", account, "--owner", "ada")
    cli.run("user", "create", "--account", account, "--username", "ada")
    listed = cli.json("audit", "list", "--account", account)
    assert [(each["action"], each["actor_kind"], each["way"]) for each in listed] == [
        ("USER", "OPERATOR", "CLI"), ("KEY", "OPERATOR", "CLI"), ("ACCOUNT", "OPERATOR", "CLI")
    ]  # fmt: skip
    assert listed[1]["object"] == key["id"]
    assert cli.json("audit", "list", "--account", account, "--action", "key", "--since", "1h") == [listed[1]]
    assert cli.json("audit", "list", "--account", account, "--object", key["id"], "--first", "1") == [listed[1]]
    assert cli.json("audit", "list", "--account", account, "--before", "1h") == []
    refused = cli.run("audit", "list", "--account", account, "--before", "yesterday", expected=2)
    assert "--before 'yesterday' is not a time" in refused.stderr
    assert cli.json("audit", "seal")[0]["seal"].endswith(":00000001")
    (report,) = cli.json("audit", "verify")
    assert (report["entries"], report["unsealed"], report["breaks"]) == (3, 0, [])
    with closing(sqlite3.connect(cli.data / "recordings.sqlite3")) as file:
        file.execute("UPDATE audit_entries SET body = replace(body, 'ada', 'eve') WHERE action = 'KEY'")
        file.commit()
    result = cli.run("audit", "verify", expected=1)
    assert "The first break: chain" in result.stderr
    assert f"entry 2 ({listed[1]['id']}" in result.stderr
    assert current_origin().way is Way.SYSTEM


def test_a_change_that_fails_has_an_entry_that_says_so(cli: CommandLine, account: str) -> None:
    """Each change has its entry before it is done."""
    ada = ("user", "create", "--account", account, "--username", "ada")
    cli.run(*ada)
    cli.run("account", "create", "Other", "--realm", "taken.example.com")
    for words in (
        ada,
        ("account", "create", "Again", "--id", account),
        ("account", "set", account, "--realm", "taken.example.com"),
        ("key", "revoke", "nothing"),
        ("ingest", "revoke", "nothing"),
    ):
        cli.run(*words, expected=1)
    entries = [
        *cli.json("audit", "list", "--account", account),
        *cli.json("audit", "list", "--account", "installation"),
    ]
    failed = [(each["action"], each["outcome"], each["details"].get("reason")) for each in entries]
    assert sorted(each for each in failed if each[1] != "GRANTED") == [
        ("ACCOUNT", "FAILED", "INVALID_STATE"), ("ACCOUNT", "FAILED", "INVALID_STATE"),
        ("INGEST_ADDRESS", "DENIED", "NOT_FOUND"), ("KEY", "DENIED", "NOT_FOUND"), ("USER", "FAILED", "INVALID_STATE"),
    ]  # fmt: skip


def test_an_export_has_the_hashes_and_what_they_cover(cli: CommandLine, account: str, tmp_path: Path) -> None:
    cli.run("account", "create", "=1+2", "--parent", account)
    cli.run("key", "create", "--account", account)
    *exported, end = cli.json("audit", "export", "--account", account)
    assert list(end) == ["statement"]
    assert [hash_of(each["prev"], each["body"]) for each in exported] == [each["hash"] for each in exported]
    assert json.loads(exported[0]["body"])["seq"] == exported[0]["seq"] == 1
    file = tmp_path / "trail.csv"
    cli.run("audit", "export", "--account", account, "--format", "csv", "--output", file)
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["action"], row["hash"]) for row in rows] == [(each["action"], each["hash"]) for each in exported]
    assert len(cli.json("audit", "export", "--account", "installation")) == 1


def test_a_changed_export_is_found_out(cli: CommandLine, account: str, tmp_path: Path) -> None:
    for owner in ("ada", "bob"):
        cli.run("key", "create", "--account", account, "--owner", owner)
    file = tmp_path / "trail.ndjson"
    cli.run("audit", "export", "--account", account, "--output", file)
    assert cli.json("audit", "verify", "--file", file)[0]["breaks"] == []
    first, second, third, end = file.read_text(encoding="utf-8").splitlines()
    for changed, expected in (
        ((first.replace("ACCOUNT", "USER"), second, third, end), "does not match its hash"),
        ((first, second.replace('"CLI"', '"REST"', 1), third, end), "does not match its hash"),
        ((first, third, end), "does not continue"),
        ((first, second, end), "missing at an end"),
        ((second, third, end), "missing at a beginning"),
        (
            (first, second.replace('"actor_account": ', '"actor_account": "x", "was": ', 1), third, end),
            "does not match its hash",
        ),
        ((first, second, third), "the statement at the end is missing"),
        ((first, second, third, end.replace(json.loads(third)["hash"], "0" * 64)), "its signature is not valid"),
    ):
        file.write_text("\n".join(changed), encoding="utf-8")
        assert expected in cli.run("audit", "verify", "--file", file, expected=1).stderr


def test_wrong_arguments_are_refused(cli: CommandLine, account: str) -> None:
    assert "there is no account" in cli.run("audit", "list", "--account", "0" * 32, expected=1).stderr
    assert "is not a time" in cli.run("audit", "list", "--account", account, "--since", "x", expected=2).stderr
