"""`recordings export`: recordings as a table, as `GET /export/recordings` returns it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import IO, TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import Progress, progress_bar
from graph.cli.shared_options import STORAGE, account_option, setting_options, with_services
from recordings.model.account import Principal, Scope

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.export_recordings import Chunk

_TIME: Final = "TIME"


@click.command()
@account_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "ndjson", "parquet"]),
    default="csv",
    show_default=True,
    help="The format of the table.",
)
@click.option("--fields", metavar="NAMES", help="The columns, separated by commas. [default: all except large ones]")
@click.option("--filter", metavar="JSON", help="A RecordingFilter of GraphQL, as JSON.")
@click.option("--from", metavar=_TIME, help="Only recordings that started at this time or later.")
@click.option("--to", metavar=_TIME, help="Only recordings that started before this time.")
@click.option(
    "--modified-since", metavar=_TIME, help="The changes since this time instead, with deleted and purged recordings."
)
@click.option("--after", metavar="CURSOR", help="Continue after the row with this cursor.")
@click.option("--bom", is_flag=True, help="Start CSV with a byte order mark, for Excel.")
@click.option("--output", default="-", metavar="FILE", help="[default: stdout]")
@setting_options(STORAGE)
def export(
    account_id: str, form: str, output: str, bom: bool, options: Mapping[str, str | None], **given: str | None
) -> None:
    """Export the recordings of an account as CSV, NDJSON or Parquet.

    Every row has a cursor in its last column. If the export is interrupted, continue it with --after and the last
    cursor. To follow the changes, repeat it with --modified-since, and later with the last cursor.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    _export(options, account_id, wanted | {"format": form, "bom": "true" if bom else "false"}, output)


@with_services
async def _export(services: "Services", account_id: str, parameters: Mapping[str, str], output: str) -> None:
    from graph.export.export_endpoint import encoded
    from graph.export.export_request import parse
    from graph.export.table_formats import ParquetMissingError, writer_of

    account = await services.accounts.account(account_id)
    principal = Principal(account.id, frozenset({Scope.READ}), None, "command line")
    wanted = parse(parameters, account.id, services.cursors)
    try:
        writer = writer_of(wanted.format, wanted.table, bom=wanted.bom)
    except ParquetMissingError as error:
        raise click.ClickException(str(error)) from error
    chunks = await services.exports.open(principal, wanted.request)
    with _opened(output) as file, progress_bar() as progress:
        rows = _Counted(progress)
        try:
            async with aclosing(chunks):
                async for piece in encoded(rows.count(chunks), wanted, writer):
                    file.write(piece)
        finally:
            last = wanted.start if rows.last is None else services.cursors.write(wanted.request.order, rows.last)
            click.echo(f"{rows.number} rows; continue with --after {last}", err=True)


def _opened(output: str) -> IO[bytes]:
    """Open the file to write. Nothing before this empties it."""
    try:
        return click.open_file(output, "wb")
    except OSError as error:
        raise click.FileError(output, error.strerror) from error


class _Counted:
    """Counts rows, and remembers the last written row."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.number = 0
        self.last: Any = None

    async def count(self, chunks: "AsyncGenerator[Chunk]") -> "AsyncGenerator[Chunk]":
        async for chunk in chunks:
            yield chunk
            # The consumer has written the chunk when it asks for the next one.
            self.number += len(chunk)
            self.last = chunk[-1] if chunk else self.last
            self._progress("rows", self.number, None)
