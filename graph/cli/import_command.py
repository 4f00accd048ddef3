"""`recordings import`: take in the recordings of a Kazoo installation."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import STORAGE, account_option, put_out, setting_options, with_services

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
    help="Where the audio files are, under the names of the documents' attachments.",
)
@setting_options([name for name in STORAGE if name != "media"])
@click.pass_context
def import_(
    context: click.Context, file: Path, account_id: str, folder: Path | None, options: Mapping[str, str | None]
) -> None:
    """Import call_recording documents, one JSON object on each line of FILE, and their audio.

    It can be run again: what is there is left as it is, and audio that was missing is added. A line that cannot be
    imported is reported with its number, and loses nothing else; the exit code is then 1. Where audio is kept is set
    by RECORDINGS_MEDIA, as for the server.
    """
    summary = _import(options, file, account_id, folder)
    put_out(summary)
    context.exit(1 if summary["bad"] else 0)


@with_services
async def _import(services: "Services", file: Path, account_id: str, folder: Path | None) -> Mapping[str, int]:
    from graph.cli.import_file import Importer

    account = await services.administration.account(account_id)
    return await Importer(services, account, folder).run(file)
