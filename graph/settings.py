"""What an installation can set: one table, read from the command line and from `RECORDINGS_*` in the environment.

`SETTINGS` is the one place: the options of `recordings serve`, the environment, the checks and docs/settings.md come
from it. An option wins over the environment; an empty variable counts as not set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from graph import graphql_choices
from graph.graphql_choices import GraphQLChoices

PREFIX: Final = "RECORDINGS_"
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on there is found here
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class WrongSettingError(Exception):
    """A setting that cannot be used; the message says which, what was given and what is allowed.

    `needing` is the option that cannot do without it; `allowed` is said in place of what is allowed in general.
    """

    def __init__(self, setting: "Setting", given: str, needing: str = "", allowed: str = "") -> None:
        why = f"as {needing} needs it" if needing else f"not {_without_user(given)!r}"
        super().__init__(f"{setting.names} must be {allowed or setting.allowed}, {why}")


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    `minimum` and `maximum` bound an integer; `schemes` are those that a URL may have, and one that others are made of
    is a `base`: nothing may stand in it that has no place at the beginning of a URL.
    """

    name: str
    type: type
    default: Any
    description: str
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    schemes: tuple[str, ...] = ()
    base: bool = False

    @property
    def environment(self) -> str:
        """Its environment variable."""
        return PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def names(self) -> str:
        """What it is called where it is set."""
        return f"{self.environment} (or {self.option})"

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "on or off"
        if self.type is tuple:
            return "a list with commas"
        if self.type is int:
            return f"an integer from {self.minimum} to {self.maximum}"
        if self.schemes:
            beginnings = " or ".join(f"{scheme}://" for scheme in self.schemes)
            return f"a URL that begins with {beginnings}" + (", without user, query and fragment" if self.base else "")
        return "a folder or file" if self.type is Path else "a text"

    def parse(self, text: str) -> Any:
        """The value that a text stands for.

        Raises:
            WrongSettingError: it stands for none, or is out of bounds.
        """
        try:
            value = self._cast(text.strip())
        except ValueError as error:
            raise WrongSettingError(self, text) from error
        if not self._is_allowed(value):
            raise WrongSettingError(self, text)
        return value

    def _cast(self, text: str) -> Any:
        if self.type is tuple:
            return tuple(item for part in text.split(",") if (item := part.strip()))
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
        if not self.schemes:
            return True
        return is_base(value, self.schemes) if self.base else _is_url(value, self.schemes)


