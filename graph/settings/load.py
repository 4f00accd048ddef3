"""Make `Settings` from options, environment variables and the configuration file, in this order of precedence."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.recorders.switch_url import PORTS, SwitchUrl, parse_switch_url
from graph.settings.config_file import OPTION, VARIABLE, read_config
from graph.settings.setting import PREFIX, InvalidSettingError, is_origin
from graph.settings.table import BY_NAME, SETTINGS
from graph.settings.values import Settings

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def load(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings from options by setting name, environment variables, and the configuration file.

    The option `config` and the variable `RECORDINGS_CONFIG` name the file. An empty environment variable counts as not
    set.

    Raises:
        InvalidSettingError: a value is invalid, or a setting that another one requires is missing.
        ConfigFileError: the configuration file cannot be used.
    """
    texts = dict.fromkeys(BY_NAME, "") | {name: text for name, (_, text) in sources(environment, options).items()}
    values = {name: BY_NAME[name].parse(text) if text else BY_NAME[name].default for name, text in texts.items()}
    if values["demo"] and not texts["graphql_suggestions"]:
        values["graphql_suggestions"] = True
    _check_requirements(values)
    if values["workers"] > 1 and values["audiosocket"] is not None:
        # Only the process that gave out a call's UUID expects its connection.
        raise InvalidSettingError(BY_NAME["workers"], texts["workers"], allowed="1 when --audiosocket is set")
    _check_jwks_url(values["jwks_url"])
    _check_cors_origins(values["cors_origins"])
    values["switch"] = _switches(values["switch"])
    return Settings(**values)


def sources(
    environment: Mapping[str, str], options: Mapping[str, str | None] | None = None
) -> Mapping[str, tuple[str, str]]:
    """Return each setting that is set: its name, its source and its text.

    The source is the name of the option or of the variable, or the path of the configuration file.

    Raises:
        ConfigFileError: the configuration file cannot be used.
    """
    path, given = config_path(environment, options), options or {}
    in_file = {} if path is None else read_config(path)
    found: dict[str, tuple[str, str]] = {}
    for setting in SETTINGS:
        candidates = (
            (setting.option, given.get(setting.name)),
            (setting.environment, environment.get(setting.environment) or None),
            (str(path), in_file.get(setting.name)),
        )
        chosen = next(((source, text) for source, text in candidates if text is not None), None)
        if chosen is not None:
            found[setting.name] = chosen
    return found


def config_path(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Path | None:
    """Return the path of the configuration file; `None` if there is none."""
    text = (options or {}).get(OPTION) or environment.get(VARIABLE)
    return Path(text) if text else None


def environment_names() -> tuple[str, ...]:
    """Return the names of all environment variables that are read."""
    return tuple(setting.environment for setting in SETTINGS)


def unknown_names(environment: Iterable[str]) -> tuple[str, ...]:
    """Return the `RECORDINGS_*` variables that are not settings. Each may be a misspelled setting."""
    known = {*environment_names(), VARIABLE}
    return tuple(sorted(name for name in environment if name.startswith(PREFIX) and name not in known))


def _check_requirements(values: Mapping[str, Any]) -> None:
    # Peers find each other through the MongoDB that they share.
    required = [("peer_url", "mongodb")] if values["peer_url"] is not None else []
    if values["jwks_url"] is not None:
        required += [("jwks_url", "jwks_issuer"), ("jwks_url", "jwks_audience")]
    if values["graphql_only_trusted"]:
        required.append(("graphql_only_trusted", "graphql_trusted"))
    for name, needed in required:
        if not values[needed]:
            raise InvalidSettingError(BY_NAME[needed], "", required_by=BY_NAME[name].option)


def _check_jwks_url(url: str | None) -> None:
    # Over plain HTTP, an attacker on the network could publish other keys.
    if url is not None and urlsplit(url).scheme == "http" and urlsplit(url).hostname not in _LOOPBACK:
        allowed = "a URL that begins with https://, or with http:// and this machine's own name, localhost"
        raise InvalidSettingError(BY_NAME["jwks_url"], url, allowed=allowed)


def _switches(texts: tuple[str, ...]) -> tuple[SwitchUrl, ...]:
    switches: dict[str, SwitchUrl] = {}
    for text in texts:
        # The text may have a password at any place, if it is not a valid URL.
        scheme = text.partition(":")[0]
        shown = f"{scheme}:…" if scheme in PORTS else "…"
        try:
            switch = parse_switch_url(text)
        except ValueError as error:
            raise InvalidSettingError(BY_NAME["switch"], shown, allowed=f"the URL of a switch ({error})") from None
        if switch.name in switches:
            allowed = f"switches with different names (two are called {switch.name})"
            raise InvalidSettingError(BY_NAME["switch"], shown, allowed=allowed)
        switches[switch.name] = switch
    return tuple(switches.values())


def _check_cors_origins(origins: tuple[str, ...]) -> None:
    wrong = next((origin for origin in origins if not is_origin(origin)), "")
    if wrong and origins != ("*",):
        allowed = (
            "* alone, or a list of origins as browsers send them: scheme://host or scheme://host:port, in lower case, "
            "without a path, without the port 80 of http or 443 of https"
        )
        raise InvalidSettingError(BY_NAME["cors_origins"], wrong, allowed=allowed)
