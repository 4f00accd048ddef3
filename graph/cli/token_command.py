"""`recordings token`: issue a token, and end tokens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from graph.cli.shared_options import (
    STORAGE,
    account_option,
    integer,
    owner_option,
    print_json,
    scope_option,
    scopes_of,
    setting_options,
    warn_of_user_name,
    with_services,
)
from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.use_cases.accounts import check_owner

if TYPE_CHECKING:
    from graph.services import Services

_YEAR = 31_536_000


@click.group(invoke_without_command=True)
@click.option("--account", "account_id", metavar="ID", help="The id of the account. Required.")
@owner_option
@scope_option
@click.option(
    "--expires",
    "seconds",
    type=integer(1, _YEAR),
    default=3_600,
    show_default=True,
    metavar="SECONDS",
    help="The lifetime of the token, at most one year. For a longer time, create an API key.",
)
@setting_options(STORAGE)
@click.pass_context
def token(
    context: click.Context,
    account_id: str | None,
    owner_id: str | None,
    scopes: tuple[str, ...],
    seconds: int,
    options: Mapping[str, str | None],
) -> None:
    """Issue a token and print only this token. Clients send it in the header X-Auth-Token."""
    if context.invoked_subcommand is not None:
        given = context.get_parameter_source
        if any(given(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"give the options after `{context.invoked_subcommand}`")
        return
    if account_id is None:
        raise click.UsageError("Missing option '--account'.")
    click.echo(_issue(options, account_id, owner_id, scopes_of(scopes), seconds))


@token.command()
@account_option
@click.option(
    "--owner", "owner_id", metavar="USER_ID", help="End only the tokens and signed URLs of this owner or user."
)
@setting_options(STORAGE)
def revoke(account_id: str, owner_id: str | None, options: Mapping[str, str | None]) -> None:
    """End all tokens and signed URLs of an account that were issued before now. API keys stay valid.

    Running servers apply this within five seconds. To revoke an API key and its tokens, use `recordings key revoke`.
    """
    _revoke(options, account_id, owner_id)


@with_services
async def _revoke(services: "Services", account_id: str, owner_id: str | None) -> None:
    await services.accounts.end_tokens(account_id, owner_id)
    await warn_of_user_name(services, account_id, owner_id)
    print_json({"account": account_id, "owner": owner_id, "revoked": True})


@with_services
async def _issue(
    services: "Services", account_id: str, owner_id: str | None, scopes: frozenset[Scope], seconds: int
) -> str:
    check_owner(owner_id)
    account = await services.accounts.account(account_id)
    made = services.tokens.issue(Principal(account.id, scopes, owner_id), seconds)
    target = AuditObject("token", services.tokens.verify(made).id, account.id)
    await services.audit.record(
        None, AuditAction.TOKEN, target, change="issue", owner=owner_id, scopes=sorted(scopes), seconds=seconds
    )
    await warn_of_user_name(services, account_id, owner_id)
    return made
