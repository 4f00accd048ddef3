"""`recordings account delivery-secret` and `recordings account twilio-token`."""

from click.testing import CliRunner

from graph.cli.main import recordings
from recordings.rules.webhook_signature import new_signing_secret, read_signing_secret
from recordings.use_cases.account_secrets import SecretKind
from tests.cli.conftest import CommandLine
from tests.cli.test_end_of_access import answer, with_services
from tests.cli.test_installation_key_command import no_running_server

__all__ = ["no_running_server"]


def test_a_delivery_secret_is_shown_once_and_survives_a_rotation_of_the_key(cli: CommandLine, account: str) -> None:
    made = cli.json("account", "delivery-secret", "rotate", account)[0]
    assert made["values"] == 1
    read_signing_secret(made["secret"])
    given = new_signing_secret()
    assert cli.json("account", "delivery-secret", "rotate", account, "--secret", given)[0]["values"] == 2
    shown = cli.run("account", "delivery-secret", "show", account).output
    assert (made["secret"] in shown, given in shown) == (False, False)
    old = cli.json("key", "show-installation")[0]["id"]
    cli.run("key", "rotate-installation")
    cli.run("key", "drop-installation", "--yes", old)
    assert with_services(cli, lambda services: services.secrets.values(account, SecretKind.DELIVERY)) == (
        given,
        made["secret"],
    )
    assert cli.json("account", "delivery-secret", "clear", account, "--old")[0]["values"] == 1
    cli.run("account", "delivery-secret", "clear", account, expected=1)
    assert cli.json("account", "delivery-secret", "clear", account, "--yes")[0]["values"] == 0


def test_secrets_are_read_from_standard_input(cli: CommandLine, account: str) -> None:
    secret = new_signing_secret()
    answer(cli, f"{secret}\n", "account", "delivery-secret", "rotate", account, "--secret", "-", expected=0)
    answer(cli, "my-auth-token\n", "account", "twilio-token", "set", account, "--token", "-", expected=0)
    answer(cli, "newer\n", "account", "twilio-token", "set", account, expected=0)
    assert with_services(cli, lambda services: services.secrets.values(account, SecretKind.TWILIO)) == (
        "newer",
        "my-auth-token",
    )
    assert cli.json("account", "twilio-token", "show", account) == [{"account": account, "values": 2}]


def test_wrong_secrets_and_accounts_are_refused(cli: CommandLine, account: str) -> None:
    refused = cli.run("account", "delivery-secret", "rotate", account, "--secret", "my-secret", expected=2)
    assert "24 to 64 bytes in base64" in refused.stderr
    assert "my-secret" not in refused.stderr
    assert "no account" in cli.run("account", "delivery-secret", "rotate", "f" * 32, expected=1).stderr
    words = ("account", "twilio-token", "set", account, "--token", "x", "--ingest", "f" * 32)
    assert "no ingest address" in cli.run(*words, expected=1).stderr


def test_a_token_of_one_ingest_address_is_separate(cli: CommandLine, account: str) -> None:
    address = cli.json("ingest", "create", "--account", account)[0]["id"]
    words = ("--ingest", address)
    set_ = cli.json("account", "twilio-token", "set", account, "--token", "x", *words)
    assert set_ == [{"account": account, "ingest": address, "values": 1}]
    assert cli.json("account", "twilio-token", "show", account)[0]["values"] == 0
    assert cli.json("account", "twilio-token", "clear", account, "--yes", *words)[0]["values"] == 0


def test_the_commands_have_help() -> None:
    for group in ("delivery-secret", "twilio-token"):
        assert CliRunner().invoke(recordings, ["account", group, "--help"]).exit_code == 0
