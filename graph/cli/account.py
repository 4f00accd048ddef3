"""`recordings account`: make and list accounts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from graph.cli.common import STORAGE, put_out, setting_options, with_services
from recordings.access import Account
from recordings.instants import to_iso

if TYPE_CHECKING:
    from graph.services import Services


@click.group()
def account() -> None:
    """Make and list accounts. An account reaches its own recordings and those of the accounts below it."""


@account.command()
@click.argument("name")
@click.option("--parent", "parent_id", metavar="ID", help="The account that it is to be below.")
@click.option("--id", "account_id", metavar="HEX", help="Its id, 32 hexadecimal digits. [default: a new one]")
@setting_options(STORAGE)
def create(name: str, parent_id: str | None, account_id: str | None, options: Mapping[str, str | None]) -> None:
    """Make an account called NAME."""
    _create(options, name, parent_id, account_id)


@account.command("list")
@setting_options(STORAGE)
def list_(options: Mapping[str, str | None]) -> None:
    """List all accounts, the oldest first."""
    _list(options)


@with_services
async def _create(services: "Services", name: str, parent_id: str | None, account_id: str | None) -> None:
    put_out(_shown(await services.administration.create_account(name, parent_id, account_id)))


@with_services
async def _list(services: "Services") -> None:
    for found in await services.administration.accounts():
        put_out(_shown(found))


def _shown(found: Account) -> Mapping[str, Any]:
    return {"id": found.id, "name": found.name, "parent": found.parent_id, "created": to_iso(found.created)}
