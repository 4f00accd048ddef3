"""What the start of a media stream says of its call, as a `Call`."""

from typing import Final

from adapters.recorders.dialects.call_parties import channel_vars, clean, direction
from adapters.recorders.dialects.media_streams import StreamStarted
from recordings.model.call import Call
from recordings.model.instants import Millis

_KNOWN: Final = frozenset({
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "direction", "owner_id",
    "interaction_id", "endpoint_id", "call_id",
})  # fmt: skip


def call_of(started: StreamStarted, account_id: str, now: Millis) -> Call:
    """The call of a stream. Known parameters fill its fields, the others are kept as custom channel variables."""
    given = {name: text for name in _KNOWN if (text := clean(started.parameters.get(name)))}
    others = {name: value for name, value in started.parameters.items() if name not in _KNOWN}
    ids = {"Stream-SID": started.stream_id, "Account-SID": started.account_sid}
    return Call(
        account_id=account_id,
        call_id=started.call_id,
        started=now,
        from_=given.get("from", ""),
        to=given.get("to", ""),
        owner_id=given.get("owner_id"),
        endpoint_id=given.get("endpoint_id"),
        interaction_id=given.get("interaction_id"),
        direction=direction(given.get("direction")),
        caller_id_name=given.get("caller_id_name"),
        caller_id_number=given.get("caller_id_number"),
        callee_id_name=given.get("callee_id_name"),
        callee_id_number=given.get("callee_id_number"),
        custom_channel_vars=channel_vars(ids | others),
    )
