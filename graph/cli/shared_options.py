"""Shared parts of the commands: options made from settings, access to the services, output and errors."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from graph.server import log_setup as logs
from graph.server.request_origin import begin_command
from graph.settings import BY_NAME, Setting, Settings, SettingsError, load
from recordings.model.account import DEFAULT_SCOPES, GRANTABLE, Scope
from recordings.model.errors import InvalidInput, Refused

if TYPE_CHECKING:
    from graph.services import Services

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Command = Callable[..., None]

_CHECK_SECONDS: Final = 10.0
STORAGE: Final = ("data", "mongodb", "driver", "media", "media_options", "key_file")
"""The settings that a command needs to find the installation."""


def setting_options(names: Iterable[str]) -> Callable[[Command], Command]:
    """Add options for settings. The command receives them as `options`: each text by name, `None` if not given."""
    settings = [BY_NAME[name] for name in names]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def collect(**arguments: Any) -> None:
            options = {setting.name: _joined(arguments.pop(setting.name)) for setting in settings}
            options[_CONFIG] = arguments.pop(_CONFIG)
            command(options=options, **arguments)

        _config_option(collect)
        for setting in reversed(settings):
            _option(setting)(collect)
        return collect

    return decorate


_CONFIG: Final = "config"
_config_option: Final = click.option(
    "--config",
    _CONFIG,
    metavar="FILE",
    help="A TOML file with settings by name, such as port = 8080. Options and variables take precedence. "
    "[env: RECORDINGS_CONFIG]",
)


def _option(setting: Setting) -> Callable[[Command], Command]:
    default = "" if setting.default in {None, ()} else f"; default: {_as_text(setting.default)}"
    help_text = f"{setting.description} [env: {setting.environment}{default}]"
    if setting.type is bool:
        # Without a value, the option means on.
        return click.option(
            setting.option,
            setting.name,
            is_flag=False,
            flag_value="on",
            default=None,
            metavar="[on|off]",
            help=help_text,
        )
    shape = "|".join(setting.choices) or setting.type.__name__.upper()
    return click.option(
        setting.option,
        setting.name,
        default=None,
        metavar=_METAVARS.get(shape, shape),
        multiple=setting.repeatable,
        help=help_text,
    )


def _joined(text: str | Sequence[str] | None) -> str | None:
    """Return the text of an option; `None` if it is not given. An option that is given several times is a list."""
    return text if text is None or isinstance(text, str) else ",".join(text) or None


_METAVARS: Final = {"STR": "TEXT", "INT": "NUMBER", "TUPLE": "LIST"}


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def settings_from(options: Mapping[str, str | None]) -> Settings:
    """Return the settings from options, environment and file. An invalid one ends the command with exit code 2."""
    try:
        return load(os.environ, options)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def with_services(
    work: "Callable[Concatenate[Services, Arguments], Awaitable[Result]]",
) -> Callable[Concatenate[Mapping[str, str | None], Arguments], Result]:
    """Make a function that opens the services, runs `work` with them, and closes them.

    The installation must exist. Otherwise a wrong data folder would create a second, empty installation with its own
    key.
    """
    return _with_services(work, create=False)


def with_new_services(
    work: "Callable[Concatenate[Services, Arguments], Awaitable[Result]]",
) -> Callable[Concatenate[Mapping[str, str | None], Arguments], Result]:
    """Do the same as `with_services`, but create the installation if it does not exist."""

    async def work_after_check(services: "Services", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        await _warn_of_older_audio(services)
        return await work(services, *args, **kwargs)

    return _with_services(work_after_check, create=True)


async def _warn_of_older_audio(services: "Services") -> None:
    """Print a warning if the metadata store is new, and its media store belongs to another installation."""
    from recordings.use_cases.media_owner import check_owner

    warning = None
    with suppress(Exception):
        # The store may be unreachable. The server checks it again.
        async with asyncio.timeout(_CHECK_SECONDS):
            warning = await check_owner(services.media.default_location, services.store, services.media)
    if warning is not None:
        click.echo(f"Warning: {logs.scrub(warning)}", err=True)


def _with_services(
    work: "Callable[Concatenate[Services, Arguments], Awaitable[Result]]", *, create: bool
) -> Callable[Concatenate[Mapping[str, str | None], Arguments], Result]:
    @wraps(work)
    def run(options: Mapping[str, str | None], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        settings = settings_from(options)
        if not create:
            check_exists(settings)
        logs.configure(settings.log_format, "warning")
        return asyncio.run(_work(settings, lambda services: work(services, *args, **kwargs), create=create))

    return run


def check_exists(settings: Settings) -> None:
    """Raise `click.ClickException` if the settings name no MongoDB, and there is no SQLite file, or an empty one."""
    from adapters.metadata.sqlite.sqlite_store import FILE

    try:
        # The first transaction of a new file may be in its journal only.
        files = [settings.data / FILE, settings.data / f"{FILE}-wal"]
        exists = settings.mongodb is not None or any(file.exists() and file.stat().st_size for file in files)
    except OSError as error:
        message = f"the data folder {settings.data} cannot be used: {error.strerror}"
        raise click.ClickException(message) from error
    if not exists:
        message = (
            f"there is no installation in {settings.data}: give its folder with --data, or give --mongodb; "
            "`recordings serve` and `recordings account create` create an installation"
        )
        raise click.ClickException(message)


async def _work(settings: Settings, work: "Callable[[Services], Awaitable[Result]]", *, create: bool) -> Result:
    begin_command()
    # A late import: `--help` and `schema` must not load all libraries.
    from adapters.identity import SecretFileError
    from graph.open_parts import CannotOpenError
    from graph.services import open_services

    try:
        async with open_services(settings, create=create) as services:
            return await work(services)
    except InvalidInput as error:
        raise click.UsageError(logs.scrub(error.message)) from error
    except (Refused, SecretFileError, CannotOpenError) as error:
        raise click.ClickException(str(error)) from error


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))


def scopes_of(texts: Iterable[str]) -> frozenset[Scope]:
    """Return the given scopes; if there are none, all scopes except `admin`."""
    return frozenset(Scope(text) for text in texts) or frozenset(DEFAULT_SCOPES)


scope_option: Final = click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in GRANTABLE]),
    help="A scope to grant. Can be given several times. [default: all except admin]",
)
yes_option: Final = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")

no_question_option: Final = click.option(
    "--yes", is_flag=True, expose_value=False, help="Accepted for scripts: this command asks nothing."
)


def confirm(what_happens: str, *, yes: bool) -> None:
    """Say what a command does, and ask for confirmation. Without it, end the command with exit code 1."""
    click.echo(what_happens, err=True)
    if not yes:
        click.confirm("Continue?", abort=True, err=True)


account_option: Final = click.option(
    "--account", "account_id", required=True, metavar="ID", help="The id of the account."
)
owner_option: Final = click.option(
    "--owner",
    "owner_id",
    metavar="USER_ID",
    help="Allow access only to this owner's recordings in the account. `recordings user list` shows the ids of users.",
)


def integer(least: int, most: int) -> click.IntRange:
    """Return the type of an option. The error for a text, such as 99d, names the bounds; that of click does not."""
    kind = click.IntRange(least, most)
    kind.name = f"integer from {least} to {most}"
    return kind


async def warn_of_user_name(services: "Services", account_id: str, owner_id: str | None) -> None:
    """Print a warning if an owner has the name of a user instead of the id. Any text can be an owner, also a name."""
    from recordings.ports.account_stores import all_users

    if owner_id is None or await services.store.user(account_id, owner_id) is not None:
        return
    async for user in all_users(services.store, account_id):
        if user.username.lower() == owner_id.lower():
            message = f"{owner_id!r} is the name of a user, not the id: the id of this user is {user.id}"
            click.echo(f"Warning: {message}", err=True)
            return
