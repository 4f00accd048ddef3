"""`recordings account`: make, change and list accounts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from graph.cli.shared_options import STORAGE, put_out, setting_options, with_new_services, with_services
from recordings.model.account import Account
from recordings.model.instants import to_iso

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def account() -> None:
    """Make, change and list accounts. An account reaches its own recordings and those of the accounts below it."""


@account.command()
@click.argument("name")
@click.option("--parent", "parent_id", metavar="ID", help="The account that it is to be below.")
@click.option("--id", "account_id", metavar="HEX", help="Its id, 32 hexadecimal digits. [default: a new one]")
@setting_options(STORAGE)
def create(name: str, parent_id: str | None, account_id: str | None, options: Mapping[str, str | None]) -> None:
    """Make an account called NAME."""
    _create(options, name, parent_id, account_id)


@account.command("set")
@click.argument("id")
@click.option("--name", help="What it is called.")
@click.option(
    "--media",
    metavar="URL",
    help="Where its new audio goes, such as s3://bucket/folder; an empty text for where the installation keeps it. "
    "Audio that is there already stays where it is.",
)
@click.option(
    "--number",
    "numbers",
    multiple=True,
    metavar="TEXT",
    help="A phone number by which v2 clients may name it when they sign in; may be repeated, and replaces those that "
    "were there. An empty text for none.",
)
@setting_options([*(name for name in STORAGE if name != "media"), "allowed_hosts", "private_hosts"])
def set_(
    id: str, name: str | None, media: str | None, numbers: tuple[str, ...], options: Mapping[str, str | None]
) -> None:
    """Change the account with this ID. A place for audio is tried out before it is set."""
    if name is None and media is None and not numbers:
        raise click.UsageError("nothing to change: give --name, --media or --number")
    _set(options, id, name, media, [number for number in numbers if number] if numbers else None)


@account.command("list")
@setting_options(STORAGE)
def list_(options: Mapping[str, str | None]) -> None:
    """List all accounts, the oldest first."""
    _list(options)


@with_new_services
async def _create(services: "Services", name: str, parent_id: str | None, account_id: str | None) -> None:
    put_out(_shown(await services.administration.create_account(name, parent_id, account_id)))


@with_services
async def _set(
    services: "Services", account_id: str, name: str | None, media: str | None, numbers: Sequence[str] | None
) -> None:
    from graph.media.check_store import PlaceFailedError, try_place

    account = await services.administration.account(account_id)
    if media:
        try:
            await try_place(services, account, media)
        except PlaceFailedError as error:
            raise click.ClickException(str(error)) from error
    put_out(_shown(await services.keeping.amend(account.id, name=name, media=media, numbers=numbers)))


@with_services
async def _list(services: "Services") -> None:
    async for found in services.administration.accounts():
        put_out(_shown(found))


def _shown(found: Account) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "parent": found.parent_id,
        "created": to_iso(found.created),
        "media": found.media,
        "numbers": list(found.numbers),
    }
