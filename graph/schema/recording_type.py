"""A recording, read from a row. See `rows` for how, and `COMPUTED` for the fields that are more than `row[name]`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import strawberry

from graph.schema import enums as _described  # noqa: F401 - the enumerations below are described there
from graph.schema.audio_type import Media, resolve_media
from graph.schema.camel_case import parameter
from graph.schema.field_info import Info
from graph.schema.global_id import Node
from graph.schema.resolver_context import Context
from graph.schema.scalars import JSON, URL, DateTime
from recordings.model.account import Scope
from recordings.model.recording import DeliveryState, Direction, EndCause, Reason, Row, SpanKind, State

if TYPE_CHECKING:
    from graph.schema.account_type import Account


@strawberry.type(description="A part of a call that was not recorded.")
class Span:
    kind: SpanKind = strawberry.field(description="Why it was not.")
    at: DateTime = strawberry.field(description="When it began.")
    at_ms: int = strawberry.field(description="Where it began in the audio, in milliseconds.")
    duration_ms: int | None = strawberry.field(
        description="How long it took, in milliseconds; null while it goes on. A masked part takes this long in the "
        "audio, a paused part takes no time in it."
    )


def upload_url_of(options: Row, context: Context) -> URL | None:
    """Where the audio is delivered to. Such a URL often carries a secret of the one who gave it."""
    return cast("URL | None", options["url"]) if Scope.CONTROL in context.principal.scopes else None


def _resolve_upload_url(options: strawberry.Parent[Any], info: Info) -> URL | None:
    return upload_url_of(options, info.context)


@strawberry.type(description="The documented parameters that a recording was started with.")
class RecordingOptions:
    format: str | None = strawberry.field(description=parameter("format"))
    label: str | None = strawberry.field(description=parameter("label"))
    media_name: str | None = strawberry.field(description=parameter("media_name"))
    method: str = strawberry.field(description=parameter("method"))
    record_min_sec: int = strawberry.field(description=parameter("record_min_sec"))
    record_on_answer: bool = strawberry.field(description=parameter("record_on_answer"))
    record_on_bridge: bool = strawberry.field(description=parameter("record_on_bridge"))
    record_sample_rate: int | None = strawberry.field(description=parameter("record_sample_rate"))
    should_follow_transfer: bool = strawberry.field(description=parameter("should_follow_transfer"))
    time_limit: int = strawberry.field(description=parameter("time_limit"))
    url: URL | None = strawberry.field(
        resolver=_resolve_upload_url, description=f"{parameter('url')} Null without the scope CONTROL."
    )


@strawberry.type(description="Sending a stored recording to its `url`: a part of it with a life of its own.")
class Delivery:
    id: strawberry.ID = strawberry.field(description="What the receiver knows it by: the same over all attempts.")
    state: DeliveryState = strawberry.field(description="Whether it arrived.")
    attempts: int = strawberry.field(description="How often it was tried.")
    due_at: DateTime | None = strawberry.field(description="When it is tried next; null for never.")
    last_error: str | None = strawberry.field(description="Why the last failed attempt failed.")
    delivered_at: DateTime | None = strawberry.field(description="When it arrived.")


@strawberry.type(description="A legal hold: while it is there nothing and nobody deletes the recording.")
class Hold:
    by: str = strawberry.field(description="Who laid it on.")
    at: DateTime = strawberry.field(description="When that was.")
    reason: str = strawberry.field(description="Why.")


async def _resolve_account(
    row: strawberry.Parent[Row], info: Info
) -> Annotated["Account", strawberry.lazy("graph.schema.account_type")]:
    context = info.context
    # GraphQL's account is read from the domain's.
    return cast("Account", await context.recordings.account(context.principal, row["account_id"]))


@strawberry.type(description="One recording of one call.")
class Recording(Node):
    id: strawberry.ID = strawberry.field(name="plainId", description="The plain id, as the v2 API knows it.")
    account_id: strawberry.ID = strawberry.field(description="The plain id of the account that it belongs to.")
    account: Annotated["Account", strawberry.lazy("graph.schema.account_type")] = strawberry.field(
        resolver=_resolve_account, description="The account that it belongs to."
    )
    state: State = strawberry.field(description="Where it is in its life.")
    reason: Reason | None = strawberry.field(description="Why it was discarded, failed or was lost.")
    reason_detail: str | None = strawberry.field(description="More about the reason, for a human.")
    end_cause: EndCause | None = strawberry.field(description="What ended its audio.")
    start: DateTime = strawberry.field(description="When its audio began; until it does, when it was asked for.")
    created: DateTime = strawberry.field(description="When it was asked for.")
    ended: DateTime | None = strawberry.field(description="When its call was over, or it failed.")
    modified: DateTime = strawberry.field(description="When it last changed.")
    duration_ms: int | None = strawberry.field(
        description="The length of its audio in milliseconds, once that is measured."
    )
    call_id: strawberry.ID = strawberry.field(description="The id of the leg of the call that was recorded.")
    interaction_id: strawberry.ID | None = strawberry.field(description="What the legs of one conversation share.")
    cdr_id: strawberry.ID | None = strawberry.field(description="The id of the call's detail record.")
    owner_id: strawberry.ID | None = strawberry.field(description="The user whose call it was.")
    endpoint_id: strawberry.ID | None = strawberry.field(description="The device that the call went through.")
    from_: str = strawberry.field(name="from", description="Who called, as `user@realm`.")
    to: str = strawberry.field(description="Who was called, as `user@realm`.")
    request: str | None = strawberry.field(description="The SIP request of the call.")
    direction: Direction | None = strawberry.field(description="Which way the call went.")
    caller_id_name: str | None = strawberry.field(description="The caller's name.")
    caller_id_number: str | None = strawberry.field(description="The caller's number.")
    callee_id_name: str | None = strawberry.field(description="The callee's name.")
    callee_id_number: str | None = strawberry.field(description="The callee's number.")
    origin: str = strawberry.field(description=parameter("origin"))
    label: str | None = strawberry.field(description=parameter("label"))
    name: str = strawberry.field(description="Its name for display and download; never a path.")
    format: str = strawberry.field(description="The format of its audio, such as `mp3` or `wav`.")
    recorder: str = strawberry.field(description="What recorded it.")
    options: RecordingOptions = strawberry.field(description="The parameters that it was started with.")
    spans: list[Span] = strawberry.field(description="The parts of the call that were not recorded, in their order.")
    media: Media | None = strawberry.field(
        resolver=resolve_media, description="Its stored audio; null until it is stored."
    )
    delivery: Delivery | None = strawberry.field(
        description="Sending it to its `url`; null where it has none, or is not stored yet."
    )
    hold: Hold | None = strawberry.field(description="The legal hold that is on it.")
    delete_at: DateTime | None = strawberry.field(
        description="When its retention is over and it goes to the trash, unless a hold is on it; null for never."
    )
    user_metadata: JSON = strawberry.field(description="What its account attached to it: a JSON object.")
    custom_channel_vars: JSON = strawberry.field(description="What the switch attached to the call: a JSON object.")
    trashed_at: DateTime | None = strawberry.field(description="When it was deleted.")
    trashed_by: str | None = strawberry.field(description="Who deleted it.")
    trashed_reason: str | None = strawberry.field(description="Why it was deleted, where that was said.")
    purge_at: DateTime | None = strawberry.field(description="Until when a deleted one can be restored.")
    revision: int = strawberry.field(description="How often it changed.")

    @classmethod
    def is_type_of(cls, source: Any, *_: Any) -> bool:
        return isinstance(source, dict)


COMPUTED: Final[Mapping[str, frozenset[str]]] = {
    "global_id": frozenset({"id"}),
    "account": frozenset({"account_id"}),
    "media": frozenset({"id", "state", "media"}),
}
"""The fields of `Recording` that are computed, by Python name, and the row fields that each of them reads."""
