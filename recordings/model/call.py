"""A live call, as its recorder describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.model.instants import Millis
from recordings.model.query import Position
from recordings.model.recording import Direction

EMBEDDED: Final = "embedded"
"""The name of the recorder that receives audio itself, without a switch."""


class Network(StrEnum):
    """The network of a party: the account's own phones, or a carrier."""

    ONNET = "onnet"
    OFFNET = "offnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One leg of a call. The fields have the names of the v2 document.

    - `started`: when its audio began to arrive.
    - `node`: the node that receives the audio; `None` means this node.
    - `from_network`, `to_network`: the networks of the caller and the callee; `None` if they are unknown.
    - `recorder`: the name of its recorder: `EMBEDDED`, or the name of its switch in the settings.
    - `record`: whether the sender asks to record the call; `None` if it does not say.
    - `consent`: whether the parties consent to be recorded; `None` if the sender does not say.
    """

    account_id: str
    call_id: str
    started: Millis
    from_: str = ""
    to: str = ""
    request: str | None = None
    owner_id: str | None = None
    endpoint_id: str | None = None
    interaction_id: str | None = None
    cdr_id: str | None = None
    direction: Direction | None = None
    caller_id_name: str | None = None
    caller_id_number: str | None = None
    callee_id_name: str | None = None
    callee_id_number: str | None = None
    custom_channel_vars: Mapping[str, Any] = field(default_factory=dict)
    node: str | None = None
    recorder: str = EMBEDDED
    from_network: Network | None = None
    to_network: Network | None = None
    record: bool | None = None
    consent: bool | None = None


def position_of_call(call: Call) -> Position:
    """Return the position of a call in the list of live calls."""
    return Position(call.started, call.call_id)


def sip_uri(party: str | None, realm: str) -> str:
    """Return a party as `user@realm`. It always has an `@`, because old clients split the text there."""
    user = (party or "").strip() or "unknown"
    return user if "@" in user else f"{user}@{realm}"
