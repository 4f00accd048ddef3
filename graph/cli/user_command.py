"""`recordings user`: create, change, delete and list the users of an account."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.shared_options import (
    STORAGE,
    account_option,
    confirm,
    no_question_option,
    print_json,
    setting_options,
    with_services,
    yes_option,
)
from recordings.model.errors import InvalidInput
from recordings.model.instants import to_iso
from recordings.model.user import PrivLevel, User, UserField
from recordings.ports.account_stores import all_users
from recordings.use_cases.users import check_password

if TYPE_CHECKING:
    from graph.services import Services


FROM_INPUT: Final = "-"
"""The value of `--password` that means: read it from standard input, so that no process list shows it."""


@click.group()
def user() -> None:
    """Create, change, disable, delete and list users. Users sign in to the v2 paths with a name and a password."""


@user.command()
@account_option
@click.option("--username", required=True, help="The name for signing in. It must be unique in the account.")
@click.option(
    "--password",
    help="The password, at least 8 characters, or - to read it from standard input. A user without one cannot sign in.",
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
    fields["password"] = _password(fields["password"])
    if fields["password"] is not None:
        _check(fields["password"])
    fields["priv_level"] = PrivLevel.ADMIN if fields.pop("admin") else PrivLevel.USER
    _create(options, fields)


@user.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the users of an account, oldest first."""
    _list(options, account_id)


def _user_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a user: `--account`, and USER or `--username`."""
    name = click.option("--username", help="The user's name, instead of USER.")
    return account_option(click.argument("user", required=False)(name(setting_options(STORAGE)(command))))


def _name_of(user: str | None, username: str | None) -> str:
    if (user is None) == (username is None):
        raise click.UsageError("name the user once: give USER (an id or a user name) or --username")
    return user or username or ""


@user.command()
@_user_options
@click.option("--first-name", help="The given name.")
@click.option("--last-name", help="The family name.")
@click.option("--email", help="The e-mail address.")
@click.option(
    "--admin/--no-admin",
    default=None,
    help="Whether the user may access all recordings of the account. Another value ends the user's tokens.",
)
def update(
    account_id: str,
    user: str | None,
    username: str | None,
    admin: bool | None,
    options: Mapping[str, str | None],
    **texts: str | None,
) -> None:
    """Change USER (an id or a user name). A field without an option keeps its value."""
    changes = {UserField(name): text for name, text in texts.items() if text is not None}
    if admin is not None:
        changes[UserField.PRIV_LEVEL] = PrivLevel.ADMIN if admin else PrivLevel.USER
    if not changes:
        raise click.UsageError("nothing to change: give --first-name, --last-name, --email, --admin or --no-admin")
    _update(options, account_id, _name_of(user, username), changes)


@user.command("set-password")
@_user_options
@click.option(
    "--password",
    help="The new password, at least 8 characters, or - to read it from standard input. [default: ask for it]",
)
def set_password(
    account_id: str, user: str | None, username: str | None, password: str | None, options: Mapping[str, str | None]
) -> None:
    """Replace the password of USER (an id or a user name), and end the user's tokens and signed URLs."""
    name = _name_of(user, username)
    if password is None:
        password = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    _set_password(options, account_id, name, _password(password) or "")


@user.command()
@_user_options
@no_question_option
def disable(account_id: str, user: str | None, username: str | None, options: Mapping[str, str | None]) -> None:
    """Disable USER (an id or a user name): no sign-in, and no valid token, API key or signed URL of this owner.

    Running servers apply this within five seconds. The user's recordings are kept.
    """
    _disable(options, account_id, _name_of(user, username))


@user.command()
@_user_options
@no_question_option
def enable(account_id: str, user: str | None, username: str | None, options: Mapping[str, str | None]) -> None:
    """Enable the disabled USER (an id or a user name)."""
    _enable(options, account_id, _name_of(user, username))


@user.command()
@_user_options
@yes_option
def delete(
    account_id: str, user: str | None, username: str | None, yes: bool, options: Mapping[str, str | None]
) -> None:
    """Delete USER (an id or a user name). The user's recordings are kept, with the same owner."""
    _delete(options, account_id, _name_of(user, username), yes)


def _check(password: str) -> None:
    try:
        check_password(password)
    except InvalidInput as error:
        raise click.UsageError(error.message) from error


def _password(given: str | None) -> str | None:
    return sys.stdin.readline().rstrip("\n") if given == FROM_INPUT else given


@with_services
async def _update(services: "Services", account_id: str, name: str, changes: Mapping[UserField, str]) -> None:
    print_json(_as_json(await services.users.update(await services.users.named(account_id, name), changes)))


@with_services
async def _set_password(services: "Services", account_id: str, name: str, password: str) -> None:
    found = await services.users.named(account_id, name)
    await services.users.set_password(found, password)
    print_json(_as_json(found))


@with_services
async def _disable(services: "Services", account_id: str, name: str) -> None:
    found = await services.users.named(account_id, name)
    await services.users.disable(found)
    print_json({"id": found.id, "username": found.username, "disabled": True})


@with_services
async def _enable(services: "Services", account_id: str, name: str) -> None:
    found = await services.users.named(account_id, name)
    await services.users.enable(found)
    print_json({"id": found.id, "username": found.username, "disabled": False})


@with_services
async def _delete(services: "Services", account_id: str, name: str, yes: bool) -> None:
    found = await services.users.named(account_id, name)
    confirm(
        f"The recordings of the user {found.username!r} ({found.id}) are kept, with the same owner. The user can no "
        "longer sign in, and tokens, API keys and signed URLs of this owner are rejected.",
        yes=yes,
    )
    await services.users.delete(found)
    print_json({"id": found.id, "username": found.username, "deleted": True})


@with_services
async def _create(services: "Services", fields: dict[str, Any]) -> None:
    print_json(_as_json(await services.users.create(fields.pop("account_id"), fields.pop("username"), **fields)))


@with_services
async def _list(services: "Services", account_id: str) -> None:
    account = await services.accounts.account(account_id)
    disabled = await services.store.disabled(account.id)
    async for found in all_users(services.store, account.id):
        since = disabled.get(found.id)
        print_json({**_as_json(found), "disabled": None if since is None else to_iso(since)})


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
