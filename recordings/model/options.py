"""The documented parameters of a recording: types, defaults, bounds, and what each does.

The table is the one source: validation, the descriptions in every front and the tests read it. The words and defaults
are the documented API's; the bounds are those of contract section 6.2 (decisions D2 to D8).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from recordings.model.errors import InvalidInput, Problem, problem

SAMPLE_RATES: Final = (8_000, 16_000, 24_000, 32_000, 48_000)
"""Hz; every one can be stored as WAV and as MP3."""
FORMATS: Final = ("mp3", "wav")
METHODS: Final = ("put", "post")
DEFAULT_TIME_LIMIT: Final = 3_600
MAX_TIME_LIMIT: Final = 10_800
MAX_NAME: Final = 255
MAX_URL: Final = 2_048
WEB: Final = ("http://", "https://")
"""What a `url` may begin with, unless `InstallationPolicy.places` says otherwise."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One documented parameter. `minimum` and `maximum` bound an integer; `max_length` counts a text's characters."""

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
    """Whether it is kept with the recording; the others steer the request alone."""

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.type is bool:
            return "true or false"
        if self.type is int:
            return f"an integer from {self.minimum} to {self.maximum}"
        return f"a text of 1 to {self.max_length} characters without control characters"

    def check(self, value: Any, path: Sequence[str]) -> Problem | None:
        """What is wrong with a value, or `None`."""
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
            "Whether to start or stop the recording.",
            default="start",
            choices=("start", "stop"),
            option=False,
        ),
        Parameter("format", str, "The format in which the recording is stored.", choices=FORMATS),
        Parameter(
            "label", str, "Label of the recording: it can be searched, and is shown in its origin.", max_length=128
        ),
        Parameter(
            "media_name",
            str,
            "The recording's name for display and download. A name and never a path: where audio is kept is made of "
            "ids alone.",
            max_length=MAX_NAME,
        ),
        Parameter("method", str, "HTTP method that sends the recording to `url`.", default="put", choices=METHODS),
        Parameter("origin", str, "How the recording was started.", max_length=MAX_URL, read_only=True, option=False),
        Parameter(
            "record_min_sec",
            int,
            "The least length, in seconds, of the decoded audio; a shorter recording is discarded.",
            default=0,
            minimum=0,
            maximum=2**31 - 1,
        ),
        Parameter("record_on_answer", bool, "Whether to wait until the call is answered.", default=False),
        Parameter(
            "record_on_bridge",
            bool,
            "Whether to wait until the call is bridged; `record_on_answer` wins over it.",
            default=False,
        ),
        Parameter(
            "record_sample_rate",
            int,
            "Sampling rate of the stored audio in Hz; the call's own when absent.",
            choices=SAMPLE_RATES,
        ),
        Parameter(
            "should_follow_transfer",
            bool,
            "Whether the recording goes on after a transfer of the active leg.",
            default=True,
        ),
        Parameter(
            "skip_module", bool, "Part of a callflow only: taken, and without effect here.", default=False, option=False
        ),
        Parameter(
            "time_limit",
            int,
            "The most seconds that are recorded, by this service's own clock.",
            default=DEFAULT_TIME_LIMIT,
            minimum=5,
            maximum=MAX_TIME_LIMIT,
        ),
        Parameter(
            "url",
            str,
            "Where to send the stored recording: an http or https URL, or another that the installation delivers to.",
            max_length=MAX_URL,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """The documented parameters that are kept with a recording, checked. Made by `parse_options`."""

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


def parse_options(given: Mapping[str, Any], path: Sequence[str] = (), places: Sequence[str] = WEB) -> RecordingOptions:
    """Check the documented parameters and give those that a recording keeps.

    `None` stands for "not given". Values are not cast: a front that takes text casts it first. `places` are what a
    `url` may begin with: what could never be delivered is refused before anything is recorded.

    Raises:
        InvalidInput: a value is out of bounds, of a wrong type, read-only or unknown; every such value is named.
    """
    values = {name: value for name, value in given.items() if value is not None}
    problems = [found for name, value in values.items() if (found := _check(name, value, (*path, name), places))]
    if problems:
        raise InvalidInput(problems)
    return RecordingOptions(**{name: value for name, value in values.items() if PARAMETERS[name].option})


def _check(name: str, value: Any, path: Sequence[str], places: Sequence[str]) -> Problem | None:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        return problem(path, "additionalProperties", value, "one of the documented parameters")
    if parameter.read_only:
        return problem(path, "readOnly", value, "left out: it is read-only")
    return parameter.check(value, path) or _check_meaning(name, value, path, places)


def _check_meaning(name: str, value: Any, path: Sequence[str], places: Sequence[str]) -> Problem | None:
    if name == "media_name" and not is_plain_name(value):
        return problem(path, "pattern", value, "a name without / or \\, and neither . nor ..")
    if name == "url" and not _is_url(value, places):
        return problem(path, "pattern", value, f"an absolute URL with a host, beginning with {' or '.join(places)}")
    return None


def is_plain_name(text: str) -> bool:
    """Whether a text is a file's name and cannot be read as a path on any system."""
    return text not in {".", ".."} and not any(character in text for character in "/\\")


def is_http_url(text: str) -> bool:
    """Whether a text is an absolute http(s) URL with a host."""
    return _is_url(text, WEB)


def _is_url(text: str, places: Sequence[str]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    _, _, rest = text.partition(":")
    return is_in(f"{parts.scheme}:{rest}", places) and bool(parts.hostname) and " " not in text


def is_in(url: str, places: Sequence[str]) -> bool:
    """Whether a URL is one of some places or lies in one: `s3://drops-of-others/` does not lie in `s3://drops`."""
    return any(url.startswith(place) and _is_whole(place, url.removeprefix(place)) for place in places)


def _is_whole(place: str, rest: str) -> bool:
    return not rest or place[-1] in "/=" or rest[0] in "/?#&"
