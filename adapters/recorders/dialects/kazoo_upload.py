"""The address to which Kazoo sends a finished recording, without I/O (contract section 7.1).

Kazoo makes it of the `url` parameter. Without a query in it:

    {url}/call_recording_{call_id}.{ext}?from=…&to=…&caller_id_name=…&caller_id_number=…&call_id=…&cdr_id=…
        &interaction_id=…&account_id=…          and in 4.3: &owner_id=…&start=…&duration_ms=…&recording_id=…

With one, the name goes to the last parameter (`…?file=` and `…?file` become `file=call_recording_…`) or, if that has a
value, behind it (`…?a=b&recording=call_recording_…`). Some versions write two dots before the extension. A value that
Kazoo does not have is there and empty: that is missing. Nothing here is believed beyond what it says of itself.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from adapters.recorders.dialects.call_parties import channel_vars, clean, direction
from recordings.model.call import Call
from recordings.model.instants import DAY, SECOND, Millis

MAX_QUERY: Final = 8_192
MAX_PARAMETERS: Final = 64
MAX_CALL_ID: Final = 128
MAX_NAME: Final = 512
"""Characters of a name that is read: to look for the end of a call id in sixty thousand dots takes minutes."""
_NO_CALL_ID: Final = (
    "no call id: write ?call_id=ID at the end of the URL, or name the file call_recording_ID.mp3; "
    f"an id has at most {MAX_CALL_ID} characters"
)
GREGORIAN: Final = 62_167_219_200
"""Seconds from the year 0, from which Kazoo counts, to 1970."""

_NAME: Final = re.compile(r"call_recording_(?P<call_id>.*?)\.*(?:\.(?P<extension>[A-Za-z0-9]{1,8}))?")
_RECORDING_ID: Final = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])-[0-9a-f]{32}")
_SLASH: Final = re.compile(r"[/\\]")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_KNOWN: Final = frozenset({
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id", "cdr_id",
    "interaction_id", "account_id", "owner_id", "endpoint_id", "direction", "start", "duration_ms", "recording_id",
})  # fmt: skip


class NotAnUpload(Exception):  # noqa: N818 - an answer
    """The address does not say of which call the audio is."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What the address of an upload says. `source_key` is the same when the sender tries again."""

    call: Call
    name: str
    extension: str
    source_key: str
    recording_id: str | None


def read(tail: str, query: str, *, account_id: str, now: Millis) -> Upload:
    """Read what follows the ingest address: its path, percent-decoded, and its query, not decoded.

    The recording belongs to `account_id`, that of the ingest address, whatever the query says.

    Raises:
        NotAnUpload: there is no call id, or the query is too long or no UTF-8.
    """
    pairs = _pairs(query)
    name, called, extension = _name(tail, pairs)
    given = {key: text for key, value in pairs if key in _KNOWN and (text := clean(value))}
    call_id = given.get("call_id") or clean(called)
    if call_id is None or len(call_id) > MAX_CALL_ID:
        raise NotAnUpload(_NO_CALL_ID)
    return Upload(
        call=_call(given, call_id, account_id, _began(given.get("start"), now), _vars(pairs, name)),
        name=f"call_recording_{_SLASH.sub('_', call_id)}.{extension}",
        extension=extension,
        source_key=_source_key(tail, pairs),
        recording_id=_recording_id(given.get("recording_id")),
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    if len(query) > MAX_QUERY:
        raise NotAnUpload(f"the query has {len(query)} characters; the most is {MAX_QUERY}")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as error:
        raise NotAnUpload("the query cannot be read: too many parameters, or no UTF-8") from error


def _name(tail: str, pairs: list[tuple[str, str]]) -> tuple[str, str, str]:
    """The recording's name as it came, and the call id and the extension in it."""
    for text in (tail, *(value for _, value in pairs)):
        name = text.rpartition("/")[2]
        if len(name) <= MAX_NAME and (found := _NAME.fullmatch(name)):
            return text, found["call_id"], (found["extension"] or "bin").lower()
    return "", "", "bin"


def _call(given: Mapping[str, str], call_id: str, account_id: str, began: Millis, others: Mapping[str, str]) -> Call:
    return Call(
        account_id=account_id,
        call_id=call_id,
        started=began,
        from_=given.get("from", ""),
        to=given.get("to", ""),
        owner_id=given.get("owner_id"),
        endpoint_id=given.get("endpoint_id"),
        interaction_id=given.get("interaction_id"),
        cdr_id=given.get("cdr_id"),
        direction=direction(given.get("direction")),
        caller_id_name=given.get("caller_id_name"),
        caller_id_number=given.get("caller_id_number"),
        callee_id_name=given.get("callee_id_name"),
        callee_id_number=given.get("callee_id_number"),
        custom_channel_vars=others,
    )


def _vars(pairs: list[tuple[str, str]], name: str) -> Mapping[str, str]:
    """What has no field of its own. Kazoo's account is a fact about Kazoo, under Kazoo's name for it."""
    others = {key: value for key, value in pairs if key not in _KNOWN and value != name}
    return channel_vars({"Account-ID": dict(pairs).get("account_id", "")} | others)


def _began(start: str | None, now: Millis) -> Millis:
    """When the audio began by the sender's own word (Gregorian seconds), or now."""
    if start is None or not _SECONDS.fullmatch(start):
        return now
    began = (int(start) - GREGORIAN) * SECOND
    return began if 0 < began < now + DAY else now


def _recording_id(text: str | None) -> str | None:
    return text if text is not None and _RECORDING_ID.fullmatch(text) else None


def _source_key(tail: str, pairs: list[tuple[str, str]]) -> str:
    # A retry has the same address. Its length is the sender's choice, that of a key is ours.
    address = "\n".join([tail, *(f"{key}={value}" for key, value in sorted(pairs))])
    return f"kazoo:{hashlib.sha256(address.encode('utf-8', 'surrogatepass')).hexdigest()}"
