"""Make `Settings` from options and environment variables. An option takes precedence over its variable."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from adapters.recorders.switch_url import PORTS, SwitchUrl, parse_switch_url
from graph.settings.setting import PREFIX, InvalidSettingError, is_origin
from graph.settings.table import BY_NAME, SETTINGS
from graph.settings.values import Settings

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def load(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """Return the settings from environment variables and from options by setting name.

    An empty environment variable counts as not set.

    Raises:
        InvalidSettingError: a value is invalid, or a setting that another one requires is missing.
    """
    texts = {setting.name: environment.get(setting.environment, "") for setting in SETTINGS}
    texts |= {name: text for name, text in (options or {}).items() if text is not None}
    values = {name: BY_NAME[name].parse(text) if text else BY_NAME[name].default for name, text in texts.items()}
    if values["demo"] and not texts["graphql_suggestions"]:
        values["graphql_suggestions"] = True
    _check_requirements(values)
    _check_jwks_url(values["jwks_url"])
    _check_cors_origins(values["cors_origins"])
    values["switch"] = _switches(values["switch"])
    return Settings(**values)


def environment_names() -> tuple[str, ...]:
    """Return the names of all environment variables that are read."""
    return tuple(setting.environment for setting in SETTINGS)


def unknown_names(environment: Iterable[str]) -> tuple[str, ...]:
    """Return the `RECORDINGS_*` variables that are not settings. Each may be a misspelled setting."""
    return tuple(sorted(name for name in environment if name.startswith(PREFIX) and name not in environment_names()))


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
