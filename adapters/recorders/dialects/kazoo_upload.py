"""Decode the address to which Kazoo uploads a finished recording, without I/O.

Source: docs/v2_contract.md, section 7.1. Kazoo builds the address from the `url` parameter. If that has no query:

    {url}/call_recording_{call_id}.{ext}?from=…&to=…&caller_id_name=…&caller_id_number=…&call_id=…&cdr_id=…
        &interaction_id=…&account_id=…          and in 4.3: &owner_id=…&start=…&duration_ms=…&recording_id=…

If it has a query, the file name becomes the value of the last parameter (`…?file=` and `…?file` become
`file=call_recording_…`). If that parameter has a value, the name follows in a new one
(`…?a=b&recording=call_recording_…`). Some versions write two dots before the extension. If Kazoo has no value, it sends
an empty one, so an empty value counts as missing. The values are claims of the sender and give it no rights.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from adapters.recorders.dialects.call_parties import clean, make_call
from recordings.model.call import Call
from recordings.model.instants import DAY, SECOND, Millis

MAX_QUERY: Final = 8_192
MAX_PARAMETERS: Final = 64
MAX_CALL_ID: Final = 128
MAX_NAME: Final = 512
"""Maximum length (characters) of a file name that is parsed. The pattern needs minutes for a name of 60,000 dots."""
_NO_CALL_ID: Final = (
    "no call id: write ?call_id=ID at the end of the URL, or name the file call_recording_ID.mp3; "
    f"an id has at most {MAX_CALL_ID} characters"
)
GREGORIAN: Final = 62_167_219_200
"""Seconds from the year 0, where Kazoo's timestamps start, to 1970."""

_NAME: Final = re.compile(r"call_recording_(?P<call_id>.*?)\.*(?:\.(?P<extension>[A-Za-z0-9]{1,8}))?")
_RECORDING_ID: Final = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])-[0-9a-f]{32}")
_SLASH: Final = re.compile(r"[/\\]")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_KNOWN: Final = frozenset({
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id", "cdr_id",
    "interaction_id", "account_id", "owner_id", "endpoint_id", "direction", "start", "duration_ms", "recording_id",
})  # fmt: skip


class NotAnUpload(Exception):  # noqa: N818 - an expected result
    """The address does not name a call."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The contents of an upload address. `source_key` is the same when the sender retries."""

    call: Call
    name: str
    extension: str
    source_key: str
    recording_id: str | None


def read(tail: str, query: str, *, account_id: str, now: Millis) -> Upload:
    """Read the part of an upload address after the ingest address.

    Args:
        tail: the path, percent-decoded.
        query: the query, still percent-encoded.
        account_id: the account of the ingest address. It owns the recording, even if the query names another account.
        now: the current time, used if the query has no valid `start`.

    Raises:
        NotAnUpload: there is no call id, the query is too long, or it is not UTF-8.
    """
    pairs = _pairs(query)
    name, call_id_in_name, extension = _file_name(tail, pairs)
    fields = {key: text for key, value in pairs if key in _KNOWN and (text := clean(value))}
    call_id = fields.get("call_id") or clean(call_id_in_name)
    if call_id is None or len(call_id) > MAX_CALL_ID:
        raise NotAnUpload(_NO_CALL_ID)
    return Upload(
        call=make_call(
            fields,
            account_id=account_id,
            call_id=call_id,
            started=_start_time(fields.get("start"), now),
            others=_other_values(pairs, name),
        ),
        name=f"call_recording_{_SLASH.sub('_', call_id)}.{extension}",
        extension=extension,
        source_key=_source_key(tail, pairs),
        recording_id=_recording_id(fields.get("recording_id")),
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    if len(query) > MAX_QUERY:
        raise NotAnUpload(f"the query has {len(query)} characters, at most {MAX_QUERY} are allowed")
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as error:
        raise NotAnUpload(f"the query has more than {MAX_PARAMETERS} parameters, or it is not UTF-8") from error


def _file_name(tail: str, pairs: list[tuple[str, str]]) -> tuple[str, str, str]:
    """Return the file name as sent, with the call id and the extension that it contains."""
    for text in (tail, *(value for _, value in pairs)):
        name = text.rpartition("/")[2]
        if len(name) <= MAX_NAME and (found := _NAME.fullmatch(name)):
            return text, found["call_id"], (found["extension"] or "bin").lower()
    return "", "", "bin"


def _other_values(pairs: list[tuple[str, str]], name: str) -> Mapping[str, str]:
    """Return the values without a field in `Call`. Kazoo's account becomes `Account-ID`, Kazoo's name for it."""
    others = {key: value for key, value in pairs if key not in _KNOWN and value != name}
    return {"Account-ID": dict(pairs).get("account_id", "")} | others


def _start_time(start: str | None, now: Millis) -> Millis:
    """Return when the audio began, from the sender's Gregorian seconds; the current time if they are not plausible."""
    if start is None or not _SECONDS.fullmatch(start):
        return now
    started = (int(start) - GREGORIAN) * SECOND
    return started if 0 < started < now + DAY else now


def _recording_id(text: str | None) -> str | None:
    return text if text is not None and _RECORDING_ID.fullmatch(text) else None


def _source_key(tail: str, pairs: list[tuple[str, str]]) -> str:
    # A retry has the same address. The hash limits the length of the key: the sender chooses the length of the address.
    address = "\n".join([tail, *(f"{key}={value}" for key, value in sorted(pairs))])
    return f"kazoo:{hashlib.sha256(address.encode('utf-8', 'surrogatepass')).hexdigest()}"