def is_base(text: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether a text is a URL that others can be made of, by what is put behind it."""
    try:
        parts = urlsplit(text)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Brackets without an end, or a port that is none.
        return False
    return whole and parts.scheme in schemes and not {"@", "?", "#", " "} & set(text)


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    # Not more: the hosts of a MongoDB URI are many.
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.netloc)


def _without_user(given: str) -> str:
    """What was given, without what may be a password in it, also where it is no URL."""
    _, user, rest = given.rpartition("@")
    return f"…@{rest}" if user else given


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(GraphQLChoices):
    """The settings of an installation, checked. Made by `load`; what each is for stands in `SETTINGS`."""

    host: str
    port: int
    data: Path
    mongodb: str | None
    driver: str
    media: str | None
    media_options: Path | None
    allowed_hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    delivery_places: tuple[str, ...]
    public_url: str | None
    peer_url: str | None
    media_url_ttl: int
    media_presign: bool
    trash_days: int
    max_body: int
    max_streams: int
    audio_workers: int
    renditions_mb: int
    graphiql: bool
    v2_owner_sees_account: bool
    v2_max_rows: int
    key_file: Path | None
    jwks_url: str | None
    jwks_issuer: str | None
    jwks_audience: str | None
    shutdown_timeout: int
    log_format: str
    log_level: str
    demo: bool

    @property
    def address(self) -> str:
        """Where clients find the service: the public URL, without a slash at its end."""
        host = _EVERYWHERE.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")


SETTINGS: Final = (
    Setting("host", str, "127.0.0.1", "The address to listen on."),
    Setting("port", int, 8000, "The port to listen on.", minimum=1, maximum=65_535),
    Setting(
        "data",
        Path,
        Path("data"),
        "The folder of this server: its key, its SQLite file, its spool and, by default, the audio. "
        "A local disk; each server has one of its own.",
    ),
    Setting(
        "mongodb",
        str,
        None,
        "Keep metadata in this MongoDB (the path names the database) in place of the SQLite file.",
        schemes=("mongodb", "mongodb+srv"),
    ),
    Setting("driver", str, "pymongo", "The MongoDB driver.", choices=("pymongo", "motor")),
    Setting(
        "media",
        str,
        None,
        "Keep audio at this fsspec URL, such as s3://bucket/folder, in place of the data folder.",
    ),
    Setting(
        "media_options",
        Path,
        None,
        "A private JSON file with the options of stores (endpoints, credentials) by the beginnings of their URLs, the "
        'longest counts: `{"s3://audio/": {"endpoint_url": …, "key": …, "secret": …}}`. Deliveries use them, too.',
    ),
    Setting(
        "allowed_hosts",
        tuple,
        ("*",),
        "The hosts that recordings are delivered to and that audio is fetched from over HTTP: names, "
        "`*.example.org` for a whole domain, addresses, or `*` for any.",
    ),
    Setting(
        "private_hosts",
        tuple,
        (),
        "What of them may be reached although it is not on the public Internet: names, addresses, and networks such as "
        "10.1.0.0/16. Nothing is, by default.",
    ),
    Setting(
        "delivery_places",
        tuple,
        ("http", "https"),
        "What the `url` of a recording may begin with: a scheme, or more of a URL, such as s3://drops/in/. There are "
        "http, https, ftp, ftps, sftp (with its extra), held to the allowed and private hosts as audio over HTTP is; "
        "buckets (s3, gs, az), at the installation's own endpoint and with its own credentials; and others whose "
        "fsspec package is installed, where the host is written here, as in smb://files.example.org/.",
    ),
    Setting(
        "public_url",
        str,
        None,
        "Where clients find the service, if not at the host and port it listens on. Signed media URLs begin with it, "
        "and without it with the address that a request came to.",
        schemes=("http", "https"),
        base=True,
    ),
    Setting(
        "peer_url",
        str,
        None,
        "Where the other servers on the same MongoDB reach this one, such as http://10.0.0.5:8000, to have it record "
        "calls whose audio comes in here. Without it, only this server itself can record those.",
        schemes=("http", "https"),
        base=True,
    ),
    Setting("media_url_ttl", int, 3_600, "Seconds that a signed media URL holds.", minimum=10, maximum=604_800),
    Setting(
        "media_presign",
        bool,
        default=False,
        description="Give out the S3 store's own signed URLs, so that audio does not pass through the service. Such a "
        "URL plays until it expires, also if the recording is deleted, and nobody writes down who listens by it.",
    ),
    Setting("trash_days", int, 30, "Days that a deleted recording can be restored.", minimum=0, maximum=3_650),
    Setting("max_body", int, 512, "The largest file that a switch may send, in MiB.", minimum=1, maximum=65_536),
    Setting("max_streams", int, 250, "The most live calls that this server takes in.", minimum=1, maximum=100_000),
    Setting("audio_workers", int, 2, "Processes that decode and convert audio.", minimum=1, maximum=256),
    Setting(
        "renditions_mb",
        int,
        1_024,
        "The most room, in MiB, for recordings in other formats than they are stored in, and for waveforms. They are "
        "made when asked for, and kept for a day at most.",
        minimum=16,
        maximum=1_048_576,
    ),
    Setting("graphiql", bool, default=True, description="Serve GraphiQL, the query editor, at /graphql."),
    *(
        Setting(graphql_choices.PREFIX + name, int, default, description, minimum=min(default, 1), maximum=maximum)
        for name, default, description, maximum in graphql_choices.NUMBERS
    ),
    Setting(
        "graphql_trusted",
        Path,
        None,
        "Documents that can be named by their ids (persisted documents): a JSON file that Relay's compiler, "
        "graphql-codegen or Apollo's manifest generator wrote, or a folder of such files and of *.graphql files.",
    ),
    *(
        Setting(graphql_choices.PREFIX + name, bool, default, description)
        for name, default, description in graphql_choices.FLAGS
    ),
    Setting(
        "graphql_introspection",
        str,
        "read",
        "The scope that it takes to read the schema by introspection.",
        choices=graphql_choices.READERS,
    ),
    Setting(
        "v2_owner_sees_account",
        bool,
        default=False,
        description="Let a token with an owner read all recordings of its account by the v2 paths, as Kazoo does.",
    ),
    Setting(
        "v2_max_rows",
        int,
        250_000,
        "The most recordings that one v2 listing without paging may have.",
        minimum=1,
        maximum=100_000_000,
    ),
    Setting(
        "key_file",
        Path,
        None,
        "The installation's secret key; made at the first start if it is not there. `secret.key` in the data folder "
        "by default. Servers that share a MongoDB need the same one.",
    ),
    Setting(
        "jwks_url",
        str,
        None,
        "Also accept the tokens of an issuer that publishes its keys here; http:// on this machine alone.",
        schemes=("https", "http"),
    ),
    Setting("jwks_issuer", str, None, "The `iss` of that issuer's tokens; needed with a JWKS URL."),
    Setting("jwks_audience", str, None, "The `aud` of that issuer's tokens; needed with a JWKS URL."),
    Setting(
        "shutdown_timeout",
        int,
        10,
        "Seconds that requests get to finish when the server is told to stop; open takes then get as many again.",
        minimum=1,
        maximum=600,
    ),
    Setting(
        "log_format",
        str,
        "auto",
        "How log lines look; auto is console on a terminal and json elsewhere.",
        choices=("auto", "console", "json"),
    ),
    Setting("log_level", str, "info", "The least level that is logged.", choices=("debug", "info", "warning", "error")),
    Setting(
        "demo",
        bool,
        default=False,
        description="Make a demo account with recordings that play, and print how to try it.",
    ),
)

BY_NAME: Final[Mapping[str, Setting]] = {setting.name: setting for setting in SETTINGS}


def environment_names() -> tuple[str, ...]:
    """The name of every environment variable that is read."""
    return tuple(setting.environment for setting in SETTINGS)


def unknown_names(environment: Iterable[str]) -> tuple[str, ...]:
    """The variables that look like settings and are none: one of them may be a setting that is written wrongly."""
    return tuple(sorted(name for name in environment if name.startswith(PREFIX) and name not in environment_names()))


def load(environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
    """The settings from the environment and, above it, from options by setting name.

    Raises:
        WrongSettingError: a value cannot be used.
    """
    texts = {setting.name: environment.get(setting.environment, "") for setting in SETTINGS}
    texts |= {name: text for name, text in (options or {}).items() if text is not None}
    values = {name: BY_NAME[name].parse(text) if text else BY_NAME[name].default for name, text in texts.items()}
    _check_together(values)
    if values["graphql_only_trusted"] and values["graphql_trusted"] is None:
        raise WrongSettingError(BY_NAME["graphql_trusted"], "", needing="--graphql-only-trusted")
    return Settings(**values)


def _check_together(values: Mapping[str, Any]) -> None:
    # The peers of a server are those that share its MongoDB.
    if values["peer_url"] is not None and values["mongodb"] is None:
        raise WrongSettingError(BY_NAME["mongodb"], "", needing="--peer-url")
    url = values["jwks_url"]
    if url is None:
        return
    # Whoever sits between could publish keys of his own.
    if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in _LOOPBACK:
        allowed = "a URL that begins with https://, or with http:// and the name of this very machine, localhost"
        raise WrongSettingError(BY_NAME["jwks_url"], url, allowed=allowed)
    for name in ("jwks_issuer", "jwks_audience"):
        if not values[name]:
            raise WrongSettingError(BY_NAME[name], "", needing="--jwks-url")


def as_markdown(settings: Iterable[Setting] = SETTINGS) -> str:
    """The table of docs/settings.md."""
    rows = [
        f"| `{setting.option}` | `{setting.environment}` | {_shown_default(setting)} | "
        f"{setting.description}{_shown_allowed(setting)} |"
        for setting in settings
    ]
    return "\n".join(["| option | environment | default | what it does |", "|---|---|---|---|", *rows])


def _shown_default(setting: Setting) -> str:
    if setting.default is None:
        return "–"
    if isinstance(setting.default, bool):
        return "on" if setting.default else "off"
    if isinstance(setting.default, tuple):
        return f"`{','.join(setting.default)}`" if setting.default else "–"
    return f"`{setting.default}`"


def _shown_allowed(setting: Setting) -> str:
    plain = setting.type in {str, Path} and not setting.choices and not setting.schemes
    return "" if plain else f" {setting.allowed[0].upper()}{setting.allowed[1:]}."
