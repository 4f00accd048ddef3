"""The parameters of a start, read as Kazoo 4.3 reads them (`docs/v2_contract.md`, section 6.2), with no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from adapters.rest_v2.listing.list_filters import integer
from recordings.model.errors import InvalidInput
from recordings.model.options import (
    DEFAULT_TIME_LIMIT,
    MAX_TIME_LIMIT,
    PARAMETERS,
    RecordingOptions,
    nearest_sample_rate,
    parse_options,
)

PATH: Final = ("data",)
ANY_INTEGER: Final[Mapping[str, str]] = {
    "record_min_sec": "A negative value counts as 0.",
    "record_sample_rate": "The nearest possible rate is used.",
    "time_limit": f"A larger value counts as {MAX_TIME_LIMIT}, and 0 or less as {DEFAULT_TIME_LIMIT}.",
}
"""The parameters that can be any integer, and what is done with a value out of range."""
_MAY_BE_EMPTY: Final = ("label", "media_name", "origin")
"""The texts that count as missing if they are empty."""


@dataclass(frozen=True, slots=True)
class Start:
    """The parameters of a start. `origin` is the client's own text about how the recording was started."""

    options: RecordingOptions
    origin: str | None


def read_start(params: Mapping[str, Any], url_prefixes: Sequence[str]) -> Start | None:
    """Return the parameters of a start, or `None` if it must be skipped. Unknown names are ignored.

    `url_prefixes` are the allowed beginnings of a `url`.

    Raises:
        InvalidInput: values have a wrong type or are not allowed. The error has all of them.
    """
    values = {
        name: converted_value(name, value) for name, value in params.items() if name in PARAMETERS and name != "action"
    }
    if values.get("skip_module") is True:
        return None
    values = {name: value for name, value in values.items() if not (name in _MAY_BE_EMPTY and value == "")}
    origin = values.pop("origin", None)
    problem = None if origin is None else PARAMETERS["origin"].check(origin, (*PATH, "origin"))
    integers = {name: values.pop(name) for name in ANY_INTEGER if type(values.get(name)) is int}
    try:
        options = parse_options(values, PATH, url_prefixes)
    except InvalidInput as error:
        raise InvalidInput([*error.problems, *([problem] if problem else [])]) from error
    if problem is not None:
        raise InvalidInput([problem])
    return Start(_with_integers(options, integers), origin)


def _with_integers(options: RecordingOptions, values: Mapping[str, int]) -> RecordingOptions:
    if "record_min_sec" in values:
        limit = PARAMETERS["record_min_sec"].maximum or 0
        options = replace(options, record_min_sec=min(max(0, values["record_min_sec"]), limit))
    if "record_sample_rate" in values:
        options = replace(options, record_sample_rate=nearest_sample_rate(values["record_sample_rate"]))
    if "time_limit" in values:
        limit = values["time_limit"] if values["time_limit"] > 0 else DEFAULT_TIME_LIMIT
        options = replace(options, time_limit=min(limit, MAX_TIME_LIMIT))
    return options


def converted_value(name: str, value: Any) -> Any:
    """Convert a text to the integer or boolean that its parameter needs, if possible.

    v2 accepts such texts (`docs/v2_contract.md`, section 5.3).
    """
    parameter = PARAMETERS.get(name)
    if parameter is None or not isinstance(value, str):
        return value
    if parameter.type is int:
        number = integer(value)
        return value if number is None else number
    return {"true": True, "false": False}.get(value, value) if parameter.type is bool else value
