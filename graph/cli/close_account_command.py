"""`recordings account disable`, `enable` and `delete`."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import (
    STORAGE,
    confirm,
    no_question_option,
    print_json,
    setting_options,
    with_services,
    yes_option,
)

if TYPE_CHECKING:
    from graph.services import Services


@click.command("disable")
@click.argument("id")
@yes_option
@setting_options(STORAGE)
def disable_account(id: str, yes: bool, options: Mapping[str, str | None]) -> None:
    """Disable the account with this ID. Its users, tokens, API keys, signed URLs and ingest addresses stop working.

    Running servers apply this within five seconds. No recording is deleted. Accounts below it are not disabled.
    """
    _disable(options, id, yes)


@click.command("enable")
@click.argument("id")
@no_question_option
@setting_options(STORAGE)
def enable_account(id: str, options: Mapping[str, str | None]) -> None:
    """Enable the disabled account with this ID. Its credentials work again within five seconds."""
    _enable(options, id)


@click.command("delete")
@click.argument("id")
@yes_option
@setting_options(STORAGE)
def delete_account(id: str, yes: bool, options: Mapping[str, str | None]) -> None:
    """Delete the account with this ID, with its users, API keys, ingest addresses, policies and webhooks.

    An account that has recordings, also deleted ones that are not purged yet, or accounts below it cannot be deleted.
    An account that is not disabled is disabled first; then the command waits five seconds until every server knows it.
    """
    _delete(options, id, yes)


@with_services
async def _disable(services: "Services", account_id: str, yes: bool) -> None:
    account = await services.accounts.account(account_id)
    confirm(
        f"The account {account.name!r} ({account.id}) has {await _numbers(services, account.id)}. They are kept, also "
        "those in progress, and the retention goes on. Nobody can sign in to the account, and its tokens, API keys, "
        "signed URLs and ingest addresses are rejected until you enable it.",
        yes=yes,
    )
    await services.closing.disable(account.id)
    print_json({"id": account.id, "disabled": True})


@with_services
async def _enable(services: "Services", account_id: str) -> None:
    account = await services.accounts.account(account_id)
    await services.closing.enable(account.id)
    click.echo(f"The {await _numbers(services, account.id)} of the account are accessible again.", err=True)
    print_json({"id": account.id, "disabled": False})


@with_services
async def _delete(services: "Services", account_id: str, yes: bool) -> None:
    from recordings.model.instants import SECOND
    from recordings.use_cases.account_closing import SETTLED

    account = await services.accounts.account(account_id)
    await services.closing.check_empty(account.id)
    confirm(
        f"The account {account.name!r} ({account.id}) has {await _numbers(services, account.id)}. Its users, API keys, "
        "ingest addresses and policies are deleted. This cannot be undone.",
        yes=yes,
    )
    await services.closing.disable(account.id)
    if wait := await services.closing.unsettled(account.id):
        click.echo(f"The account is disabled. Waiting {SETTLED // SECOND} s until every server knows it.", err=True)
        await asyncio.sleep(wait / SECOND)
    await services.closing.delete(account.id)
    print_json({"id": account.id, "deleted": True})


async def _numbers(services: "Services", account_id: str) -> str:
    return " and ".join(f"{number} {what}" for what, number in (await services.closing.recordings(account_id)).items())
