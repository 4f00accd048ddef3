"""`recordings config`: check the configuration of an installation."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from graph.cli.shared_options import print_json, setting_options, settings_from
from graph.server.log_setup import scrub
from graph.settings import BY_NAME, SETTINGS, config_path, sources, unknown_names

_OTHERS: Final = 0o007
_SECRET: Final = ("mongodb", "switch")
"""Settings whose URLs can contain a password."""


@click.group()
def config() -> None:
    """Check the configuration: options, environment variables and the configuration file."""


@config.command()
@setting_options(setting.name for setting in SETTINGS)
def check(options: Mapping[str, str | None]) -> None:
    """Check all settings as `serve` does, and print each setting that has a source: an option, a variable or the file.

    No store is opened, and no server is reached. The files that settings name are read, except the key. The exit code
    is 2 if a setting is invalid.
    """
    from graph.execution.trusted_documents import TrustedFileError, read_trusted
    from graph.open_parts import CannotOpenError, check_settings

    settings = settings_from(options)
    try:
        check_settings(settings)
        if settings.graphql_trusted is not None:
            read_trusted(settings.graphql_trusted)
    except (CannotOpenError, TrustedFileError) as error:
        raise click.UsageError(str(error)) from error
    path = config_path(os.environ, options)
    found = sources(os.environ, options)
    for name, (source, text) in found.items():
        shown = scrub(text) if BY_NAME[name].type is not tuple or name not in _SECRET else "…"
        print_json({"setting": name, "value": shown, "source": source})
    for name in unknown_names(os.environ):
        click.echo(f"Warning: {name} is not a setting", err=True)
    if path is not None and _is_open(path) and any(found.get(name, ("", ""))[0] == str(path) for name in _SECRET):
        click.echo(f"Warning: all users of this machine can read {path}: run chmod 600 on it", err=True)
    click.echo("the configuration is valid; settings without a line have their defaults", err=True)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & _OTHERS)
