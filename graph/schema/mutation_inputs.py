"""The `input` types of mutations. The recording options come from `recordings.model.options`."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, cast

import strawberry
from strawberry import UNSET

from graph.schema.camel_case import parameter_description
from graph.schema.enums import DeliveryMethod, RecordingFormat, SampleRate
from graph.schema.global_id import ACCOUNT, parse_call_id, plain
from graph.schema.partial_input import PartialInput
from graph.schema.scalars import JSON
from recordings.model.options import PARAMETERS, RecordingOptions, parse_options
from recordings.model.recording_changes import RecordingChanges
from recordings.use_cases.start import StartRequest

_KEY = (
    "Makes it safe to send the same request again: a text of 1 to 128 characters that you choose. If the service "
    "already completed a request with this key, it returns the same result and changes nothing. "
)
_DELETION = (
    "The reason for the deletion: 1 to 256 characters. The service keeps it permanently, with the time and the name of "
    "the credentials."
)


def _option(name: str, kind: type[Enum] | None = None) -> Any:
    default = PARAMETERS[name].default
    if kind is not None and default is not None:
        default = kind(default)
    return strawberry.field(default=UNSET if default is None else default, description=parameter_description(name))


def _plain_value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


@strawberry.input(description="The call to record, and the options of the recording.")
class StartRecordingInput(PartialInput):
    call_id: strawberry.ID = strawberry.field(
        description="The global id or the `callId` of the call in progress, from `calls`. It is the id of one leg of "
        "the call."
    )
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description="The global or plain id of the call's account. Default: the account in a global `callId`, "
        "otherwise the account of the credentials.",
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET, description=f"{_KEY}The account remembers the key as long as the recording is kept."
    )
    format: RecordingFormat | None = _option("format")
    label: str | None = _option("label")
    media_name: str | None = _option("media_name")
    method: DeliveryMethod | None = _option("method", DeliveryMethod)
    record_min_sec: int | None = _option("record_min_sec")
    record_on_answer: bool | None = _option("record_on_answer")
    record_on_bridge: bool | None = _option("record_on_bridge")
    record_sample_rate: SampleRate | None = _option("record_sample_rate")
    should_follow_transfer: bool | None = _option("should_follow_transfer")
    time_limit: int | None = _option("time_limit")
    url: str | None = _option("url")

    def request(self, url_prefixes: Sequence[str]) -> StartRequest:
        """Return the request for the use case. The `url` must begin with one of `url_prefixes`.

        Raises:
            InvalidInput: options are out of bounds; the error names each of them.
        """
        options = parse_options(
            {item.name: _plain_value(getattr(self, item.name)) for item in fields(RecordingOptions)},
            url_prefixes=url_prefixes,
        )
        account_id, call_id = parse_call_id(self.call_id)
        if self.account_id is not None:
            account_id = plain(self.account_id, ACCOUNT)
        return StartRequest(call_id=call_id, options=options, account_id=account_id, key=self.idempotency_key)


class RecordingInput(PartialInput):
    """The fields that the inputs of all mutations of a recording have."""

    id: strawberry.ID
    idempotency_key: str | None


def _id() -> Any:
    return strawberry.field(description="The global or plain id of the recording.")


def _key() -> Any:
    kept = "The recording remembers the last 16 keys."
    return strawberry.field(default=UNSET, description=_KEY + kept)


def _bulk_key() -> Any:
    kept = "Each of the recordings remembers the last 16 keys."
    return strawberry.field(default=UNSET, description=_KEY + kept)


@strawberry.input(description="The recording to stop.")
class StopRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to pause.")
class PauseRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to resume.")
class ResumeRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to mask.")
class MaskRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to unmask.")
class UnmaskRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to delete.")
class DeleteRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    reason: str | None = strawberry.field(default=UNSET, description=_DELETION)
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to restore.")
class RestoreRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to put on legal hold, and the reason.")
class HoldRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    reason: str = strawberry.field(description="The reason for the hold: 1 to 256 characters.")
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to update, and its new values. A field that is left out keeps its value.")
class UpdateRecordingInput(RecordingInput):
    NULL_IS_A_VALUE = frozenset({"label", "name", "user_metadata"})

    id: strawberry.ID = _id()
    label: str | None = strawberry.field(
        default=UNSET, description="The new label: 1 to 128 characters without control characters. Null removes it."
    )
    name: str | None = strawberry.field(
        default=UNSET,
        description="The new name for display and download: 1 to 255 characters without control characters, `/` and "
        "`\\`. Null restores the default name: the plain id with the format.",
    )
    user_metadata: JSON | None = strawberry.field(
        default=UNSET,
        description="A JSON object that is merged into the metadata, key by key. Null as the value of a key removes "
        "the key. Null instead of the object removes all keys. The metadata has at most 16,384 bytes as JSON.",
    )
    idempotency_key: str | None = _key()

    def changes(self) -> RecordingChanges:
        """Return the changes for the use case."""
        given = {name: getattr(self, name) for name in self.NULL_IS_A_VALUE}
        return cast("RecordingChanges", {name: value for name, value in given.items() if value is not UNSET})


@strawberry.input(description="The recording to release from its legal hold.")
class ReleaseRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording, and the answer of the parties of its call.")
class AnswerConsentInput(RecordingInput):
    id: strawberry.ID = _id()
    given: bool = strawberry.field(description="Whether the parties consent to the recording.")
    idempotency_key: str | None = _key()


@strawberry.input(description="The recording to send to its `url` again.")
class RedeliverRecordingInput(RecordingInput):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


class BulkInput(PartialInput):
    """The fields that the inputs of all mutations of several recordings have."""

    ids: list[strawberry.ID]
    idempotency_key: str | None


def _ids() -> Any:
    return strawberry.field(
        description="The global or plain ids of the recordings, at most 100. A repeated id is changed once."
    )


@strawberry.input(description="The recordings to delete.")
class DeleteRecordingsInput(BulkInput):
    ids: list[strawberry.ID] = _ids()
    reason: str | None = strawberry.field(default=UNSET, description=_DELETION)
    idempotency_key: str | None = _bulk_key()


@strawberry.input(description="The recordings to restore.")
class RestoreRecordingsInput(BulkInput):
    ids: list[strawberry.ID] = _ids()
    idempotency_key: str | None = _bulk_key()


@strawberry.input(description="The recordings to put on legal hold, and the reason.")
class HoldRecordingsInput(BulkInput):
    ids: list[strawberry.ID] = _ids()
    reason: str = strawberry.field(description="The reason for the hold: 1 to 256 characters.")
    idempotency_key: str | None = _bulk_key()
