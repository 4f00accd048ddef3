"""One setting: its names, and how its text is parsed and checked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

PREFIX: Final = "RECORDINGS_"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
_ADDRESS: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class SettingsError(Exception):
    """The settings cannot be used. The message says what to change."""


class InvalidSettingError(SettingsError):
    """A setting is missing or has an invalid value. The message names the setting, the value and the allowed values.

    `required_by` is the option that requires a missing setting. `allowed` replaces the general list of allowed values.
    """

    def __init__(self, setting: "Setting", value: str, *, required_by: str = "", allowed: str = "") -> None:
        if required_by:
            super().__init__(f"{setting.names} is required when {required_by} is set")
        else:
            super().__init__(f"{setting.names} must be {allowed or setting.allowed}, not {without_user(value)!r}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table of settings.

    `minimum` and `maximum` are the bounds of an integer. `schemes` are the allowed schemes of a URL. With `base_url`,
    the URL must have no user, query or fragment, so that a path can be appended to it. `is_address` means host:port.
    A list that is `repeatable` is also made of options that are given several times.
    """

    name: str
    type: type
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: int = 1
    maximum: int | None = None
    schemes: tuple[str, ...] = ()
    base_url: bool = False
    is_address: bool = False
    repeatable: bool = False

    @property
    def environment(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """The name of the command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def names(self) -> str:
        """Both names, for messages."""
        return f"{self.environment} (or {self.option})"

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "on or off"
        if self.type is tuple:
            return "a comma-separated list"
        if self.type is int:
            return f"an integer from {self.minimum} to {self.maximum}"
        if self.schemes:
            schemes = " or ".join(f"{scheme}://" for scheme in self.schemes)
            return f"a URL that begins with {schemes}" + (", without user, query or fragment" if self.base_url else "")
        text = "host:port, such as 127.0.0.1:9092 or [::1]:9092" if self.is_address else "text"
        return "a path" if self.type is Path else text

    def parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            InvalidSettingError: the text is not a valid value of this setting.
        """
        try:
            value = self._convert(text.strip())
        except ValueError as error:
            raise InvalidSettingError(self, text) from error
        if not self._is_allowed(value):
            raise InvalidSettingError(self, text)
        return value

    def _convert(self, text: str) -> Any:
        if self.type is tuple:
            return tuple(item for part in text.split(",") if (item := part.strip()))
        if self.type is int and not _INTEGER.fullmatch(text):
            # `int` also reads 1_0 as 10, and the digits of other scripts.
            raise ValueError(text)
        if self.type is not bool:
            return self.type(text)
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)

    def _is_allowed(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.type is int:
            return bool(self.minimum <= value <= self.maximum)
        if self.is_address:
            return split_address(value) is not None
        if not self.schemes:
            return True
        return is_base_url(value, self.schemes) if self.base_url else _is_url(value, self.schemes)


def split_address(text: str) -> tuple[str, int] | None:
    """Return the host and the port of `host:port`; `None` if the text is not that. An IPv6 host is in brackets."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) not in range(1, 65_536):
        return None
    return match["host"].strip("[]"), int(match["port"])


def is_base_url(text: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Return true if a text is a URL to which a path can be appended."""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Unbalanced brackets, or an invalid port.
        return False
    return has_host and parts.scheme in schemes and not {"@", "?", "#", " "} & set(text)


def is_origin(text: str) -> bool:
    """Return true if a text is an origin as browsers serialize it (RFC 6454, section 6.2), except `null`."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    has_usual_port = (parts.scheme, port) in {("http", 80), ("https", 443)}
    return bool(_ORIGIN.fullmatch(text)) and port != 0 and not has_usual_port


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    # The host is not checked: a MongoDB URI may list several hosts.
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc)


def without_user(value: str) -> str:
    """Return a value without user and password. The value need not be a valid URL."""
    _, user, rest = value.rpartition("@")
    return f"…@{rest}" if user else value
