"""`recordings`: the one command, and what all its parts share in ending."""

import sys

import click

from graph.cli.account_command import account
from graph.cli.call_command import call
from graph.cli.doctor_command import doctor, verify
from graph.cli.import_command import import_
from graph.cli.ingest_command import ingest
from graph.cli.key_command import key
from graph.cli.openapi_command import openapi
from graph.cli.retention_command import retention
from graph.cli.schema_command import schema
from graph.cli.serve_command import serve
from graph.cli.token_command import token
from graph.cli.user_command import user

_HELP = """Start, stop, find, play and delete call recordings.

Begin with `recordings serve --demo`: it prints how to go on. All other commands work on the same data while a server
runs. They print JSON, one object on a line, and say everything else on stderr; they exit with 0 if all went well, 1 if
something could not be done, and 2 if it was not asked for as it has to be.

Every option can also be set as an environment variable: --port as RECORDINGS_PORT.
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="call-recording-api", message="%(version)s")
def recordings() -> None:
    """Take the place of click's own help: see `_HELP`."""


for command in (
    serve,
    account,
    user,
    key,
    token,
    ingest,
    import_,
    call,
    retention,
    doctor,
    verify,
    schema,
    openapi,
):
    recordings.add_command(command)


def main() -> None:
    """What the `recordings` program runs."""
    try:
        recordings.main(prog_name="recordings", standalone_mode=True)
    except OSError as error:
        if error.errno is None:
            # A library's own; no word of the system says what to do about it.
            raise
        # A full disk behind `>`, a file of another user: what the system says is all there is to know.
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
