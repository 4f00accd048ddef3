"""A live call, as its recorder describes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recordings.model.instants import Millis
from recordings.model.recording import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One leg of a call. The fields have the names of the v2 document.

    `started` is when its audio began to arrive. `node` is the node that receives the audio; `None` means this node.
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


def sip_uri(party: str | None, realm: str) -> str:
    """Return a party as `user@realm`. It always has an `@`, because old clients split the text there."""
    user = (party or "").strip() or "unknown"
    return user if "@" in user else f"{user}@{realm}"
