"""One recording: its document, its audio, deleting it and writing on it (contract sections 2 and 3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import structlog
from starlette.responses import Response

from adapters.http.conditional_requests import Validators, Verdict, judge
from adapters.rest_v2.dependencies import Choices, Convert, Read
from adapters.rest_v2.listing.csv_table import CsvTable
from adapters.rest_v2.listing.list_recordings import csv_headers
from adapters.rest_v2.recording.v2_audio import play
from adapters.rest_v2.recording.visibility import (
    FIELDS,
    document_of,
    is_shown,
    rendition_of,
    revision_of,
    validators_of,
)
from adapters.rest_v2.request.read_principal import reader_of
from adapters.rest_v2.request.request_context import RequestContext
from adapters.rest_v2.request.v2_errors import (
    Fault,
    bad_identifier,
    datastore_fault,
    invalid,
    no_audio,
    required,
    unknown_identifier,
    wrong_type,
)
from adapters.rest_v2.request.wanted_type import Kind, pick
from recordings.model.account import Principal
from recordings.model.errors import MediaUnavailable, Refused
from recordings.model.instants import Millis
from recordings.model.recording import Recording, Row
from recordings.ports.audio import MediaMissing
from recordings.ports.recording_store import StoreUnavailableError

_PREFIX: Final = 6
_BESIDE: Final = "ui_metadata"
"""What Monster UI puts into every body, to say which program sent it."""
_log: Final = structlog.get_logger("rest_v2")


class Recordings(Protocol):
    """The use cases of `recordings.use_cases.recordings` that one recording needs."""

    async def find(self, principal: Principal, recording_id: str, fields: Any = None) -> Row | None:
        """A recording in reach, as a row."""

    async def listen(self, principal: Principal, recording_id: str) -> Recording:
        """A recording whose audio may be played."""

    async def delete(
        self, principal: Principal, recording_id: str, key: str | None = None, *, window: Millis | None = None
    ) -> Recording:
        """Delete a recording."""

    async def annotate(
        self, principal: Principal, recording_id: str, changes: Any, key: str | None = None
    ) -> Recording:
        """Write on a recording."""


class OneRecording:
    """Answers `.../recordings/{R}`, of an account or of a user in it."""

    def __init__(self, *, recordings: Recordings, read: Read, convert: Convert, choices: Choices) -> None:
        self._recordings = recordings
        self._read = read
        self._convert = convert
        self._choices = choices

    async def get_recording(self, exchange: RequestContext) -> Response:
        """The document, or the audio."""
        choices = exchange.choices()
        row = await self._row(exchange, reader_of(exchange, self._choices))
        stored_as = row["media"]["content_type"] if row["media"] else f"audio/{row['format']}"
        choice = pick(choices, stored_as)
        if choice.kind is Kind.AUDIO and not choice.suits(stored_as):
            return await self._play_as(str(choice.format), exchange, row)
        if (known := _conditional(exchange, validators_of(row))) is not None:
            return known
        if choice.kind is Kind.AUDIO:
            return await self._play(exchange, row)
        if choice.kind is Kind.CSV:
            return Response(CsvTable().write([document_of(row, exchange.principal)]), 200, csv_headers(exchange))
        return exchange.reply(document_of(row, exchange.principal), revision=revision_of(row))

    async def delete_recording(self, exchange: RequestContext) -> Response:
        """Delete it. What this service keeps of it goes at once; what lies at a provider stays (seed)."""
        exchange.choices()
        row = await self._row(exchange, exchange.principal)
        _check_match(exchange, row)
        await self._recordings.delete(exchange.principal, row["id"], window=0)
        document = document_of(row, exchange.principal) | {"_read_only": {"deleted": True}}
        return exchange.reply(document, revision=revision_of(row))

    async def patch_recording(self, exchange: RequestContext) -> Response:
        """Merge `user_metadata`."""
        exchange.choices()
        changes = _changes(exchange.parameters.body())
        row = await self._row(exchange, exchange.principal)
        _check_match(exchange, row)
        changed = (await self._recordings.annotate(exchange.principal, row["id"], changes)).to_row()
        return exchange.reply(document_of(changed, exchange.principal), revision=revision_of(changed))

    async def _row(self, exchange: RequestContext, principal: Principal) -> Row:
        recording_id, owner = exchange.argument("recording_id"), exchange.argument("user_id") or None
        row = await self._recordings.find(principal, recording_id, FIELDS)
        if row is None or not is_shown(row, exchange.account.id, owner):
            raise _no_recording(recording_id)
        return row

    async def _play(self, exchange: RequestContext, row: Row) -> Response:
        with _reading(row["id"]):
            recording = await self._listen(exchange, row)
            return await play(exchange.request, recording, validators_of(row), self._read)

    async def _play_as(self, format: str, exchange: RequestContext, row: Row) -> Response:
        """In another format than it is stored in: other bytes, so another tag, known once they were made."""
        with _reading(row["id"]):
            recording = await self._listen(exchange, row)
            made = await self._convert(recording, format)
            if made is None or made.recording.media is None:
                raise MediaMissing(row["id"])
            validators = rendition_of(validators_of(row), made.recording.media.sha256)
            if (known := _conditional(exchange, validators)) is not None:
                return known
            return await play(exchange.request, made.recording, validators, made.read)

    async def _listen(self, exchange: RequestContext, row: Row) -> Recording:
        return await self._recordings.listen(reader_of(exchange, self._choices), row["id"])


@contextmanager
def _reading(recording_id: str) -> Iterator[None]:
    """Say in v2's words what can go wrong with audio."""
    try:
        yield
    except (MediaMissing, MediaUnavailable) as error:
        raise no_audio(recording_id) from error
    except (Fault, Refused, StoreUnavailableError):
        raise
    except Exception as error:
        _log.exception("audio could not be fetched", recording_id=recording_id)
        raise datastore_fault(type(error).__name__) from error


def _conditional(exchange: RequestContext, validators: Validators) -> Response | None:
    """The answer to somebody who has it already; `None` for everybody else. Raises `Fault`: 412."""
    verdict = judge("GET", exchange.request.headers, validators)
    if verdict is Verdict.FAILED:
        raise Fault(412, bare=True)
    return Response(status_code=304, headers={"etag": validators.etag}) if verdict is Verdict.NOT_MODIFIED else None


def _no_recording(recording_id: str) -> Fault:
    prefix, separator, rest = recording_id.partition("-")
    if len(prefix) == _PREFIX and prefix.isascii() and prefix.isdigit() and separator and rest:
        return bad_identifier(recording_id)
    return unknown_identifier(recording_id)


def _check_match(exchange: RequestContext, row: Row) -> None:
    if judge("PUT", exchange.request.headers, validators_of(row)) is not Verdict.GO_ON:
        raise Fault(412, bare=True)


def _changes(data: Any) -> dict[str, Any]:
    for name in data:
        if name not in {"user_metadata", _BESIDE}:
            raise invalid(name, "additionalProperties", "Only user_metadata can be changed")
    if "user_metadata" not in data:
        raise required("user_metadata")
    changes = data["user_metadata"]
    if not isinstance(changes, dict):
        raise wrong_type("user_metadata", "object", None)
    return changes
