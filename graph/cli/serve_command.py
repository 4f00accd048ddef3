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
    from graph.demo.demo_account import Demo
    from graph.services import Services


@click.command()
@setting_options(setting.name for setting in SETTINGS)
def serve(options: Mapping[str, str | None]) -> None:
    """Run the server until it is stopped (Ctrl-C or SIGTERM).

    By default it listens on 127.0.0.1:8000 and stores everything in the folder `data`.
    """
    settings = settings_from(options)
    logs.configure(settings.log_format, settings.log_level)
    if unknown := unknown_names(os.environ):
        # Only a warning: Kubernetes sets such variables for a service called `recordings`.
        logs.logger("server").warning("unknown setting", variables=unknown)
    from adapters.identity import SecretFileError
    from graph.execution.trusted_documents import TrustedFileError
    from graph.open_parts import CannotOpenError
    from graph.server.data_lock import DataFolderError
    from graph.server.run import CannotListenError, run

    start = _Start()
    try:
        run(settings, start.prepare, start.report)
    except (CannotListenError, CannotOpenError, DataFolderError, SecretFileError, TrustedFileError) as error:
        raise click.ClickException(str(error)) from error


class _Start:
    """The steps of a start: before the server accepts requests, and after that."""

    def __init__(self) -> None:
        self._demo: Demo | None = None

    async def prepare(self, services: "Services") -> None:
        """Make the demo if the setting is on."""
        if services.settings.demo:
            from graph.demo.demo_account import make_demo

            self._demo = await make_demo(services)

    def report(self, services: "Services") -> None:
        """Log the address. Print how to try the demo."""
        settings = services.settings
        logs.logger("server").info("serving", address=settings.address, metadata=_metadata(settings))
        if self._demo is not None:
            from graph.demo.demo_account import demo_token
            from graph.demo.welcome import exposure_warning, welcome_text

            if warning := exposure_warning(settings):
                click.echo(warning, err=True)
            click.echo(welcome_text(settings, self._demo, demo_token(services), [sys.argv[0]]))


def _metadata(settings: Settings) -> str:
    return "MongoDB" if settings.mongodb else "SQLite"
