"""The messages of ARI: captured ones are read, and no bytes raise anything but `AriError`."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.recorders.asterisk import ari_requests
from adapters.recorders.asterisk.ari_messages import (
    AriError,
    EventType,
    read_bridges,
    read_channel,
    read_channels,
    read_event,
    read_startup_time,
    read_variable,
    time_of,
)
from adapters.recorders.asterisk.ari_requests import read_side_name, side_name, snooped_channel
from adapters.recorders.asterisk.channel_calls import call_of, is_leg, updated
from adapters.recorders.switch_url import parse_switch_url
from recordings.model.call import Network
from recordings.model.recording import Direction

CAPTURED = Path(__file__).parent / "captured" / "ari_transcript.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in CAPTURED.read_text().splitlines()]
A, B = "a" * 32, "b" * 32


def url_of(*accounts: str) -> Any:
    return parse_switch_url("ari://u:p@pbx?name=pbx1" + "".join(f"&account={each}" for each in accounts))


def test_every_captured_event_is_read() -> None:
    events = [line["event"] for line in LINES if line["kind"] == "event"]
    needed = {each.value for each in EventType}
    for event in events:
        found = read_event(json.dumps(event))
        assert (found is not None) == (event["type"] in needed)
        if found is not None and found.channel is not None:
            assert found.channel.id == event["channel"]["id"]
        if found is not None and found.recording is not None:
            assert found.recording.name == event["recording"]["name"]
    assert {"StasisStart", "RecordingStarted", "RecordingFinished"} <= {event["type"] for event in events}


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes | str) -> None:
    body = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    for read in (read_event, read_channel, read_channels, read_bridges, read_variable, read_startup_time):
        with suppress(AriError):
            read(body)


@given(st.data())
def test_a_changed_event_is_read_or_refused(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from([line["event"] for line in LINES if line["kind"] == "event"]))
    body = bytearray(json.dumps(line).encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(AriError):
        read_event(bytes(body))


def test_times() -> None:
    assert time_of("2026-11-22T06:46:43.099+0000") == 1_795_330_003_099
    assert time_of("2026-11-22T08:46:43.099+0200") == 1_795_330_003_099
    assert [time_of(text) for text in ("", "now", "2026-11-22")] == [None] * 3


def test_names_of_snoop_channels() -> None:
    identity = "202611-" + "0" * 32
    assert read_side_name(side_name(identity, 3, "left")) == (identity, 3, "left")
    others = ("rec-1-1-left", f"rec-{identity}-0-left", f"rec-{identity}-1-up", f"x{side_name(identity, 1, 'mixed')}")
    assert [read_side_name(other) for other in others] == [None] * 4
    assert snooped_channel("Snoop/1795329996.0-00000000") == "1795329996.0"
    assert snooped_channel("Snoop/a-b c-0000001f") == "a-b c"
    assert snooped_channel("PJSIP/100-00000000") is None


def test_names_in_paths_are_encoded() -> None:
    assert ari_requests.hang_up("a/b c?").path == "/channels/a%2Fb%20c%3F"
    assert ari_requests.get_file("acct/rec").path == "/recordings/stored/acct%2Frec/file"


def channel(**fields: Any) -> Any:
    body = {"id": "1.0", "name": "PJSIP/100-00000001", "state": "Ring", "creationtime": "2026-11-22T06:46:43.099+0000"}
    return read_channel(json.dumps(body | fields).encode())


def test_the_call_of_a_caller() -> None:
    given = channel(
        caller={"name": "Ada", "number": "100"},
        dialplan={"exten": "200", "app_name": "", "app_data": ""},
        channelvars={"owner_id": "u" * 32, "CHANNEL(linkedid)": "1.0", "network": "offnet", "colour": "red"},
    )
    call = call_of(given, url_of(A), 1_800_000_000_000)
    assert call is not None
    assert (call.account_id, call.call_id, call.started) == (A, "1.0", 1_795_330_003_099)
    assert (call.direction, call.from_, call.to) == (Direction.INBOUND, "100", "200")
    assert (call.caller_id_name, call.callee_id_number) == ("Ada", "200")
    assert (call.owner_id, call.interaction_id) == ("u" * 32, "1.0")
    assert (call.from_network, call.to_network) == (Network.OFFNET, Network.ONNET)
    assert call.custom_channel_vars == {"asterisk_channel": "PJSIP/100-00000001", "colour": "red"}


@pytest.mark.parametrize("app_name", ["AppDial", "AppDial2", ""])
def test_the_call_of_a_callee(app_name: str) -> None:
    """`caller` is the party of the channel, also on a channel that Asterisk dialled."""
    given = channel(
        state="Up" if app_name else "Down",
        caller={"name": "Bob", "number": "200"},
        connected={"name": "Ada", "number": "100"},
        dialplan={"exten": "", "app_name": app_name, "app_data": "(Outgoing Line)"},
    )
    call = call_of(given, url_of(A), 1_800_000_000_000)
    assert call is not None
    assert (call.direction, call.from_, call.to) == (Direction.OUTBOUND, "100", "200")
    assert (call.caller_id_name, call.callee_id_name) == ("Ada", "Bob")


def test_parties_that_become_known_later_are_added() -> None:
    call = call_of(channel(state="Down"), url_of(A), 1_800_000_000_000)
    assert call is not None
    assert (call.from_, call.to, call.direction) == ("", "", Direction.OUTBOUND)
    later = channel(state="Up", caller={"name": "", "number": "200"}, connected={"name": "", "number": "100"})
    found = updated(call, later, url_of(A))
    assert (found.from_, found.to, found.direction) == ("100", "200", Direction.OUTBOUND)
    assert (found.started, found.account_id) == (call.started, A)


def test_the_account_of_a_call() -> None:
    assert call_of(channel(accountcode="sales"), url_of(A), 0) is not None
    several = url_of(A, B)
    stated = [channel(accountcode=B), channel(tenantid=B, accountcode="sales"), channel(accountcode="sales"), channel()]
    found = [call_of(each, several, 0) for each in stated]
    assert [call and call.account_id for call in found] == [B, B, None, None]


def test_channels_that_are_no_legs() -> None:
    legs = ["PJSIP/100-1", "SIP/trunk-1", "Local/100@from-queue-1;1", "DAHDI/1-1", "IAX2/peer-1"]
    others = ["Local/100@from-queue-1;2", "Snoop/1.0-00000000", "UnicastRTP/10.0.0.1:4-1", "AudioSocket/10.0.0.1:4-1"]
    assert [is_leg(channel(name=name)) for name in legs + others] == [True] * 5 + [False] * 4
