"""The configuration file: a TOML file with settings by name. Options and environment variables take precedence."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from graph.settings.setting import PREFIX, InvalidSettingError, Setting, SettingsError, without_user
from graph.settings.table import BY_NAME

VARIABLE: Final = f"{PREFIX}CONFIG"
"""The environment variable with the path of the file. The option is `--config`."""
OPTION: Final = "config"
_MAX_BYTES: Final = 1 << 20


class ConfigFileError(SettingsError):
    """The configuration file cannot be used. The message names the file and what to change."""


def read_config(path: Path) -> Mapping[str, str]:
    """Return the text of each setting in a file, by name.

    Raises:
        ConfigFileError: the file cannot be read or is not TOML, a key is unknown, or a value is invalid.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigFileError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise ConfigFileError(f"the configuration file {path} has more than {_MAX_BYTES} bytes")
    try:
        found = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigFileError(f"the configuration file {path} is not valid TOML: {error}") from None
    if unknown := [name for name in found if name not in BY_NAME]:
        raise ConfigFileError(f"{path}: unknown setting {'; unknown setting '.join(map(_with_nearest, unknown))}")
    return {name: _checked(path, BY_NAME[name], value) for name, value in found.items()}


def _with_nearest(name: str) -> str:
    nearest = get_close_matches(name.replace("-", "_").lower(), BY_NAME, n=3, cutoff=0.5)
    advice = f"did you mean {' or '.join(nearest)}?" if nearest else "docs/settings.md lists all settings"
    return f"{name!r}: {advice}"


def _checked(path: Path, setting: Setting, value: Any) -> str:
    text = _text(setting, value)
    with suppress(InvalidSettingError):
        if text is not None:
            setting.parse(text)
            return text
    shown = without_user(value) if isinstance(value, str) else value
    names: dict[object, str] = {bool: "true or false", tuple: "a list of texts"}
    allowed = names.get(setting.type, setting.allowed)
    raise ConfigFileError(f"{path}: {setting.name} must be {allowed}, not {shown!r}")


def _text(setting: Setting, value: Any) -> str | None:
    """Return a value as the text that its variable would have; `None` if its type is wrong."""
    if setting.type is bool:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else None
    if setting.type is int:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    if setting.type is tuple and isinstance(value, list):
        return ",".join(value) if all(isinstance(item, str) for item in value) else None
    return value if isinstance(value, str) else None
