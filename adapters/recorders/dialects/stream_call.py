"""Make a `Call` of the start message of a media stream."""

from collections.abc import Sequence
from typing import Final

from adapters.recorders.dialects.call_parties import clean, direction_of, make_call
from adapters.recorders.dialects.policy_parameters import ALLOWED, POLICY_PARAMETERS
from adapters.recorders.dialects.stream_events import StreamStarted
from recordings.model.call import Call
from recordings.model.ids import new_id
from recordings.model.instants import Millis

KNOWN_STREAM_PARAMETERS: Final = frozenset({
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "direction", "owner_id",
    "interaction_id", "endpoint_id", "call_id", *POLICY_PARAMETERS,
})  # fmt: skip


def call_of(started: StreamStarted, account_id: str, now: Millis) -> Call:
    """Return the call of a stream. Known parameters become its fields, all others custom channel variables.

    A call without an id gets a new one.
    """
    fields = {name: text for name in KNOWN_STREAM_PARAMETERS if (text := clean(started.parameters.get(name)))}
    others = {name: value for name, value in started.parameters.items() if name not in KNOWN_STREAM_PARAMETERS}
    ids = {"Stream-SID": started.stream_id, "Account-SID": started.account_sid}
    return make_call(
        fields, account_id=account_id, call_id=started.call_id or new_id(), started=now, others=ids | others
    )


def unused_values(started: StreamStarted) -> Sequence[str]:
    """Return the parameters whose value is not known, each as `name='value'` with the allowed values.

    The sender of a stream gets no response, so the log of the server has them.
    """
    found = []
    for name, allowed in {"direction": ("inbound", "outbound"), **ALLOWED}.items():
        text = clean(started.parameters.get(name))
        if text is not None and text.lower() not in allowed and (name != "direction" or direction_of(text) is None):
            found.append(f"{name}={text[:32]!r}: give {', '.join(allowed)}")
    return found
