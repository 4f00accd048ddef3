"""The requests of ARI that this service sends, and the names that it gives on a switch. No I/O.

A snoop channel and the recording on it have the same name, made of the id of the recording. So a repeated start finds
them, and so does another process.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from adapters.recorders.asterisk.ari_messages import EventType

LEFT: Final = "left"
RIGHT: Final = "right"
MIXED: Final = "mixed"
_NAME: Final = re.compile(r"rec-([0-9]{6}-[0-9a-f]{32})-([1-9])-(left|right|mixed)")
_SNOOP: Final = re.compile(r"Snoop/(.+)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class AriRequest:
    """A request: the method, the path below `/ari`, the query, and the body in JSON."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


def side_name(recording_id: str, part: int, track: str) -> str:
    """Return the name of the snoop and of the recording of one side, from part 1 on."""
    return f"rec-{recording_id}-{part}-{track}"


def read_side_name(name: str) -> tuple[str, int, str] | None:
    """Return the id of the recording, the part and the track of a name; `None` if it is not ours."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], int(match[2]), match[3])


def snooped_channel(name: str) -> str | None:
    """Return the id of the channel that a snoop channel listens to, by the name of the snoop channel."""
    match = _SNOOP.fullmatch(name)
    return None if match is None else match[1]


def list_channels() -> AriRequest:
    """List all channels."""
    return AriRequest("GET", "/channels")


def list_bridges() -> AriRequest:
    """List all bridges."""
    return AriRequest("GET", "/bridges")


def show_channel(channel: str) -> AriRequest:
    """Show a channel."""
    return AriRequest("GET", f"/channels/{_part(channel)}")


def show_status() -> AriRequest:
    """Show when Asterisk started."""
    return AriRequest("GET", "/asterisk/info", {"only": "status"})


def subscribe(application: str) -> AriRequest:
    """Send the events of all channels and bridges to an application, until its WebSocket is closed."""
    return AriRequest("POST", f"/applications/{_part(application)}/subscription", {"eventSource": "channel:,bridge:"})


def filter_events(application: str) -> AriRequest:
    """Send only the needed types of events to an application."""
    allowed = [{"type": each.value} for each in EventType]
    return AriRequest("PUT", f"/applications/{_part(application)}/eventFilter", body={"allowed": allowed})


def send_user_event(application: str, name: str) -> AriRequest:
    """Send an event to an application. It follows all earlier events."""
    return AriRequest("POST", f"/events/user/{_part(name)}", {"application": application})


def snoop(channel: str, name: str, spy: str, application: str) -> AriRequest:
    """Make a snoop channel. The response 200 proves nothing; `StasisStart` does."""
    query = {"spy": spy, "app": application, "snoopId": name}
    return AriRequest("POST", f"/channels/{_part(channel)}/snoop", query)


def read_format(name: str) -> AriRequest:
    """Read the format of the audio of a snoop channel."""
    return AriRequest("GET", f"/channels/{_part(name)}/variable", {"variable": "CHANNEL(audioreadformat)"})


def record(name: str, format: str, seconds: int) -> AriRequest:
    """Record a snoop channel, at most for some seconds."""
    query = {
        "name": name,
        "format": format,
        "maxDurationSeconds": str(seconds),
        "maxSilenceSeconds": "0",
        "ifExists": "fail",
        "beep": "false",
        "terminateOn": "none",
    }
    return AriRequest("POST", f"/channels/{_part(name)}/record", query)


def show_recording(name: str) -> AriRequest:
    """Show a recording in progress. The response is 404 after its end."""
    return AriRequest("GET", f"/recordings/live/{_part(name)}")


def stop_recording(name: str) -> AriRequest:
    """End a recording. Its snoop channel stays."""
    return AriRequest("POST", f"/recordings/live/{_part(name)}/stop")


def cancel_recording(name: str) -> AriRequest:
    """End a recording, and delete its file."""
    return AriRequest("DELETE", f"/recordings/live/{_part(name)}")


def set_pause(name: str, *, on: bool) -> AriRequest:
    """Begin or end a pause. There is no event for it."""
    return AriRequest("POST" if on else "DELETE", f"/recordings/live/{_part(name)}/pause")


def set_mute(name: str, *, on: bool) -> AriRequest:
    """Record silence, or the audio again. There is no event for it."""
    return AriRequest("POST" if on else "DELETE", f"/recordings/live/{_part(name)}/mute")


def hang_up(name: str) -> AriRequest:
    """Hang up a channel."""
    return AriRequest("DELETE", f"/channels/{_part(name)}")


def show_file(name: str) -> AriRequest:
    """Show the description of a recorded file."""
    return AriRequest("GET", f"/recordings/stored/{_part(name)}")


def get_file(name: str) -> AriRequest:
    """Get a recorded file. Asterisk ignores `Range`."""
    return AriRequest("GET", f"/recordings/stored/{_part(name)}/file")


def delete_file(name: str) -> AriRequest:
    """Delete a recorded file. The response is 404 if there is none."""
    return AriRequest("DELETE", f"/recordings/stored/{_part(name)}")


def _part(text: str) -> str:
    return quote(text, safe="")
