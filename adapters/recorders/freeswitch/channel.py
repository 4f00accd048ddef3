"""A channel of FreeSWITCH, read from an event or from a list of the switch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapters.recorders.dialects.call_parties import clean, make_call
from adapters.recorders.dialects.stream_call import KNOWN_STREAM_PARAMETERS
from adapters.recorders.freeswitch.esl_protocol import SwitchEvent
from adapters.recorders.switch_url import SwitchUrl
from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions

PREFIX: Final = "recordings_"
"""The beginning of the names of our channel variables, such as `recordings_account`."""
_KAZOO: Final = "ecallmgr_"
_KAZOO_FIELDS: Final = {
    "Owner-ID": "owner_id",
    "Authorizing-ID": "endpoint_id",
    "Call-Interaction-ID": "interaction_id",
}
_FIELDS: Final = {
    "from": "Caller-Caller-ID-Number",
    "to": "Caller-Destination-Number",
    "caller_id_number": "Caller-Caller-ID-Number",
    "caller_id_name": "Caller-Caller-ID-Name",
    "callee_id_number": "Caller-Callee-ID-Number",
    "callee_id_name": "Caller-Callee-ID-Name",
    "direction": "Call-Direction",
}
_KNOWN: Final = KNOWN_STREAM_PARAMETERS - {"call_id"}
_OWN: Final = frozenset({"account", "leg"})
"""Variables that are not about the recording."""
_ENDING: Final = frozenset({"CS_HANGUP", "CS_REPORTING", "CS_DESTROY", "CS_NONE"})
_NAME: Final = "Channel-Name"
_LOOPBACK: Final = re.compile(r"loopback/.*-b", re.DOTALL)
"""The second half of a channel that FreeSWITCH connects to itself. It is no leg of a call."""
_ROW: Final = {
    "uuid": "Unique-ID",
    "direction": "Call-Direction",
    "state": "Channel-State",
    "name": _NAME,
    "cid_num": "Caller-Caller-ID-Number",
    "cid_name": "Caller-Caller-ID-Name",
    "dest": "Caller-Destination-Number",
}
"""Columns of `show channels`, and the headers of events with the same value."""
_STATES: Final = {"ACTIVE": "answered", "HELD": "answered", "UNHELD": "answered", "EARLY": "early"}
"""The `callstate` of `show channels` as an `Answer-State`."""


@dataclass(slots=True)
class Channel:
    """A live channel.

    - `originator`: the channel that made this one, for the second leg of a call.
    - `other`: the channel to which it was bridged last.
    - `has_media`: whether it has audio already: it is answered, or it has early media.
    - `is_shown`: whether it is a call of this service. A second leg is not, while the first one is live.
    """

    call: Call
    is_outbound: bool
    is_answered: bool
    has_media: bool
    is_bridged: bool
    is_own_leg: bool
    originator: str
    other: str
    is_shown: bool = False

    @property
    def uuid(self) -> str:
        """The id of the channel, which is the id of its call."""
        return self.call.call_id

    def may_begin(self, options: RecordingOptions) -> bool:
        """Return true if a take need not wait. To record a call without audio, FreeSWITCH would answer it early."""
        if options.record_on_answer:
            return self.is_answered
        return self.is_bridged if options.record_on_bridge else self.has_media


def read_channel(event: SwitchEvent, url: SwitchUrl, now: Millis) -> Channel | None:
    """Return the channel of an event; `None` if it ends now or belongs to no account of the switch's URL."""
    uuid = event.get("Unique-ID")
    stated = event.variable(f"{PREFIX}account") or event.variable(f"{_KAZOO}Account-ID")
    account_id = url.account_of(stated)
    if not uuid or account_id is None or event.get("Channel-State") in _ENDING or _LOOPBACK.fullmatch(event.get(_NAME)):
        return None
    is_second = event.get("Other-Type") == "originator"
    originator = event.get("Other-Leg-Unique-ID") if is_second else event.variable("originating_leg_uuid")
    fields, others = _values(event)
    if originator:
        fields.setdefault("interaction_id", originator)
    return Channel(
        call=make_call(fields, account_id=account_id, call_id=uuid, started=_created(event, now), others=others),
        is_outbound=event.get("Call-Direction") == "outbound",
        is_answered=event.get("Answer-State") == "answered",
        has_media=event.get("Answer-State") in {"answered", "early"},
        is_bridged=bool(event.variable("bridge_uuid")),
        is_own_leg=event.variable(f"{PREFIX}leg") == "true",
        originator=originator,
        other=event.variable("bridge_uuid"),
    )


def _values(event: SwitchEvent) -> tuple[dict[str, str], dict[str, str]]:
    """Return the known fields of a call, and the other variables for it."""
    fields = {name: text for name, header in _FIELDS.items() if (text := clean(event.get(header)))}
    others: dict[str, str] = {}
    for header in event.headers:
        name = header.removeprefix("variable_")
        if name.startswith(_KAZOO):
            others[name.removeprefix(_KAZOO)] = event.get(header)
        elif name.startswith(PREFIX) and (text := clean(event.get(header))):
            own = name.removeprefix(PREFIX)
            (fields if own in _KNOWN else others)[own] = text
    for name, field in _KAZOO_FIELDS.items():
        if text := clean(others.get(name)):
            fields.setdefault(field, text)
    return fields, {name: text for name, text in others.items() if name not in _OWN}


def _created(event: SwitchEvent, now: Millis) -> Millis:
    """Return when the channel began, by the switch's clock: it is the same after a restart of this service."""
    microseconds = event.get("Caller-Channel-Created-Time")
    return int(microseconds) // 1000 or now if microseconds.isascii() and microseconds.isdecimal() else now


def event_of_row(row: Mapping[str, object]) -> SwitchEvent:
    """Return a row of `show channels` as an event. It has no variables."""
    headers = {header: str(row.get(column) or "") for column, header in _ROW.items()}
    headers["Answer-State"] = _STATES.get(str(row.get("callstate")), "ringing")
    created = str(row.get("created_epoch") or "")
    headers["Caller-Channel-Created-Time"] = f"{created}000000" if created else ""
    return SwitchEvent(headers, is_encoded=False)
