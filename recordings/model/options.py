"""The parameters of a recording: types, defaults, limits and descriptions.

`PARAMETERS` is the only source. The validation, the descriptions in all interfaces, and the tests read it. The names
and defaults are those of the v2 API. docs/v2_contract.md, section 6.2 has the limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from recordings.model.errors import InvalidInput, Problem, problem

SAMPLE_RATES: Final = (8_000, 16_000, 24_000, 32_000, 48_000)
"""Sampling rates in Hz that WAV and MP3 both support."""
FORMATS: Final = ("mp3", "wav")
METHODS: Final = ("put", "post")
DEFAULT_TIME_LIMIT: Final = 3_600
MIN_TIME_LIMIT: Final = 5
MAX_TIME_LIMIT: Final = 10_800
MAX_NAME: Final = 255
MAX_URL: Final = 2_048
WEB: Final = ("http://", "https://")
"""Allowed beginnings of a `url`, unless `InstallationPolicy.url_prefixes` has others."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `minimum` and `maximum` limit an integer; `max_length` limits a text, in characters."""

    name: str
    type: type[bool] | type[int] | type[str]
    description: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    read_only: bool = False
    option: bool = True
    """True if it is stored with the recording. Other parameters apply to the request only."""

    @property
    def allowed(self) -> str:
        """Return the allowed values as text."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.type is bool:
            return "true or false"
        if self.type is int:
            return f"an integer from {self.minimum} to {self.maximum}"
        return f"a text of 1 to {self.max_length} characters without control characters"

    def check(self, value: Any, path: Sequence[str]) -> Problem | None:
        """Return the problem of a value, or `None` if it is valid."""
        rule = self._broken_rule(value)
        return problem(path, rule, value, self.allowed) if rule else None

    def _broken_rule(self, value: Any) -> str | None:
        if type(value) is not self.type:
            return "type"
        if self.choices:
            return None if value in self.choices else "enum"
        if isinstance(value, str):
            return _broken_text_rule(value, self.max_length or MAX_URL)
        return self._broken_bound(value)

    def _broken_bound(self, value: int) -> str | None:
        if self.minimum is not None and value < self.minimum:
            return "minimum"
        return "maximum" if self.maximum is not None and value > self.maximum else None


def _broken_text_rule(value: str, max_length: int) -> str | None:
    if not value:
        return "minLength"
    if len(value) > max_length:
        return "maxLength"
    return None if value.isprintable() else "pattern"


PARAMETERS: Final[Mapping[str, Parameter]] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "action",
            str,
            "Starts or stops the recording.",
            default="start",
            choices=("start", "stop"),
            option=False,
        ),
        Parameter("format", str, "File format of the stored recording.", choices=FORMATS),
        Parameter(
            "label", str, "Label of the recording. Recordings can be found by it; the origin shows it.", max_length=128
        ),
        Parameter(
            "media_name",
            str,
            "Name of the recording for display and download. It must not be a path; it does not affect where the "
            "audio is stored.",
            max_length=MAX_NAME,
        ),
        Parameter("method", str, "HTTP method for sending the recording to `url`.", default="put", choices=METHODS),
        Parameter(
            "origin",
            str,
            "How the recording was started, for example `inbound from 1001 to 1002 : Sales`.",
            max_length=MAX_URL,
            read_only=True,
            option=False,
        ),
        Parameter(
            "record_min_sec",
            int,
            "Minimum duration of the decoded audio in seconds. A shorter recording is discarded.",
            default=0,
            minimum=0,
            maximum=2**31 - 1,
        ),
        Parameter("record_on_answer", bool, "Waits until the call is answered.", default=False),
        Parameter(
            "record_on_bridge",
            bool,
            "Waits until the call is bridged: connected to the other party. `record_on_answer` takes precedence.",
            default=False,
        ),
        Parameter(
            "record_sample_rate",
            int,
            "Sampling rate of the stored audio in Hz. Default: the rate of the call.",
            choices=SAMPLE_RATES,
        ),
        Parameter(
            "should_follow_transfer",
            bool,
            "Continues the recording after the active leg of the call is transferred.",
            default=True,
        ),
        Parameter(
            "skip_module",
            bool,
            "Skips the action, as a callflow does: nothing is recorded.",
            default=False,
            option=False,
        ),
        Parameter(
            "time_limit",
            int,
            "Maximum duration in seconds, measured by this service's clock.",
            default=DEFAULT_TIME_LIMIT,
            minimum=MIN_TIME_LIMIT,
            maximum=MAX_TIME_LIMIT,
        ),
        Parameter(
            "url",
            str,
            "URL to send the stored recording to: an http or https URL, or another URL that the installation allows.",
            max_length=MAX_URL,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """The valid parameters that are stored with a recording. `parse_options` creates them."""

    format: str | None = None
    label: str | None = None
    media_name: str | None = None
    method: str = "put"
    record_min_sec: int = 0
    record_on_answer: bool = False
    record_on_bridge: bool = False
    record_sample_rate: int | None = None
    should_follow_transfer: bool = True
    time_limit: int = DEFAULT_TIME_LIMIT
    url: str | None = None


def parse_options(
    parameters: Mapping[str, Any], path: Sequence[str] = (), url_prefixes: Sequence[str] = WEB
) -> RecordingOptions:
    """Check parameters and return the ones that are stored with the recording.

    A `None` value counts as missing. Values are not converted; an interface that receives text converts it first.
    `url_prefixes` are the allowed beginnings of a `url`. So a recording that can never be delivered is refused at the
    start.

    Raises:
        InvalidInput: values are not allowed, have a wrong type, or belong to read-only or unknown parameters. The error
            has all of them.
    """
    values = {name: value for name, value in parameters.items() if value is not None}
    problems = [
        found for name, value in values.items() if (found := check_option(name, value, (*path, name), url_prefixes))
    ]
    if problems:
        raise InvalidInput(problems)
    return RecordingOptions(**{name: value for name, value in values.items() if PARAMETERS[name].option})


def check_option(name: str, value: Any, path: Sequence[str], url_prefixes: Sequence[str] = WEB) -> Problem | None:
    """Return the problem of one parameter, or `None` if its value is valid."""
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return problem(path, "additionalProperties", value, "one of the documented parameters")
    if parameter.read_only:
        return problem(path, "readOnly", value, "left out: it is read-only")
    return parameter.check(value, path) or _check_meaning(name, value, path, url_prefixes)


def _check_meaning(name: str, value: Any, path: Sequence[str], url_prefixes: Sequence[str]) -> Problem | None:
    if name == "media_name" and not is_plain_name(value):
        return problem(path, "pattern", value, "a name without / or \\, and neither . nor ..")
    if name == "url" and not _is_url(value, url_prefixes):
        return problem(
            path, "pattern", value, f"an absolute URL with a host, beginning with {' or '.join(url_prefixes)}"
        )
    return None


def nearest_sample_rate(hertz: int) -> int:
    """Return the possible sampling rate that is nearest to a given one; the higher of two."""
    return min(SAMPLE_RATES, key=lambda rate: (abs(rate - hertz), -rate))


def is_plain_name(text: str) -> bool:
    """Return true if a text is a file name that no operating system reads as a path."""
    return text not in {".", ".."} and not any(character in text for character in "/\\")


def is_http_url(text: str) -> bool:
    """Return true if a text is an absolute http or https URL with a host."""
    return _is_url(text, WEB)


def _is_url(text: str, url_prefixes: Sequence[str]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    _, _, rest = text.partition(":")
    return is_in(f"{parts.scheme}:{rest}", url_prefixes) and bool(parts.hostname) and " " not in text


def is_in(url: str, url_prefixes: Sequence[str]) -> bool:
    """Return true if a URL is below one of the prefixes. `s3://drops-of-others/` is not below `s3://drops`."""
    return any(url.startswith(prefix) and _is_whole(prefix, url.removeprefix(prefix)) for prefix in url_prefixes)


def _is_whole(prefix: str, rest: str) -> bool:
    return not rest or prefix[-1] in "/=" or rest[0] in "/?#&"
