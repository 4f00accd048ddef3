"""`recordings import`: import the recordings of a Kazoo installation."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services

if TYPE_CHECKING:
    from graph.services import Services


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@account_option
@click.option(
    "--media",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of the audio files. Each file has the name of its document's attachment.",
)
@setting_options([name for name in STORAGE if name != "media"])
@click.pass_context
def import_(
    context: click.Context, file: Path, account_id: str, folder: Path | None, options: Mapping[str, str | None]
) -> None:
    """Import Kazoo recordings and their audio.

    FILE has one call_recording document, a JSON object, on each line. If a line cannot be imported, the command reports
    its number, imports the other lines, and exits with 1. The command can be run again: it does not change existing
    recordings, but adds audio that was missing.

    Here, --media is only the source of the audio. The environment variable RECORDINGS_MEDIA says where audio is
    stored, as it does for the server.
    """
    summary = _import(options, file, account_id, folder)
    print_json(summary)
    context.exit(1 if summary["bad"] else 0)


@with_services
async def _import(services: "Services", file: Path, account_id: str, folder: Path | None) -> Mapping[str, int]:
    from graph.cli.import_file import Importer

    account = await services.accounts.account(account_id)
    return await Importer(services, account, folder).run(file)
