"""`recordings user`: make and list the users of an account."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.shared_options import STORAGE, account_option, put_out, setting_options, with_services
from recordings.model.instants import to_iso
from recordings.model.user import PrivLevel, User

if TYPE_CHECKING:
    from graph.services import Services


FROM_INPUT: Final = "-"
"""In place of a password: it comes on standard input, where no list of processes shows it."""


@click.group()
def user() -> None:
    """Make and list users, who sign in to the v2 paths by name and password."""


@user.command()
@account_option
@click.option("--username", required=True, help="The name to sign in with; unique in the account.")
@click.option(
    "--password",
    help="The password; - to give it on standard input. Without one there is no signing in.",
)
@click.option("--id", "user_id", help="The user's id, as recordings name it as their owner; made up by default.")
@click.option("--first-name", default="", help="The given name.")
@click.option("--last-name", default="", help="The family name.")
@click.option("--email", default="", help="The e-mail address.")
@click.option("--admin", is_flag=True, help="Reach all recordings of the account, not only one's own.")
@setting_options(STORAGE)
def create(options: Mapping[str, str | None], **given: Any) -> None:
    """Make a user. Of the password only hashes are kept."""
    if given["password"] == FROM_INPUT:
        given["password"] = sys.stdin.readline().rstrip("\n")
    given["priv_level"] = PrivLevel.ADMIN if given.pop("admin") else PrivLevel.USER
    _create(options, given)


@user.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the users of an account, oldest first."""
    _list(options, account_id)


@with_services
async def _create(services: "Services", given: dict[str, Any]) -> None:
    put_out(_shown(await services.membership.create(given.pop("account_id"), given.pop("username"), **given)))


@with_services
async def _list(services: "Services", account_id: str) -> None:
    account = await services.administration.account(account_id)
    for found in await services.store.users(account.id):
        put_out(_shown(found))


def _shown(found: User) -> Mapping[str, Any]:
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
