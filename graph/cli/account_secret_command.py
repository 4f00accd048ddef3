"""`recordings account delivery-secret` and `recordings account twilio-token`: the secrets of an account."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from graph.cli.shared_options import STORAGE, confirm, print_json, setting_options, with_services, yes_option
from recordings.rules.webhook_signature import new_signing_secret
from recordings.use_cases.account_secrets import SecretKind

if TYPE_CHECKING:
    from graph.services import Services

FROM_INPUT: Final = "-"
"""The value that means: read it from standard input, so that no process list shows it."""

_old_option: Final = click.option("--old", "only_old", is_flag=True, help="Delete only the one before the present one.")
_ingest_option: Final = click.option(
    "--ingest",
    "address_id",
    default="",
    metavar="ID",
    help="Only for streams to this ingest address. [default: all addresses without a token of their own]",
)


@click.group("delivery-secret")
def delivery_secret() -> None:
    """Set the secret that signs the deliveries of an account to `url`, as Standard Webhooks defines it."""


@delivery_secret.command("rotate")
@click.argument("id")
@click.option(
    "--secret",
    metavar="TEXT",
    help="The new secret, whsec_ and 24 to 64 bytes in base64, or - to read it from standard input. "
    "[default: a new secret]",
)
@setting_options(STORAGE)
def rotate_delivery_secret(id: str, secret: str | None, options: Mapping[str, str | None]) -> None:
    """Set a new secret for the account with this ID, and print it. It cannot be printed again.

    Deliveries are also signed with the secret before, until `clear --old`.
    """
    value = new_signing_secret() if secret is None else _given(secret)
    _put(options, id, SecretKind.DELIVERY, value, "", shown={"secret": value})


@delivery_secret.command("clear")
@click.argument("id")
@_old_option
@yes_option
@setting_options(STORAGE)
def clear_delivery_secret(id: str, only_old: bool, yes: bool, options: Mapping[str, str | None]) -> None:
    """Delete the secret of the account with this ID. Its deliveries are then not signed."""
    text = "Deliveries of this account are no longer signed. Receivers that check the signature reject them."
    _clear(options, id, SecretKind.DELIVERY, "", only_old, text, yes)


@delivery_secret.command("show")
@click.argument("id")
@setting_options(STORAGE)
def show_delivery_secret(id: str, options: Mapping[str, str | None]) -> None:
    """Print how many secrets sign the deliveries of the account with this ID: 0, 1, or 2 during a rotation."""
    _show(options, id, SecretKind.DELIVERY, "")


@click.group("twilio-token")
def twilio_token() -> None:
    """Set the auth token with which Twilio signs the media streams of an account."""


@twilio_token.command("set")
@click.argument("id")
@click.option(
    "--token", metavar="TEXT", help="The auth token, or - to read it from standard input. [default: ask for it]"
)
@_ingest_option
@setting_options(STORAGE)
def set_twilio_token(id: str, token: str | None, address_id: str, options: Mapping[str, str | None]) -> None:
    """Set the auth token of the account with this ID. From then on, streams need a valid signature of Twilio.

    The token before is valid, too, until `clear --old`.
    """
    value = click.prompt("Auth token", hide_input=True, err=True) if token is None else _given(token)
    _put(options, id, SecretKind.TWILIO, value, address_id, shown={})


@twilio_token.command("clear")
@click.argument("id")
@_old_option
@_ingest_option
@yes_option
@setting_options(STORAGE)
def clear_twilio_token(id: str, only_old: bool, address_id: str, yes: bool, options: Mapping[str, str | None]) -> None:
    """Delete the auth token of the account with this ID. Signatures are then not checked."""
    text = "Streams to this account are accepted without a signature of Twilio."
    _clear(options, id, SecretKind.TWILIO, address_id, only_old, text, yes)


@twilio_token.command("show")
@click.argument("id")
@_ingest_option
@setting_options(STORAGE)
def show_twilio_token(id: str, address_id: str, options: Mapping[str, str | None]) -> None:
    """Print how many auth tokens the account with this ID has: 0, 1, or 2 during a rotation."""
    _show(options, id, SecretKind.TWILIO, address_id)


def _given(text: str) -> str:
    return sys.stdin.readline().strip() if text == FROM_INPUT else text


@with_services
async def _put(
    services: "Services", account_id: str, kind: SecretKind, value: str, part: str, *, shown: Mapping[str, str]
) -> None:
    await services.secrets.put(account_id, kind, value, part)
    values = await services.secrets.count(account_id, kind, part)
    print_json({"account": account_id, **_of_part(part), **shown, "values": values})


@with_services
async def _clear(
    services: "Services", account_id: str, kind: SecretKind, part: str, only_old: bool, text: str, yes: bool
) -> None:
    if not only_old:
        confirm(text, yes=yes)
    remaining = await services.secrets.clear(account_id, kind, part, only_old=only_old)
    print_json({"account": account_id, **_of_part(part), "values": remaining})


@with_services
async def _show(services: "Services", account_id: str, kind: SecretKind, part: str) -> None:
    account = await services.accounts.account(account_id)
    values = await services.secrets.count(account.id, kind, part)
    print_json({"account": account.id, **_of_part(part), "values": values})


def _of_part(part: str) -> Mapping[str, str]:
    return {"ingest": part} if part else {}
