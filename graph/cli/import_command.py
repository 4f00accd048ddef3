"""`recordings import`: import the recordings of a Kazoo installation."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services

if TYPE_CHECKING:
    from graph.services import Services


_HELP = """Import Kazoo recordings and their audio.

FILE is an export of CouchDB or of the v2 API, also as a .gz file: one document on each line, an array, or the
response of _all_docs with include_docs=true. Audio is read from the folder for --media, from the documents
themselves, or stays at the storage provider that a document names.

\b
The command prints the line of each document with a problem, imports the others, and exits with
  0  if all audio is stored, or none was named or given,
  1  if a document cannot be imported, or audio is unplayable or not the file that the document describes,
  3  if only some audio is missing,
  4  if a server still has to store some audio.

The command can be run again: it does not change existing recordings, but repairs those whose audio was missing or
unplayable, if other bytes are there now.

Here, --media is only the source of the audio. The environment variable RECORDINGS_MEDIA says where audio is
stored, as it does for the server.
"""


@click.command("import", help=_HELP)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@account_option
@click.option(
    "--media",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder of the audio files. Each file has the name of its document's attachment.",
)
@setting_options((*(name for name in STORAGE if name != "media"), "allowed_hosts", "private_hosts"))
@click.pass_context
def import_(
    context: click.Context, file: Path, account_id: str, folder: Path | None, options: Mapping[str, str | None]
) -> None:
    """Import an archive. `_HELP` is the text that users see."""
    from graph.cli.import_report import exit_code_of

    summary = _import(options, file, account_id, folder)
    print_json(summary)
    context.exit(exit_code_of(summary))


@with_services
async def _import(services: "Services", file: Path, account_id: str, folder: Path | None) -> Mapping[str, Any]:
    from graph.cli.import_file import Importer

    account = await services.accounts.account(account_id)
    return await Importer(services, account, folder).run(file)
