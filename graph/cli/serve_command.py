"""`recordings serve`: run the server."""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from graph.cli.shared_options import setting_options, settings_from
from graph.server import log_setup as logs
from graph.settings import SETTINGS, Settings, unknown_names

if TYPE_CHECKING:
    from graph.services import Services


@click.command()
@setting_options(setting.name for setting in SETTINGS)
def serve(options: Mapping[str, str | None]) -> None:
    """Run the server until it is told to stop (Ctrl-C or SIGTERM).

    With no options it listens on 127.0.0.1:8000 and keeps everything in the folder `data`.
    """
    settings = settings_from(options)
    logs.configure(settings.log_format, settings.log_level)
    if unknown := unknown_names(os.environ):
        # Not more than a warning: Kubernetes makes such variables of a service that is called `recordings`.
        logs.logger("server").warning("no setting is called so", variables=unknown)
    from adapters.identity import SecretFileError
    from graph.execution.trusted_documents import TrustedFileError
    from graph.server.data_lock import DataFolderError
    from graph.server.run import CannotListenError, run
    from graph.services import CannotOpenError

    try:
        run(settings, _prepare, _greet)
    except (CannotListenError, CannotOpenError, DataFolderError, SecretFileError, TrustedFileError) as error:
        raise click.ClickException(str(error)) from error


async def _prepare(services: "Services") -> None:
    if services.settings.demo:
        from graph.demo.demo_account import make_demo

        await make_demo(services)


def _greet(services: "Services") -> None:
    settings = services.settings
    logs.logger("server").info("serving", address=settings.address, metadata=_metadata(settings))
    if settings.demo:
        from graph.demo.demo_account import demo_token
        from graph.demo.welcome import introduce, warning

        if said := warning(settings):
            click.echo(said, err=True)
        click.echo(introduce(settings, demo_token(services), [sys.argv[0]]))


def _metadata(settings: Settings) -> str:
    return "MongoDB" if settings.mongodb else "SQLite"
