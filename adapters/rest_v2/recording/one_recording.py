"""GET, DELETE and PATCH of one recording (`docs/v2_contract.md`, sections 2 and 3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from starlette.responses import Response

from adapters.http.audio_response import is_download
from adapters.http.conditional_requests import Precondition, Validators, check_preconditions
from adapters.rest_v2.adapter_functions import Convert, Read
from adapters.rest_v2.listing.csv_table import CsvTable
from adapters.rest_v2.listing.list_recordings import csv_headers
from adapters.rest_v2.recording.v2_audio import play
from adapters.rest_v2.recording.visibility import (
    FIELDS,
    document_of,
    is_shown,
    rendition_validators,
    revision_of,
    validators_of,
)
from adapters.rest_v2.request.read_principal import read_principal
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import (
    V2Error,
    bad_identifier,
    datastore_fault,
    escaped,
    invalid,
    no_audio,
    required,
    unknown_identifier,
    wrong_type,
)
from adapters.rest_v2.request.wanted_type import Kind, pick
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import Principal
from recordings.model.errors import MediaUnavailable, Refused
from recordings.model.fields import RecordingRow
from recordings.ports.audio import MediaMissing
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.playback import Playback
from recordings.use_cases.recordings import Recordings

_PREFIX: Final = 6
_IGNORED: Final = "ui_metadata"
"""The key that Monster UI adds to every body, with its own name."""
_log: Final = structlog.get_logger("rest_v2")


class RecordingEndpoint:
    """Serves `.../recordings/{R}`, of an account or of one of its users."""

    def __init__(self, *, recordings: Recordings, read: Read, convert: Convert, settings: V2Settings) -> None:
        self._recordings = recordings
        self._read = read
        self._convert = convert
        self._settings = settings

    async def get_recording(self, context: RequestContext) -> Response:
        """Return the document or the audio."""
        accepted = context.accepted_types()
        row = await self._row(context, read_principal(context, self._settings))
        stored_as = row["media"]["content_type"] if row["media"] else f"audio/{row['format']}"
        choice = pick(accepted, stored_as)
        if choice.kind is Kind.AUDIO and not choice.suits(stored_as):
            return await self._play_converted(choice.format, context, row)
        if (response := _not_modified(context, validators_of(row))) is not None:
            return response
        if choice.kind is Kind.AUDIO:
            return await self._play(context, row)
        if choice.kind is Kind.CSV:
            return Response(CsvTable().write([document_of(row, context.principal)]), 200, csv_headers(context))
        return context.reply(document_of(row, context.principal), revision=revision_of(row))

    async def delete_recording(self, context: RequestContext) -> Response:
        """Delete the recording, and the audio that this service stores.

        Copies at other providers stay (`docs/v2_contract.md`, section 3.1).
        """
        context.accepted_types()
        row = await self._row(context, context.principal)
        _check_match(context, row)
        await self._recordings.delete(context.principal, row["id"], window=0)
        document = document_of(row, context.principal) | {"_read_only": {"deleted": True}}
        return context.reply(document, revision=revision_of(row))

    async def patch_recording(self, context: RequestContext) -> Response:
        """Merge `user_metadata` (`docs/v2_contract.md`, section 3.2)."""
        context.accepted_types()
        changes = _changes(context.parameters.body())
        row = await self._row(context, context.principal)
        _check_match(context, row)
        changed = (await self._recordings.update(context.principal, row["id"], {"user_metadata": changes})).to_row()
        return context.reply(document_of(changed, context.principal), revision=revision_of(changed))

    async def _row(self, context: RequestContext, principal: Principal) -> RecordingRow:
        recording_id, owner = context.argument("recording_id"), context.argument("user_id") or None
        row = await self._recordings.find(principal, recording_id, FIELDS)
        if row is None or not is_shown(row, context.account.id, owner):
            raise _no_recording(recording_id)
        return row

    async def _play(self, context: RequestContext, row: RecordingRow) -> Response:
        with _media_errors(row["id"]):
            playback = await self._listen(context, row)
            read = playback.audio(self._read, download=_saves(context))
            return await play(context.request, playback.recording, validators_of(row), read)

    async def _play_converted(self, format: str, context: RequestContext, row: RecordingRow) -> Response:
        """Play the audio in another format. Its `ETag` differs, and is known only after the conversion."""
        with _media_errors(row["id"]):
            playback = await self._listen(context, row)
            converted = await self._convert(playback.recording, format)
            if converted is None or converted.recording.media is None:
                raise MediaMissing(row["id"])
            validators = rendition_validators(validators_of(row), converted.recording.media.sha256)
            if (response := _not_modified(context, validators)) is not None:
                return response
            read = playback.audio(converted.read, recording=converted.recording, download=_saves(context))
            return await play(context.request, converted.recording, validators, read)

    async def _listen(self, context: RequestContext, row: RecordingRow) -> Playback:
        return await self._recordings.plays.listen(read_principal(context, self._settings), row["id"])


def _saves(context: RequestContext) -> bool:
    return is_download(context.request, inline=context.request.query_params.get("inline") == "true")


@contextmanager
def _media_errors(recording_id: str) -> Iterator[None]:
    """Turn errors of the audio into v2 errors."""
    try:
        yield
    except (MediaMissing, MediaUnavailable) as error:
        raise no_audio(recording_id) from error
    except (V2Error, Refused, StoreUnavailableError):
        raise
    except Exception as error:
        _log.exception("audio read failed", recording_id=recording_id)
        raise datastore_fault(type(error).__name__) from error


def _not_modified(context: RequestContext, validators: Validators) -> Response | None:
    """Return 304 if the client has the current version, else `None`. Raises `V2Error`: 412."""
    result = check_preconditions("GET", context.request.headers, validators)
    if result is Precondition.FAILED:
        raise V2Error(412, bare=True)
    return Response(status_code=304, headers={"etag": validators.etag}) if result is Precondition.NOT_MODIFIED else None


def _no_recording(recording_id: str) -> V2Error:
    prefix, separator, rest = recording_id.partition("-")
    if len(prefix) == _PREFIX and prefix.isascii() and prefix.isdigit() and separator and rest:
        return bad_identifier(recording_id)
    return unknown_identifier(recording_id)


def _check_match(context: RequestContext, row: RecordingRow) -> None:
    if check_preconditions("PUT", context.request.headers, validators_of(row)) is not Precondition.PASSED:
        raise V2Error(412, bare=True)


def _changes(data: Any) -> dict[str, Any]:
    for name in data:
        if name not in {"user_metadata", _IGNORED}:
            raise invalid(escaped(name), "additionalProperties", "Only user_metadata can be changed")
    if "user_metadata" not in data:
        raise required("user_metadata")
    changes = data["user_metadata"]
    if not isinstance(changes, dict):
        raise wrong_type("user_metadata", "object", changes)
    return changes
