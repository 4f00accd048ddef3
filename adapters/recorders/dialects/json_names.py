"""The states of a media stream in JSON messages, and the names in which its dialects differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from adapters.recorders.dialects.loose_json import to_object, to_text
from adapters.recorders.dialects.stream_format import StreamFormat


class State(Enum):
    """The state of a stream."""

    OPENED = auto()
    CONNECTED = auto()
    STARTED = auto()
    STOPPED = auto()
    BROKEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of a dialect's fields, and the format of a stream that names none.

    `call` has the fields of `start` that describe the call, with the parameter that each of them stands for.
    """

    stream_id: str
    call_id: str
    account_id: str
    media_format: str
    sample_rate: str
    parameters: str
    default: StreamFormat
    call: Mapping[str, str]


TRANSITIONS: Final[Mapping[tuple[State, str], State]] = {
    (State.OPENED, "connected"): State.CONNECTED,
    (State.OPENED, "start"): State.STARTED,
    (State.OPENED, "stop"): State.STOPPED,
    (State.CONNECTED, "connected"): State.CONNECTED,
    (State.CONNECTED, "start"): State.STARTED,
    (State.CONNECTED, "stop"): State.STOPPED,
    (State.STARTED, "connected"): State.STARTED,
    (State.STARTED, "start"): State.STARTED,
    (State.STARTED, "media"): State.STARTED,
    (State.STARTED, "mark"): State.STARTED,
    (State.STARTED, "dtmf"): State.STARTED,
    (State.STARTED, "stop"): State.STOPPED,
}
"""The next state for each state and event. Any other event is ignored; after the end of the stream it is an error."""


def custom_parameters(given: Any) -> Mapping[str, str]:
    """Return the custom parameters: of an object, or of a list of objects with `name` and `value`."""
    if isinstance(given, list):
        given = {to_text(item.get("name")): item.get("value") for item in map(to_object, given)}
    return {name: to_text(value) for name, value in to_object(given).items() if name and value is not None}
