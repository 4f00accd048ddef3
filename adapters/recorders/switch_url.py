"""The URL of a switch in the settings: how to reach it, its name, and the accounts that it serves.

    ng://media.example.org:2223?name=media1&account=ACCOUNT&folder=/var/spool/rtpengine

The parts of a URL that are secret are in no message and in no log line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from recordings.model.call import EMBEDDED

PORTS: Final[Mapping[str, int]] = {"ari": 8088, "aris": 8089, "ng": 2223, "esl": 8021}
"""The schemes, and their usual ports. `ari` is Asterisk, `aris` is Asterisk with TLS, `ng` is rtpengine,
and `esl` is FreeSWITCH."""
OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "ari": frozenset({"prefix", "tracks"}),
    "aris": frozenset({"prefix", "tracks"}),
    "ng": frozenset({"folder"}),
    "esl": frozenset({"folder", "switch_folder", "upload"}),
}
"""The parameters of each scheme besides `name` and `account`."""
NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "ng": frozenset({"folder"}),
    "esl": frozenset({"folder"}),
}
"""The parameters that a scheme requires."""
PROTECTED: Final[Mapping[str, str]] = {"ari": "USER:PASSWORD", "aris": "USER:PASSWORD", "esl": ":PASSWORD"}
"""The schemes with credentials, and their form in the URL. Without a user, `esl` has the password of the module."""
CHOICES: Final[Mapping[str, frozenset[str]]] = {"tracks": frozenset({"1", "2"})}
"""The allowed values of a parameter, if they are few."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_PATH: Final = re.compile(r"/[A-Za-z0-9/._-]*")
_ACCOUNT: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchUrl:
    """A parsed URL. `options` has the parameters of the scheme. The representation has no secret."""

    scheme: str
    host: str
    port: int
    name: str
    accounts: tuple[str, ...]
    user: str = ""
    secret: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    def account_of(self, stated: str | None) -> str | None:
        """Return the account of a call. `stated` is the account that the switch states for the call.

        A call without a stated account belongs to the only account. `None` means that the call is not served.
        """
        if stated:
            return stated if stated in self.accounts else None
        return self.accounts[0] if len(self.accounts) == 1 else None

    @property
    def address(self) -> str:
        """The URL without its secrets, for messages."""
        return f"{self.scheme}://{self.host}:{self.port}"


def parse_switch_url(text: str) -> SwitchUrl:
    """Return the parts of a switch's URL.

    Raises:
        ValueError: the URL is invalid. The message names the part and the allowed values, and has no secret.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("the host and the port must be host:port, such as media.example.org:2223") from None
    if parts.scheme not in PORTS:
        schemes = ", ".join(f"{scheme}://" for scheme in PORTS)
        raise ValueError(f"the scheme must be one of {schemes}, not {parts.scheme + '://'!r}")
    if not parts.hostname or port == 0 or parts.path not in {"", "/"} or parts.fragment:
        raise ValueError(f"it must have a host and no path, such as {parts.scheme}://pbx.example.org?name=pbx1")
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    names = [value for key, value in parameters if key == "name"]
    if len(names) != 1 or not _NAME.fullmatch(names[0]) or names[0] == EMBEDDED:
        given = ", ".join(names) or "none"
        allowed = f"one name of lower-case letters, digits, '.', '_' and '-', such as name=pbx1, but not {EMBEDDED!r}"
        raise ValueError(f"the parameter name must be {allowed}; given: {given}")
    accounts = tuple(dict.fromkeys(value for key, value in parameters if key == "account"))
    if not accounts or not all(map(_ACCOUNT.fullmatch, accounts)):
        given = ", ".join(accounts) or "none"
        allowed = "account=ID, once for each account, with an id of 32 hexadecimal digits (`recordings account list`)"
        raise ValueError(f"the accounts must be {allowed}; given: {given}")
    if parts.scheme in PROTECTED and not (parts.password and (parts.username or parts.scheme == "esl")):
        form = f"{parts.scheme}://{PROTECTED[parts.scheme]}@{parts.hostname}"
        raise ValueError(f"it must have the credentials of the switch, such as {form}?name={names[0]}")
    options = _options(parts.scheme, parameters)
    return SwitchUrl(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        name=names[0],
        accounts=accounts,
        user=unquote(parts.username or ""),
        secret=unquote(parts.password or ""),
        options=options,
    )


def _options(scheme: str, parameters: list[tuple[str, str]]) -> Mapping[str, str]:
    options = {key: value for key, value in parameters if key not in {"name", "account"}}
    allowed = OPTIONS[scheme]
    if unknown := sorted(options.keys() - allowed):
        known = ", ".join(sorted({"name", "account", *allowed}))
        raise ValueError(f"the parameter {unknown[0]!r} is unknown for {scheme}://; allowed: {known}")
    if missing := sorted(NEEDED.get(scheme, frozenset()) - {key for key, value in options.items() if value}):
        raise ValueError(f"the parameter {missing[0]} is required for {scheme}://")
    for key, value in options.items():
        if value not in CHOICES.get(key, {value}):
            raise ValueError(f"the parameter {key} must be one of {', '.join(sorted(CHOICES[key]))}; given: {value}")
    if scheme == "esl" and not _PATH.fullmatch(folder := options.get("switch_folder") or options["folder"]):
        form = "a path that begins with / and has only letters, digits and /._-, because FreeSWITCH splits at spaces"
        raise ValueError(f"the folder on the switch must be {form}; given: {folder}")
    if not re.fullmatch(r"(https?://[!-~]+)?", options.get("upload", "")):
        raise ValueError("the parameter upload must be the http:// or https:// URL of this service for the switch")
    return options
