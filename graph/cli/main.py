"""`recordings`: the command line's entry point."""

import os
import sys

import click

from graph.cli.account_command import account
from graph.cli.audit_command import audit
from graph.cli.backup_command import backup, restore
from graph.cli.call_command import call
from graph.cli.completion_command import completion
from graph.cli.config_command import config
from graph.cli.doctor_command import doctor, verify
from graph.cli.events_command import event_schemas, events
from graph.cli.export_command import export
from graph.cli.import_command import import_
from graph.cli.ingest_command import ingest
from graph.cli.key_command import key
from graph.cli.list_and_show_commands import list_, show
from graph.cli.migrate_command import migrate
from graph.cli.move_media_command import move_media
from graph.cli.node_command import node
from graph.cli.openapi_command import openapi
from graph.cli.policy_command import policy
from graph.cli.retention_command import retention
from graph.cli.schema_command import schema
from graph.cli.serve_command import serve
from graph.cli.stats_command import stats
from graph.cli.token_command import token
from graph.cli.user_command import user
from graph.cli.webhook_command import webhook

_HELP = """Start, stop, find, play and delete call recordings.

Start with `recordings serve --demo`: it prints the next steps. The other commands can run while the server runs.
Commands that list or change data print JSON to stdout, one object on each line. All messages go to stderr. The exit
code is 0 on success, 1 on failure and 2 on a usage error.

An option can also be set by an environment variable if its help names one: --port by RECORDINGS_PORT, or in the
file of --config. The option takes precedence, then the variable. Other options, such as --account, have no variable.
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="call-recording-api", message="%(version)s")
def recordings() -> None:
    """Group the commands. `_HELP` is the text that users see."""
    # Every file and folder of this service is private, also those that a library creates.
    os.umask(0o077)


for command in (
    serve,
    account,
    user,
    key,
    token,
    ingest,
    import_,
    export,
    events,
    event_schemas,
    webhook,
    list_,
    show,
    call,
    policy,
    retention,
    node,
    stats,
    doctor,
    verify,
    audit,
    backup,
    restore,
    migrate,
    move_media,
    config,
    completion,
    schema,
    openapi,
):
    recordings.add_command(command)


def main() -> None:
    """Run the `recordings` program."""
    try:
        recordings.main(prog_name="recordings", standalone_mode=True)
    except OSError as error:
        if error.errno is None:
            # Raised by a library, not by the operating system: there is no system message to show.
            raise
        # A full disk behind `>`, or a file of another user: the system's message is enough.
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
