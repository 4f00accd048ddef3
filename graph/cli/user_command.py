"""`recordings user`: create and list the users of an account."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services
from recordings.model.instants import to_iso
from recordings.model.user import PrivLevel, User
from recordings.ports.account_stores import all_users

if TYPE_CHECKING:
    from graph.services import Services


FROM_INPUT: Final = "-"
"""The value of `--password` that means: read it from standard input, so that no process list shows it."""


@click.group()
def user() -> None:
    """Create and list users. Users sign in to the v2 paths with a name and a password."""


@user.command()
@account_option
@click.option("--username", required=True, help="The name for signing in. It must be unique in the account.")
@click.option(
    "--password",
    help="The password, or - to read it from standard input. A user without a password cannot sign in.",
)
@click.option(
    "--id", "user_id", help="The user's id, which is the `owner_id` of the user's recordings. [default: a new id]"
)
@click.option("--first-name", default="", help="The given name.")
@click.option("--last-name", default="", help="The family name.")
@click.option("--email", default="", help="The e-mail address.")
@click.option(
    "--admin", is_flag=True, help="Let the user access all recordings of the account, not only the user's own."
)
@setting_options(STORAGE)
def create(options: Mapping[str, str | None], **fields: Any) -> None:
    """Create a user. Only hashes of the password are stored."""
    if fields["password"] == FROM_INPUT:
        fields["password"] = sys.stdin.readline().rstrip("\n")
    fields["priv_level"] = PrivLevel.ADMIN if fields.pop("admin") else PrivLevel.USER
    _create(options, fields)


@user.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the users of an account, oldest first."""
    _list(options, account_id)


@with_services
async def _create(services: "Services", fields: dict[str, Any]) -> None:
    print_json(_as_json(await services.users.create(fields.pop("account_id"), fields.pop("username"), **fields)))


@with_services
async def _list(services: "Services", account_id: str) -> None:
    account = await services.accounts.account(account_id)
    async for found in all_users(services.store, account.id):
        print_json(_as_json(found))


def _as_json(found: User) -> Mapping[str, Any]:
    return {
        "id": found.id,
        "account": found.account_id,
        "username": found.username,
        "first_name": found.first_name,
        "last_name": found.last_name,
        "email": found.email,
        "priv_level": found.priv_level.value,
        "created": to_iso(found.created),
    }
