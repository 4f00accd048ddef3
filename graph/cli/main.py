"""`recordings`: the command line's entry point."""

import os
import sys
from collections import UserDict
from importlib import import_module
from typing import Any, Final

import click

_HELP = """Start, stop, find, play and delete call recordings.

Start with `recordings serve --demo`: it prints the next steps. The other commands can run while the server runs.
Commands that list or change data print JSON to stdout, one object on each line. All messages go to stderr. The exit
code is 0 on success, 1 on failure and 2 on a usage error.

An option can also be set by an environment variable if its help names one: --port by RECORDINGS_PORT, or in the
file of --config. The option takes precedence, then the variable. Other options, such as --account, have no variable.
"""


_COMMANDS: Final = {
    "account": "account_command.account",
    "audit": "audit_command.audit",
    "backup": "backup_command.backup",
    "call": "call_command.call",
    "completion": "completion_command.completion",
    "config": "config_command.config",
    "doctor": "doctor_command.doctor",
    "event-schemas": "events_command.event_schemas",
    "events": "events_command.events",
    "export": "export_command.export",
    "import": "import_command.import_",
    "ingest": "ingest_command.ingest",
    "key": "key_command.key",
    "list": "list_and_show_commands.list_",
    "migrate": "migrate_command.migrate",
    "move-media": "move_media_command.move_media",
    "node": "node_command.node",
    "openapi": "openapi_command.openapi",
    "policy": "policy_command.policy",
    "restore": "backup_command.restore",
    "retention": "retention_command.retention",
    "schema": "schema_command.schema",
    "serve": "serve_command.serve",
    "show": "list_and_show_commands.show",
    "stats": "stats_command.stats",
    "token": "token_command.token",
    "user": "user_command.user",
    "verify": "doctor_command.verify",
    "webhook": "webhook_command.webhook",
}
"""The module and the attribute of each command. A running server imports only that of `serve`."""


class LazyCommands(UserDict[str, Any]):
    """The commands by their names. A command is imported when it is used."""

    def __getitem__(self, name: str) -> click.Command:
        """Return a command."""
        if isinstance(found := self.data[name], str):
            module, _, attribute = found.partition(".")
            self.data[name] = found = getattr(import_module(f"graph.cli.{module}"), attribute)
        command: click.Command = found
        return command


class CommandGroup(click.Group):
    """The group of all commands.

    It rejects an argument that is not UTF-8, because no store can keep it. An error of the metadata store, such as a
    missing right or a lost connection, ends a command with a message.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Check and parse the arguments. An existing path may have any name."""
        for word in args:
            if not _is_utf8(word) and not os.path.lexists(word):
                message = f"the argument {word!r} is not UTF-8"
                raise click.UsageError(message, ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Late imports: `--help` and `schema` must not load all libraries.
            from graph.server.log_setup import scrub
            from graph.store_error_text import store_error_text

            text = store_error_text(error)
            if text is None:
                raise
            raise click.ClickException(scrub(text)) from error


def _is_utf8(word: str) -> bool:
    # Python keeps the other bytes of an argument as lone surrogates.
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


@click.group(
    cls=CommandGroup,
    help=_HELP,
    commands=LazyCommands(_COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="call-recording-api", message="%(version)s")
def recordings() -> None:
    """Group the commands. `_HELP` is the text that users see."""
    # Every file and folder of this service is private, also those that a library creates.
    os.umask(0o077)


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
