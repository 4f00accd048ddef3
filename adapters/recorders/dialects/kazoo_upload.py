"""Decode the address to which Kazoo uploads a finished recording, without I/O.

Source: docs/v2_contract.md, section 7.1. Kazoo builds the address from the `url` parameter. If that has no query:

    {url}/call_recording_{call_id}.{ext}?from=…&to=…&caller_id_name=…&caller_id_number=…&call_id=…&cdr_id=…
        &interaction_id=…&account_id=…          and in 4.3: &owner_id=…&start=…&duration_ms=…&recording_id=…

If it has a query, the file name becomes the value of the last parameter (`…?file=` and `…?file` become
`file=call_recording_…`). If that parameter has a value, the name follows in a new one
(`…?a=b&recording=call_recording_…`). Some versions write two dots before the extension. If Kazoo has no value, it sends
an empty one, so an empty value counts as missing. The values are claims of the sender and give it no rights.

Other senders use the same parameters. `docs/ingest.md` describes them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from adapters.recorders.dialects.audio_extension import KNOWN, UNKNOWN, extension_for, extension_of, name_suffix
from adapters.recorders.dialects.call_parties import clean, direction_of, make_call
from adapters.recorders.dialects.start_time import read_start
from recordings.model.call import Call
from recordings.model.instants import Millis

MAX_QUERY: Final = 8_192
MAX_PARAMETERS: Final = 64
MAX_CALL_ID: Final = 128
MAX_NAME: Final = 512
"""Maximum length (characters) of a file name that is parsed. The pattern needs minutes for a name of 60,000 dots."""
_NO_CALL_ID: Final = (
    "no call id: write ?call_id=ID at the end of the URL, or name the file call_recording_ID.mp3; "
    f"an id has at most {MAX_CALL_ID} characters"
)
MAX_LABEL: Final = 128
_NAME: Final = re.compile(r"call_recording_(?P<call_id>.*?)\.*(?:\.(?P<extension>[A-Za-z0-9]{1,8}))?")
_RECORDING_ID: Final = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])-[0-9a-f]{32}")
_SLASH: Final = re.compile(r"[/\\]")
_MILLISECONDS: Final = re.compile(r"[0-9]{1,12}")
KNOWN_PARAMETERS: Final = frozenset({
    "from", "to", "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "call_id", "cdr_id",
    "interaction_id", "account_id", "owner_id", "endpoint_id", "direction", "start", "duration_ms", "recording_id",
    "label",
})  # fmt: skip
_PARTIES: Final = frozenset({"from", "to", "caller_id_number", "callee_id_number"})
_UNESCAPED_PLUS: Final = re.compile(r"(?P<scheme>(?:sips?:|tel:)?) +(?=[0-9])")
_UNESCAPED_NUMBER: Final = re.compile(r" [0-9]{6,15}")


class NotAnUpload(Exception):  # noqa: N818 - an expected result
    """The address does not name a call."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The contents of an upload address. `source_key` is the same when the sender retries.

    `duration_ms` is the length that the sender states. `warnings` name the values that could not be used, or were cut.
    """

    call: Call
    name: str
    extension: str
    source_key: str
    recording_id: str | None
    label: str | None = None
    duration_ms: Millis | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """What a request says about its file, beside its address: the content type, and the parts of a form."""

    content_type: str = ""
    name: str = ""
    fields: Sequence[tuple[str, str]] = ()


def read(tail: str, query: str, account_id: str, now: Millis, file: ReceivedFile) -> Upload:
    """Read the part of an upload address after the ingest address.

    Args:
        tail: the path, percent-decoded.
        query: the query, still percent-encoded.
        account_id: the account of the ingest address. It owns the recording, even if the query names another account.
        now: the current time, used if the query has no valid `start`.
        file: what the request says about its file. Its fields are further parameters.

    Raises:
        NotAnUpload: there is no call id, the query is too long, or it is not UTF-8.
    """
    pairs = [*_pairs(query), *file.fields]
    name, call_id_in_name, extension = _file_name(tail, pairs, file.name)
    fields = {key: text for key, value in pairs if key in KNOWN_PARAMETERS and (text := clean(value))}
    call_id = fields.get("call_id") or clean(call_id_in_name)
    if call_id is None or len(call_id) > MAX_CALL_ID:
        raise NotAnUpload(_NO_CALL_ID)
    extension = _extension(extension, (tail, file.name), file.content_type)
    start, label = fields.get("start"), fields.get("label")
    duration = _matching(_MILLISECONDS, fields.get("duration_ms"))
    started = None if start is None else read_start(start, now)
    return Upload(
        call=make_call(
            fields,
            account_id=account_id,
            call_id=call_id,
            started=now if started is None else started,
            others=_other_values(pairs, name),
        ),
        name=f"call_recording_{_SLASH.sub('_', call_id)}.{name_suffix(extension)}",
        extension=extension,
        source_key=_source_key(tail, pairs),
        recording_id=_matching(_RECORDING_ID, fields.get("recording_id")),
        label=None if label is None else label[:MAX_LABEL],
        duration_ms=None if duration is None else int(duration),
        warnings=tuple(_warnings(fields, is_start_used=start is None or started is not None)),
    )


def _warnings(fields: Mapping[str, str], *, is_start_used: bool) -> list[str]:
    found = []
    if not is_start_used:
        found.append(
            f"start={fields['start']!r} was not used: give Gregorian seconds (63877497832), Unix seconds or ISO 8601 "
            "(2024-03-12T21:23:52Z), not in the future"
        )
    if "direction" in fields and direction_of(fields["direction"]) is None:
        found.append(f"direction={fields['direction']!r} was not used: give inbound or outbound")
    for name, pattern, allowed in (
        ("duration_ms", _MILLISECONDS, "an integer of milliseconds"),
        ("recording_id", _RECORDING_ID, "YYYYMM- and 32 hexadecimal digits, lower-case"),
    ):
        if name in fields and _matching(pattern, fields[name]) is None:
            found.append(f"{name}={fields[name]!r} was not used: give {allowed}")
    if len(fields.get("label", "")) > MAX_LABEL:
        found.append(f"label was cut: it has more than {MAX_LABEL} characters")
    return found


def _pairs(query: str) -> list[tuple[str, str]]:
    if len(query) > MAX_QUERY:
        raise NotAnUpload(f"the query has {len(query)} characters, at most {MAX_QUERY} are allowed")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError as error:
        raise NotAnUpload(f"the query has more than {MAX_PARAMETERS} parameters, or it is not UTF-8") from error
    return [(key, with_plus(key, value)) for key, value in pairs]


def with_plus(key: str, value: str) -> str:
    """Return a value with the plus of its number. In a query, a plus that is not escaped is a space."""
    if key in _PARTIES:
        return _UNESCAPED_PLUS.sub(r"\g<scheme>+", value, count=1) if _UNESCAPED_PLUS.match(value) else value
    return f"+{value[1:]}" if _UNESCAPED_NUMBER.fullmatch(value) else value


def _file_name(tail: str, pairs: list[tuple[str, str]], part_name: str) -> tuple[str, str, str]:
    """Return the file name as sent, with the call id and the extension that it contains."""
    for text in (tail, *(value for _, value in pairs), part_name):
        name = text.rpartition("/")[2]
        if len(name) <= MAX_NAME and (found := _NAME.fullmatch(name)):
            return text, found["call_id"], (found["extension"] or UNKNOWN).lower()
    return "", "", UNKNOWN


def _extension(in_name: str, other_names: Sequence[str], content_type: str) -> str:
    """Return the first usual extension of an audio file, else the content type's, else any extension of a name."""
    names = [in_name, *(extension_of(name[-MAX_NAME:]) for name in other_names)]
    known = next((name for name in names if name in KNOWN), None) or extension_for(content_type)
    return known or next((name for name in names if name != UNKNOWN), UNKNOWN)


def _other_values(pairs: list[tuple[str, str]], name: str) -> Mapping[str, str]:
    """Return the values without a field in `Call`. Kazoo's account becomes `Account-ID`, Kazoo's name for it."""
    others = {key: value for key, value in pairs if key not in KNOWN_PARAMETERS and value != name}
    return {"Account-ID": dict(pairs).get("account_id", "")} | others


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text is not None and pattern.fullmatch(text) else None


def _source_key(tail: str, pairs: list[tuple[str, str]]) -> str:
    # A retry has the same address. The hash limits the length of the key: the sender chooses the length of the address.
    address = "\n".join([tail, *(f"{key}={value}" for key, value in sorted(pairs))])
    return f"kazoo:{hashlib.sha256(address.encode('utf-8', 'surrogatepass')).hexdigest()}"
