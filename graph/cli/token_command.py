"""`recordings token`: issue a token."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import (
    STORAGE,
    account_option,
    owner_option,
    scope_option,
    scopes_of,
    setting_options,
    with_services,
)
from recordings.model.account import Principal, Scope
from recordings.use_cases.accounts import check_owner

if TYPE_CHECKING:
    from graph.services import Services

_YEAR = 31_536_000


@click.command()
@account_option
@owner_option
@scope_option
@click.option(
    "--expires",
    "seconds",
    type=click.IntRange(1, _YEAR),
    default=3_600,
    show_default=True,
    metavar="SECONDS",
    help="The lifetime of the token, at most one year. For a longer time, create an API key.",
)
@setting_options(STORAGE)
def token(
    account_id: str, owner_id: str | None, scopes: tuple[str, ...], seconds: int, options: Mapping[str, str | None]
) -> None:
    """Issue a token and print only this token. Clients send it in the header X-Auth-Token."""
    click.echo(_issue(options, account_id, owner_id, scopes_of(scopes), seconds))


@with_services
async def _issue(
    services: "Services", account_id: str, owner_id: str | None, scopes: frozenset[Scope], seconds: int
) -> str:
    check_owner(owner_id)
    account = await services.accounts.account(account_id)
    return services.tokens.issue(Principal(account.id, scopes, owner_id), seconds)
