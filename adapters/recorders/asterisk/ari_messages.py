"""The messages of ARI that this service reads: events, channels, bridges and recordings. No I/O.

Fields that are not needed are left out. Source: `rest-api/api-docs/` of Asterisk 23.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from recordings.model.instants import Millis


class EventType(StrEnum):
    """The events that this service needs. It asks Asterisk to send no others."""

    APPLICATION_REPLACED = "ApplicationReplaced"
    ATTENDED_TRANSFER = "BridgeAttendedTransfer"
    BLIND_TRANSFER = "BridgeBlindTransfer"
    CALLER_ID = "ChannelCallerId"
    CONNECTED_LINE = "ChannelConnectedLine"
    CREATED = "ChannelCreated"
    DESTROYED = "ChannelDestroyed"
    ENTERED_BRIDGE = "ChannelEnteredBridge"
    LEFT_BRIDGE = "ChannelLeftBridge"
    RECORDING_FAILED = "RecordingFailed"
    RECORDING_FINISHED = "RecordingFinished"
    RECORDING_STARTED = "RecordingStarted"
    STASIS_END = "StasisEnd"
    STASIS_START = "StasisStart"
    STATE_CHANGE = "ChannelStateChange"
    USER_EVENT = "ChannelUserevent"


class Party(msgspec.Struct, frozen=True):
    """A party of a channel: the channel's own, or the other one."""

    name: str = ""
    number: str = ""


class Dialplan(msgspec.Struct, frozen=True):
    """The place of a channel in the dialplan."""

    exten: str = ""
    app_name: str = ""
    app_data: str = ""


class Channel(msgspec.Struct, frozen=True):
    """A channel. `channelvars` has the variables that `channelvars` of ari.conf names."""

    id: str
    name: str = ""
    state: str = ""
    caller: Party = Party()
    connected: Party = Party()
    accountcode: str = ""
    tenantid: str = ""
    dialplan: Dialplan = Dialplan()
    creationtime: str = ""
    channelvars: dict[str, str] = {}


class Bridge(msgspec.Struct, frozen=True):
    """A bridge, and the ids of the channels in it."""

    bridge_type: str = ""
    channels: list[str] = []

    @property
    def connected(self) -> frozenset[str]:
        """The channels that this bridge connects with each other."""
        connects = len(self.channels) > 1 and self.bridge_type != "holding"
        return frozenset(self.channels) if connects else frozenset()


class LiveRecording(msgspec.Struct, frozen=True):
    """A recording. Asterisk states its duration in whole seconds, so it is not used."""

    name: str
    state: str = ""
    cause: str = ""


class AriEvent(msgspec.Struct, frozen=True):
    """An event. Each type has some of the fields."""

    type: EventType
    timestamp: str = ""
    application: str = ""
    channel: Channel | None = None
    bridge: Bridge | None = None
    recording: LiveRecording | None = None
    result: str = ""
    transferee: Channel | None = None
    transferer_first_leg: Channel | None = None
    transferer_second_leg: Channel | None = None
    transfer_target: Channel | None = None
    eventname: str = ""


class _Kind(msgspec.Struct, frozen=True):
    type: str = ""


class _Variable(msgspec.Struct, frozen=True):
    value: str = ""


class _Status(msgspec.Struct, frozen=True):
    startup_time: str = ""


class _Info(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class AriError(ValueError):
    """A message does not follow the description of ARI."""


_KNOWN: Final = frozenset(EventType)
_kinds: Final = msgspec.json.Decoder(_Kind)
_events: Final = msgspec.json.Decoder(AriEvent)
_channel: Final = msgspec.json.Decoder(Channel)
_channels: Final = msgspec.json.Decoder(list[Channel])
_bridges: Final = msgspec.json.Decoder(list[Bridge])
_variables: Final = msgspec.json.Decoder(_Variable)
_infos: Final = msgspec.json.Decoder(_Info)


def read_event(message: bytes | str) -> AriEvent | None:
    """Return an event; `None` if its type is not needed. Raises `AriError`."""
    # Most events are not needed on a busy switch, so the type is read first.
    if _decode(_kinds, message).type not in _KNOWN:
        return None
    event: AriEvent = _decode(_events, message)
    return event


def read_channel(body: bytes) -> Channel:
    """Return the channel of `GET /channels/{id}`. Raises `AriError`."""
    channel: Channel = _decode(_channel, body)
    return channel


def read_channels(body: bytes) -> list[Channel]:
    """Return the channels of `GET /channels`. Raises `AriError`."""
    channels: list[Channel] = _decode(_channels, body)
    return channels


def read_bridges(body: bytes) -> list[Bridge]:
    """Return the bridges of `GET /bridges`. Raises `AriError`."""
    bridges: list[Bridge] = _decode(_bridges, body)
    return bridges


def read_variable(body: bytes) -> str:
    """Return the value of a channel variable. Raises `AriError`."""
    variable: _Variable = _decode(_variables, body)
    return variable.value


def read_startup_time(body: bytes) -> Millis | None:
    """Return when Asterisk started, by its own clock; `None` if it does not say. Raises `AriError`."""
    info: _Info = _decode(_infos, body)
    return time_of(info.status.startup_time)


def time_of(text: str) -> Millis | None:
    """Return a time of ARI, such as `2026-11-22T06:46:43.099+0000`; `None` if it is missing or invalid."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None
    return int(moment.astimezone(UTC).timestamp() * 1_000)


def _decode(decoder: "msgspec.json.Decoder[Any]", message: bytes | str) -> Any:
    try:
        return decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise AriError(f"not a message of ARI: {error}") from error
