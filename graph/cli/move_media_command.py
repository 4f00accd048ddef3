"""`recordings move-media`: move stored audio to another media store."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.backup_command import explained
from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, print_json, setting_options, with_services
from graph.server.log_setup import scrub

if TYPE_CHECKING:
    from graph.services import Services

_SETTINGS: Final = (*STORAGE, "allowed_hosts", "private_hosts")
_LOCAL: Final = "local:"
_TRIAL: Final = "trial"
"""The folder of the object that tests the target."""
_MAX_NAMED: Final = 20


@click.command("move-media")
@click.option("--to", "target", required=True, metavar="URL", help="The media store that gets the audio, or `local:`.")
@click.option("--from", "source", default="", metavar="URL", help="Only audio below this URL. [default: all audio]")
@click.option(
    "--account",
    "account_ids",
    multiple=True,
    metavar="ID",
    help="Only audio of this account. Can be given several times. [default: accounts without a store of their own]",
)
@click.option("--keep", is_flag=True, help="Keep the former copies until the recordings are purged.")
@setting_options(_SETTINGS)
@click.pass_context
def move_media(
    context: click.Context,
    target: str,
    source: str,
    account_ids: tuple[str, ...],
    keep: bool,
    options: Mapping[str, str | None],
) -> None:
    """Move stored audio to another media store, while the server runs.

    Set --media of the servers to the new store first, so that new audio is stored there. Then run this command. Each
    recording is copied, compared with its SHA-256, and saved with its new URL. Then the former copy is deleted. Plays
    continue. After an interruption, run the command again: it continues.

    `local:` is the data folder of a single server.

    The exit code is 1 if audio is missing or damaged, or if recordings are busy with another step: run it again.
    """
    result = _move(options, target, source, account_ids, keep=keep)
    print_json(result)
    context.exit(1 if result["busy"] or result["failed_count"] else 0)


@with_services
async def _move(
    services: "Services", target: str, source: str, account_ids: tuple[str, ...], *, keep: bool
) -> Mapping[str, Any]:
    from graph.execution.run_parallel import run_parallel
    from recordings.model.audit_entry import AuditAction, AuditObject
    from recordings.ports.account_stores import all_accounts
    from recordings.rules.media_keys import plain_location
    from recordings.use_cases.media_owner import check_owner
    from recordings.use_cases.move_media import MediaMover, MoveReport, MoveSelection

    if target == _LOCAL and services.settings.mongodb is not None:
        raise click.UsageError("--to local: the data folder belongs to one server, and the others cannot reach it")
    for account_id in account_ids:
        await services.accounts.account(account_id)

    async def run() -> MoveReport:
        location = _LOCAL if target == _LOCAL else services.media.add(target)
        if location != _LOCAL:
            await _check(services, target)
            if warning := await check_owner(location, services.store, services.media):
                raise click.ClickException(scrub(warning))
            await services.store.note_location(plain_location(location), services.clock.now())
        own = [each.id async for each in all_accounts(services.store) if each.media] if not account_ids else []
        selection = MoveSelection(
            location=location, source=source, account_ids=account_ids or None, other_than=own, keep=keep
        )
        if own:
            click.echo(f"Note: {len(own)} accounts have a media store of their own: name them with --account", err=True)
        await services.audit.record(
            None, AuditAction.UPDATE, AuditObject("media store", plain_location(location)), source=source or None
        )
        mover = MediaMover(services.store, services.media, services.clock, run_parallel)
        with progress_bar() as progress:
            return await mover.move(selection, lambda report: progress("recordings", report.examined, None))

    report: MoveReport = await explained(run)
    return {
        "moved": report.moved,
        "bytes": report.bytes,
        "deleted": report.deleted,
        "busy": report.busy,
        "failed": [{"recording": each, "reason": reason} for each, reason in report.failed[:_MAX_NAMED]],
        "failed_count": len(report.failed),
    }


async def _check(services: "Services", target: str) -> None:
    from graph.media.check_store import MediaStoreCheckError, check_media_store

    try:
        await check_media_store(services, _TRIAL, target)
    except MediaStoreCheckError as error:
        raise click.ClickException(str(error)) from error
