"""What commands share: options made of settings, a way into the services, and how they end."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from graph.server import log_setup as logs
from graph.settings import BY_NAME, Setting, Settings, WrongSettingError, load
from recordings.model.account import DEFAULT_SCOPES, GRANTABLE, Scope
from recordings.model.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from graph.services import Services

Given = ParamSpec("Given")
Result = TypeVar("Result")
Command = Callable[..., None]

STORAGE: Final = ("data", "mongodb", "driver", "media", "media_options", "key_file")
"""The settings by which a command finds the installation that it works on."""


def setting_options(names: Iterable[str]) -> Callable[[Command], Command]:
    """Options for settings; the command gets those that were given as `options`, by name and as texts."""
    chosen = [BY_NAME[name] for name in names]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def collect(**given: Any) -> None:
            options = {setting.name: given.pop(setting.name) for setting in chosen}
            command(options=options, **given)

        for setting in reversed(chosen):
            _option(setting)(collect)
        return collect

    return decorate


def _option(setting: Setting) -> Callable[[Command], Command]:
    default = "" if setting.default in {None, ()} else f" [default: {_shown(setting.default)}]"
    words = f"{setting.description}{default}"
    if setting.type is bool:
        # Alone it is on.
        return click.option(
            setting.option, setting.name, is_flag=False, flag_value="on", default=None, metavar="[on|off]", help=words
        )
    shape = "|".join(setting.choices) or setting.type.__name__.upper()
    return click.option(setting.option, setting.name, default=None, metavar=_METAVARS.get(shape, shape), help=words)


_METAVARS: Final = {"STR": "TEXT", "INT": "NUMBER", "TUPLE": "LIST"}


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def settings_from(options: Mapping[str, str | None]) -> Settings:
    """The settings of the environment and the options; a wrong one ends the command with 2."""
    try:
        return load(os.environ, options)
    except WrongSettingError as error:
        raise click.UsageError(str(error)) from error


def with_services(
    work: "Callable[Concatenate[Services, Given], Awaitable[Result]]",
) -> Callable[Concatenate[Mapping[str, str | None], Given], Result]:
    """A function that opens the services which the options lead to, works with them, and closes them.

    There has to be something that they lead to: made elsewhere, an installation would be an empty one beside the one
    that was meant, with a key of its own.
    """
    return _with_services(work, makes=False)


def with_new_services(
    work: "Callable[Concatenate[Services, Given], Awaitable[Result]]",
) -> Callable[Concatenate[Mapping[str, str | None], Given], Result]:
    """The same, for what an installation may begin with: where there is none, it is made."""
    return _with_services(work, makes=True)


def _with_services(
    work: "Callable[Concatenate[Services, Given], Awaitable[Result]]", *, makes: bool
) -> Callable[Concatenate[Mapping[str, str | None], Given], Result]:
    @wraps(work)
    def run(options: Mapping[str, str | None], /, *args: Given.args, **kwargs: Given.kwargs) -> Result:
        settings = settings_from(options)
        if not makes:
            _check_installation(settings)
        logs.configure(settings.log_format, "warning")
        return asyncio.run(_work(settings, lambda services: work(services, *args, **kwargs)))

    return run


def _check_installation(settings: Settings) -> None:
    from adapters.metadata.sqlite.sqlite_store import FILE

    try:
        there = settings.mongodb is not None or (settings.data / FILE).exists()
    except OSError as error:
        message = f"the data folder {settings.data} cannot be used: {error.strerror}"
        raise click.ClickException(message) from error
    if not there:
        message = (
            f"there is no installation in {settings.data}: name its folder with --data, or --mongodb; "
            "`recordings serve` and `recordings account create` make one"
        )
        raise click.ClickException(message)


async def _work(settings: Settings, work: "Callable[[Services], Awaitable[Result]]") -> Result:
    # Not before it is needed: `--help` and `schema` shall not wait for every library.
    from adapters.identity import SecretFileError
    from graph.services import CannotOpenError, open_services

    try:
        async with open_services(settings) as services:
            return await work(services)
    except InvalidInput as refused:
        raise click.UsageError(logs.scrub(refused.message)) from refused
    except (Refused, SecretFileError, CannotOpenError) as refused:
        raise click.ClickException(str(refused)) from refused


def put_out(value: Mapping[str, Any]) -> None:
    """One JSON object on a line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))


def scopes_of(given: Iterable[str]) -> frozenset[Scope]:
    """The scopes that were given, or all but `admin`."""
    return frozenset(Scope(text) for text in given) or frozenset(DEFAULT_SCOPES)


scope_option: Final = click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in GRANTABLE]),
    help="What it allows; can be given several times. [default: all but admin]",
)
account_option: Final = click.option("--account", "account_id", required=True, metavar="ID", help="The account.")
owner_option: Final = click.option(
    "--owner", "owner_id", metavar="USER", help="Reach this owner's recordings in the account, and no others."
)
