"""Turn the fields that a sender gives for a call into a `Call`: printable, of limited length, `None` if empty."""

import re
from collections.abc import Mapping
from typing import Final

from adapters.recorders.dialects.policy_parameters import read_policy_parameters
from adapters.recorders.dialects.stream_events import LEFT, RIGHT
from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.recording import Direction

MAX_TEXT: Final = 256
"""Maximum length (characters) of a value. Longer values are cut."""
MAX_VARS: Final = 32
"""Maximum number of custom channel variables."""
MAX_VAR_NAME: Final = 64

_NOT_ALLOWED_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")


def clean(text: str | None) -> str | None:
    """Remove non-printable characters and cut the text. Return `None` if nothing is left."""
    if not text:
        return None
    # Non-printable characters are control characters and lone surrogates, which not every store can keep.
    printable = "".join(character for character in text[: 4 * MAX_TEXT] if character.isprintable())
    return printable.strip()[:MAX_TEXT] or None


def channel_vars(values: Mapping[str, str]) -> dict[str, str]:
    """Return the custom channel variables: the first 32, with names of letters, digits, `_` and `-`."""
    variables: dict[str, str] = {}
    for name, text in values.items():
        value = clean(text)
        if len(variables) < MAX_VARS and name and value is not None:
            variables[_NOT_ALLOWED_IN_NAMES.sub("_", name[:MAX_VAR_NAME])] = value
    return variables


def direction_of(text: str) -> Direction | None:
    """Return the direction that a sender names, in any case; `None` for any other text.

    Twilio's `outbound-api` and `outbound-dial` are outbound. Some switches write `incoming` and `outgoing`.
    """
    name = text.strip().lower().partition("-")[0]
    name = {"incoming": "inbound", "outgoing": "outbound"}.get(name, name)
    return Direction(name) if name in {"inbound", "outbound"} else None


LEG_TRACKS: Final[Mapping[str, int]] = {"inbound": LEFT, "outbound": RIGHT}
"""The tracks of a leg that the caller opened: the platform receives the caller's voice, and sends the callee's."""
_OUTBOUND_LEG_TRACKS: Final[Mapping[str, int]] = {"inbound": RIGHT, "outbound": LEFT}


def tracks_of(direction: str | None) -> Mapping[str, int]:
    """Return the index of each track, by its name from the platform's point of view, for the direction of a leg.

    `inbound` is what the platform receives from the leg's own party. On an outbound leg this party is the callee.
    """
    return _OUTBOUND_LEG_TRACKS if direction_of(direction or "") is Direction.OUTBOUND else LEG_TRACKS


def make_call(
    fields: Mapping[str, str], *, account_id: str, call_id: str, started: Millis, others: Mapping[str, str]
) -> Call:
    """Make a call of the sender's cleaned `fields`, and of `others`, which become custom channel variables."""
    direction = direction_of(fields.get("direction", ""))
    policy = read_policy_parameters(fields, others, direction)
    return Call(
        account_id=account_id,
        call_id=call_id,
        started=started,
        from_=fields.get("from", ""),
        to=fields.get("to", ""),
        owner_id=fields.get("owner_id"),
        endpoint_id=fields.get("endpoint_id"),
        interaction_id=fields.get("interaction_id"),
        cdr_id=fields.get("cdr_id"),
        direction=direction,
        caller_id_name=fields.get("caller_id_name"),
        caller_id_number=fields.get("caller_id_number"),
        callee_id_name=fields.get("callee_id_name"),
        callee_id_number=fields.get("callee_id_number"),
        custom_channel_vars=channel_vars(others),
        from_network=policy.from_network,
        to_network=policy.to_network,
        record=policy.record,
        consent=policy.consent,
    )
