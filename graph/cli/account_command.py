"""`recordings account`: create, change, close and list accounts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from graph.cli.account_secret_command import delivery_secret, twilio_token
from graph.cli.close_account_command import delete_account, disable_account, enable_account
from graph.cli.shared_options import STORAGE, print_json, setting_options, with_new_services, with_services
from recordings.model.account import Account
from recordings.model.instants import to_iso
from recordings.model.quota import STORED_KINDS

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def account() -> None:
    """Create, change, disable, delete and list accounts.

    An account can access its own recordings and those of the accounts below it.
    """


for _command in (disable_account, enable_account, delete_account, delivery_secret, twilio_token):
    account.add_command(_command)


@account.command()
@click.argument("name")
@click.option("--parent", "parent_id", metavar="ID", help="The id of the parent account.")
@click.option(
    "--id",
    "account_id",
    metavar="HEX",
    help="The new account's id: 32 lower-case hexadecimal digits. [default: a new id]",
)
@click.option(
    "--realm",
    metavar="DOMAIN",
    help="The account's SIP realm, such as acme.sip.example.com. No other account may have it. v2 clients can name the "
    "account by it when they sign in. [default: a name that ends in .sip.invalid]",
)
@setting_options(STORAGE)
def create(
    name: str, parent_id: str | None, account_id: str | None, realm: str | None, options: Mapping[str, str | None]
) -> None:
    """Create an account called NAME."""
    _create(options, name, parent_id, account_id, realm)


@account.command("set")
@click.argument("id")
@click.option("--name", help="The new name of the account.")
@click.option(
    "--media",
    metavar="URL",
    help="Store the account's new audio at this URL, such as s3://bucket/folder. An empty text means the media store "
    "of the installation. Stored audio does not move.",
)
@click.option(
    "--number",
    "numbers",
    multiple=True,
    metavar="TEXT",
    help="A phone number with which v2 clients can name the account when they sign in. Can be given several times. "
    "The given numbers replace all existing ones. An empty text removes all.",
)
@click.option(
    "--realm",
    metavar="DOMAIN",
    help="The account's SIP realm. An empty text means the default realm. It applies to new recordings.",
)
@click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    help="A quota of the account: bytes, recordings_per_day, streams, uploads or decoding_seconds (a day). Can be "
    "given several times. `NAME=` removes it.",
)
@setting_options([*(name for name in STORAGE if name != "media"), "allowed_hosts", "private_hosts"])
def set_(
    id: str,
    name: str | None,
    media: str | None,
    numbers: tuple[str, ...],
    realm: str | None,
    quotas: tuple[str, ...],
    options: Mapping[str, str | None],
) -> None:
    """Change the account with this ID. A new media store is tested before it is set."""
    if name is None and media is None and realm is None and not numbers and not quotas:
        raise click.UsageError("nothing to change: give --name, --media, --number, --realm or --quota")
    kept = [number for number in numbers if number] if numbers else None
    _set(options, id, name, media, kept, realm, dict(map(_read_quota, quotas)))


@account.command()
@click.argument("id")
@setting_options(STORAGE)
def show(id: str, options: Mapping[str, str | None]) -> None:
    """Show the account with this ID, its quotas and what it uses."""
    _show(options, id)


@account.command("list")
@setting_options(STORAGE)
def list_(options: Mapping[str, str | None]) -> None:
    """List all accounts, oldest first."""
    _list(options)


@with_new_services
async def _create(
    services: "Services", name: str, parent_id: str | None, account_id: str | None, realm: str | None
) -> None:
    print_json(_as_json(await services.accounts.create_account(name, parent_id, account_id, realm)))


@with_services
async def _set(
    services: "Services",
    account_id: str,
    name: str | None,
    media: str | None,
    numbers: Sequence[str] | None,
    realm: str | None,
    quotas: Mapping[str, int | None],
) -> None:
    from graph.media.check_store import MediaStoreCheckError, check_media_store

    account = await services.accounts.account(account_id)
    if media:
        try:
            await check_media_store(services, account.id, media)
        except MediaStoreCheckError as error:
            raise click.ClickException(str(error)) from error
    changed = await services.account_settings.amend(
        account.id, name=name, media=media, numbers=numbers, realm=realm, quota=quotas
    )
    print_json(_as_json(changed))


@with_services
async def _show(services: "Services", account_id: str) -> None:
    account = await services.accounts.account(account_id)
    usage = await services.recordings.quotas.usage_of(account.id)
    # Only a server knows its open streams and uploads.
    print_json({**_as_json(account), "usage": {kind.value: usage.of(kind) for kind in STORED_KINDS}})


def _read_quota(text: str) -> tuple[str, int | None]:
    name, separator, number = text.partition("=")
    if not separator or (number and not number.isascii()) or (number and not number.isdigit()):
        raise click.UsageError(f"--quota must be NAME=NUMBER, such as streams=10, not {text!r}")
    return name, int(number) if number else None


@with_services
async def _list(services: "Services") -> None:
    async for found in services.accounts.accounts():
        disabled = (await services.store.disabled(found.id)).get("")
        print_json({**_as_json(found), "disabled": None if disabled is None else to_iso(disabled)})


def _as_json(found: Account) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "parent": found.parent_id,
        "created": to_iso(found.created),
        "media": found.media,
        "numbers": list(found.numbers),
        "realm": found.realm,
        "quota": found.quota.as_mapping(),
    }
