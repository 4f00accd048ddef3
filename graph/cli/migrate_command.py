"""`recordings migrate`: move the metadata between SQLite and MongoDB."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.backup_command import explained
from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import print_json, setting_options, settings_from
from graph.server import log_setup as logs
from graph.server.request_origin import begin_command

if TYPE_CHECKING:
    from graph.settings import Settings

_STORES: Final = click.Choice(["sqlite", "mongodb"])


@click.command()
@click.option("--from", "source", type=_STORES, required=True, help="The store that has the metadata.")
@click.option("--to", "target", type=_STORES, required=True, help="The empty store that gets them.")
@click.option("--abandon", is_flag=True, help="Use the source again after an interrupted migration.")
@setting_options(("data", "mongodb", "driver", "key_file"))
def migrate(source: str, target: str, abandon: bool, options: Mapping[str, str | None]) -> None:
    """Move the metadata from SQLite in --data to --mongodb, or back.

    Stop all servers first. The command refuses to run while a server uses the data folder or the database. Both
    stores are closed during the migration: no server and no command uses them. After an interruption, run the same
    command again.

    It copies everything except the figures, which are counted again, and the state of running servers. Then it
    compares each row of both stores by its digest. It prints the number of rows of each kind.

    The audio, the spool and the key file stay where they are, so start the server with the same --data. The source
    stays as it was, but closed: delete it when you no longer need it.
    """
    if source == target:
        raise click.UsageError(f"--from and --to are both {source}: the target must be the other store")
    settings = settings_from(options)
    if settings.mongodb is None:
        raise click.UsageError("--mongodb (or RECORDINGS_MONGODB) is required")
    print_json(_migrate(settings, source, abandon=abandon))


def _migrate(settings: "Settings", source: str, *, abandon: bool) -> Mapping[str, Any]:
    from graph.migration.migrate_metadata import Migration
    from graph.server.data_lock import DataFolderError, lock_data_folder

    logs.configure(settings.log_format, "warning")

    async def run() -> Mapping[str, Any]:
        begin_command()
        with progress_bar() as progress:
            migration = Migration(settings, source, progress)
            if abandon:
                await explained(migration.abandon)
                return {"abandoned": True}
            rows: Mapping[str, Any] = await explained(migration.run)
            return rows

    try:
        with lock_data_folder(settings.data):
            return asyncio.run(run())
    except DataFolderError as error:
        raise click.ClickException(str(error)) from error
