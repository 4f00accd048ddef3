"""`recordings policy`, and ingest addresses that record every call."""

from typing import Any

from tests.cli.conftest import CommandLine


def put(cli: CommandLine, account: str, *words: str) -> dict[str, Any]:
    (found,) = cli.json("policy", "set", "--account", account, *words)
    return found  # type: ignore[no-any-return]


def test_a_policy_is_set_shown_and_explained(cli: CommandLine, account: str) -> None:
    made = put(
        cli, account, "--scope", "user", "--id", "ada", "--on", "inbound.offnet", "--off", "any.any",
        "--option", "time_limit=60", "--option", "format=wav",
    )  # fmt: skip
    assert made["call_recording"] == {
        "inbound": {"offnet": {"enabled": True, "time_limit": 60, "format": "wav"}},
        "any": {"any": {"enabled": False}},
    }
    assert (made["fill"], made["revision"]) == ("INHERIT", 1)
    (shown,) = cli.json("policy", "show", "--account", account, "--scope", "user", "--id", "ada")
    assert shown == made
    explain = ("policy", "explain", "--account", account, "--owner", "ada")
    (explained,) = cli.json(*explain, "--network", "offnet")
    assert (explained["decision"], explained["source"]) == ("RECORD", "USER")
    assert explained["recordings"][0]["origin"] == "inbound from offnet to endpoint"
    (explained,) = cli.json(*explain, "--direction", "outbound", "--network", "onnet")
    assert explained["because"] == "the user policy of ada has outbound.onnet off"
    (explained,) = cli.json(*explain, "--record")
    assert (explained["decision"], explained["source"]) == ("RECORD", "REQUEST")
    assert put(cli, account, "--scope", "user", "--id", "ada", "--clear")["call_recording"] is None


def test_a_warning_is_printed(cli: CommandLine, account: str) -> None:
    put(cli, account, "--scope", "endpoint-default", "--on", "any.any")
    words = ("policy", "set", "--account", account, "--scope", "device", "--id", "phone", "--off", "inbound.any")
    warning = cli.run(*words).stderr
    assert "Warning: the device policy of phone turns off inbound.onnet, inbound.offnet" in warning
    (explained,) = cli.json("policy", "explain", "--account", account, "--device", "phone", "--network", "onnet")
    assert explained["warnings"] == [warning.removeprefix("Warning: ").strip()]


def test_locks_are_set_and_removed(cli: CommandLine, account: str) -> None:
    made = put(cli, account, "--lock", "never", "--number", "112", "--number", "+4930*", "--except", "110")
    lock = {"kind": "NEVER", "direction": None, "network": None, "numbers": ["112", "+4930*"], "exceptions": ["110"]}
    assert made["locks"] == [lock]
    assert put(cli, account, "--consent", "all-parties", "--duplicates", "separate")["locks"] == [lock]
    (explained,) = cli.json("policy", "explain", "--account", account, "--from", "112", "--record")
    assert (explained["refused"], explained["source"], explained["consent"]) == (True, "LOCK", "ALL_PARTIES")
    assert put(cli, account, "--no-locks")["locks"] == []


def test_usage_errors_name_the_option(cli: CommandLine, account: str) -> None:
    for words, message in (
        (["--on", "inbound"], "a cell must be a direction (any, inbound, outbound) and a network"),
        ([], "nothing to change: give --on"),
        (["--scope", "user", "--id", "ada"], "nothing to change: give --on"),
        (["--on", "any.any", "--off", "any.any"], "in --on or in --off, not in both: any.any"),
        (["--id", "ada", "--on", "any.any"], "id must be left out for a policy of the whole account"),
        (["--on", "any.any", "--option", "colour=red"], "--option must be NAME=VALUE"),
        (["--option", "format=mp3"], "--option needs --on"),
        (["--number", "112"], "--number and --except need --lock"),
        (["--on", "any.any", "--option", "time_limit=4"], "time_limit must be at least 5"),
        (["--scope", "user", "--on", "any.any"], "--scope user needs --id, the id of the user"),
    ):
        assert message in cli.run("policy", "set", "--account", account, *words, expected=2).stderr
    assert "there is no account" in cli.run("policy", "show", "--account", "f" * 32, expected=1).stderr


def test_an_ingest_address_can_record_every_call(cli: CommandLine, account: str) -> None:
    for words, record_all in ((["--record-all"], True), ([], False)):
        (made,) = cli.json("ingest", "create", "--account", account, *words)
        assert made["record_all"] is record_all
    assert [found["record_all"] for found in cli.json("ingest", "list", "--account", account)] == [True, False]
