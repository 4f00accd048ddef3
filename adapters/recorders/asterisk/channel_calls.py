"""Makes the calls of this service of the channels of an Asterisk. No I/O."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from adapters.recorders.asterisk.ari_messages import Channel, time_of
from adapters.recorders.dialects.call_parties import clean, make_call
from adapters.recorders.dialects.policy_parameters import POLICY_PARAMETERS
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.recording import Direction

LINKED_ID: Final = "CHANNEL(linkedid)"
"""The variable with the id that all legs of a call share."""
_KNOWN: Final = frozenset({"owner_id", "endpoint_id", "interaction_id", "cdr_id", *POLICY_PARAMETERS})
"""The variables in `channelvars` of ari.conf that become fields of the call."""
_NOT_LEGS: Final = (
    "Announcer/", "AudioSocket/", "Bridge/", "CBAnn/", "CBRec/", "MulticastRTP/", "Message/", "Recorder/", "Snoop/",
    "Surrogate/", "UnicastRTP/", "WebSocket/",
)  # fmt: skip
"""The beginnings of the names of channels that are no leg of a call: Asterisk and its applications make them."""
_RINGING_IN: Final = "Ring"


def is_leg(channel: Channel) -> bool:
    """Return true if a channel is a leg of a call. A pair of Local channels is one leg: its first half."""
    return not channel.name.startswith(_NOT_LEGS) and not (
        channel.name.startswith("Local/") and channel.name.endswith(";2")
    )


def is_answered(channel: Channel) -> bool:
    """Return true if a channel is answered."""
    return channel.state == "Up"


def call_of(channel: Channel, url: SwitchUrl, now: Millis) -> Call | None:
    """Return the call of a channel; `None` if none of the switch's accounts has it.

    With several accounts, the channel states its account in `tenantid` or `accountcode`.
    """
    stated = None if len(url.accounts) == 1 else channel.tenantid or channel.accountcode or None
    account_id = url.account_of(stated)
    if account_id is None:
        return None
    # A policy recognizes a repeated start by this time, so it stays the same after a restart of this service.
    created = time_of(channel.creationtime)
    fields = _fields(channel)
    others = {key: value for key, value in channel.channelvars.items() if key not in _KNOWN and key != LINKED_ID}
    return make_call(
        fields,
        account_id=account_id,
        call_id=channel.id,
        started=now if created is None else min(created, now),
        others={"asterisk_channel": channel.name, **others},
    )


def updated(call: Call, channel: Channel, url: SwitchUrl) -> Call:
    """Return a known call with the parties and variables that its channel has now. Its direction stays."""
    latest = call_of(channel, url, call.started)
    if latest is None or call.direction is None:
        return call
    fields = _parties(channel, call.direction)
    return replace(
        latest,
        account_id=call.account_id,
        started=call.started,
        recorder=call.recorder,
        direction=call.direction,
        from_=fields.get("from") or call.from_,
        to=fields.get("to") or call.to,
        caller_id_name=fields.get("caller_id_name") or call.caller_id_name,
        caller_id_number=fields.get("caller_id_number") or call.caller_id_number,
        callee_id_name=fields.get("callee_id_name") or call.callee_id_name,
        callee_id_number=fields.get("callee_id_number") or call.callee_id_number,
    )


def _fields(channel: Channel) -> Mapping[str, str]:
    direction = _direction(channel)
    variables = {name: text for name in _KNOWN if (text := clean(channel.channelvars.get(name)))}
    linked = clean(channel.channelvars.get(LINKED_ID))
    shared = {"interaction_id": linked} if linked else {}
    return {**shared, **_parties(channel, direction), "direction": direction.value, **variables}


def _direction(channel: Channel) -> Direction:
    """Return whether the party called Asterisk, or Asterisk called the party: `AppDial` is an outgoing channel."""
    dialled = channel.dialplan.app_name.startswith("AppDial") or channel.state in {"Down", "Dialing", "Ringing"}
    return Direction.OUTBOUND if dialled and channel.state != _RINGING_IN else Direction.INBOUND


def _parties(channel: Channel, direction: Direction) -> dict[str, str]:
    """Return the parties. `caller` is the channel's own party, and `connected` the other one, in both directions."""
    own, other = channel.caller, channel.connected
    dialled = clean(channel.dialplan.exten) or ""
    caller, callee = (own, other) if direction is Direction.INBOUND else (other, own)
    number = clean(callee.number) or ("" if dialled == "s" else dialled)
    found = {
        "from": clean(caller.number),
        "to": number,
        "caller_id_name": clean(caller.name),
        "caller_id_number": clean(caller.number),
        "callee_id_name": clean(callee.name),
        "callee_id_number": number,
    }
    return {name: text for name, text in found.items() if text}
