"""What the mutations take: one `input` each. The documented parameters come from `recordings.model.options`."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import strawberry
from strawberry import UNSET

from graph.schema.camel_case import parameter
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.unset import Given
from recordings.model.options import PARAMETERS, RecordingOptions, parse_options
from recordings.use_cases.start import StartRequest

_KEY = (
    "Makes sending the same request again safe: 1 to 128 characters of your choice. A request that comes again with "
    "the key of one that was granted is answered in the same way, and done once. "
)


def _documented(name: str) -> Any:
    default = PARAMETERS[name].default
    return strawberry.field(default=UNSET if default is None else default, description=parameter(name))


@strawberry.input(description="Which call to record, and how.")
class StartRecordingInput(Given):
    call_id: strawberry.ID = strawberry.field(description="The id of a live call.")
    account_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description="The account of the call, by its global or its plain id; that of the credentials when absent.",
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET, description=f"{_KEY}It belongs to the account, for as long as the recording is kept."
    )
    format: str | None = _documented("format")
    label: str | None = _documented("label")
    media_name: str | None = _documented("media_name")
    method: str | None = _documented("method")
    record_min_sec: int | None = _documented("record_min_sec")
    record_on_answer: bool | None = _documented("record_on_answer")
    record_on_bridge: bool | None = _documented("record_on_bridge")
    record_sample_rate: int | None = _documented("record_sample_rate")
    should_follow_transfer: bool | None = _documented("should_follow_transfer")
    time_limit: int | None = _documented("time_limit")
    url: str | None = _documented("url")

    def request(self, places: Sequence[str]) -> StartRequest:
        """What the use case takes. `places` are what the `url` may begin with.

        Raises:
            InvalidInput: parameters are out of bounds; every one of them is named.
        """
        options = parse_options(
            {item.name: getattr(self, item.name) for item in fields(RecordingOptions)}, places=places
        )
        account_id = None if self.account_id is None else plain(self.account_id, ACCOUNT)
        return StartRequest(
            call_id=self.call_id, options=options, account_id=account_id, key=self.idempotency_key, via="graphql"
        )


class OneRecording(Given):
    """What every action on a recording takes."""

    id: strawberry.ID
    idempotency_key: str | None


def _id() -> Any:
    return strawberry.field(description="The recording, by its global or its plain id.")


def _key() -> Any:
    kept = "It belongs to the recording, which remembers 16 of them."
    return strawberry.field(default=UNSET, description=_KEY + kept)


@strawberry.input(description="Which recording to stop.")
class StopRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to pause.")
class PauseRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to resume.")
class ResumeRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to mask.")
class MaskRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to unmask.")
class UnmaskRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to delete.")
class DeleteRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    reason: str | None = strawberry.field(
        default=UNSET, description="Why it is deleted: 1 to 256 characters, kept for good with who and when."
    )
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to restore.")
class RestoreRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to lay a legal hold on, and why.")
class HoldRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    reason: str = strawberry.field(description="The reason of the hold: 1 to 256 characters.")
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to release from its legal hold.")
class ReleaseRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()


@strawberry.input(description="Which recording to send to its `url` again.")
class RedeliverRecordingInput(OneRecording):
    id: strawberry.ID = _id()
    idempotency_key: str | None = _key()
