"""The types of which a recording consists: its options, spans, delivery and legal hold."""

from typing import Any, cast

import strawberry

from graph.schema.camel_case import parameter_description
from graph.schema.enums import DeliveryMethod, DeliveryState, RecordingFormat, SampleRate, Scope, SpanKind
from graph.schema.field_info import Info
from graph.schema.resolver_context import Context
from graph.schema.scalars import URL, DateTime
from recordings.model.fields import OptionsRow


@strawberry.type(description="A part of a call that is not in the audio.")
class Span:
    kind: SpanKind = strawberry.field(description="The reason.")
    at: DateTime = strawberry.field(description="The time at which the part began.")
    at_ms: int = strawberry.field(description="The position in the audio at which the part began, in milliseconds.")
    duration_ms: int | None = strawberry.field(
        description="The duration in milliseconds. Null until the part ends. A paused part takes no time in the "
        "audio. Every other part is silence of this duration in the audio."
    )


def delivery_url_of(options: OptionsRow, context: Context) -> URL | None:
    """Return the URL to which the audio is sent, or `None` without the scope CONTROL.

    Such a URL often contains a secret of the client that set it.
    """
    return cast("URL | None", options["url"]) if Scope.CONTROL in context.principal.scopes else None


def _resolve_delivery_url(options: strawberry.Parent[Any], info: Info) -> URL | None:
    return delivery_url_of(options, info.context)


@strawberry.type(description="The options with which a recording was started.")
class RecordingOptions:
    format: RecordingFormat | None = strawberry.field(description=parameter_description("format"))
    label: str | None = strawberry.field(description=parameter_description("label"))
    media_name: str | None = strawberry.field(description=parameter_description("media_name"))
    method: DeliveryMethod = strawberry.field(description=parameter_description("method"))
    record_min_sec: int = strawberry.field(description=parameter_description("record_min_sec"))
    record_on_answer: bool = strawberry.field(description=parameter_description("record_on_answer"))
    record_on_bridge: bool = strawberry.field(description=parameter_description("record_on_bridge"))
    record_sample_rate: SampleRate | None = strawberry.field(description=parameter_description("record_sample_rate"))
    should_follow_transfer: bool = strawberry.field(description=parameter_description("should_follow_transfer"))
    time_limit: int = strawberry.field(description=parameter_description("time_limit"))
    url: URL | None = strawberry.field(
        resolver=_resolve_delivery_url, description=f"{parameter_description('url')} Null without the scope CONTROL."
    )


@strawberry.type(
    description="The delivery of a stored recording to its `url`. A failed delivery does not affect the recording."
)
class Delivery:
    id: strawberry.ID = strawberry.field(
        description="The delivery id, which is sent to the receiver. It is the same for all attempts."
    )
    state: DeliveryState = strawberry.field(description="The state of the delivery.")
    attempts: int = strawberry.field(description="The number of attempts so far.")
    due_at: DateTime | None = strawberry.field(
        description="The time of the next attempt. Null if there will be no further attempt."
    )
    last_error: str | None = strawberry.field(description="The error of the last failed attempt.")
    delivered_at: DateTime | None = strawberry.field(
        description="The time at which the receiver accepted the recording."
    )


@strawberry.type(
    description="A legal hold on a recording. Neither a client nor the retention policy can delete the recording until "
    "the hold is released."
)
class Hold:
    by: str = strawberry.field(description="The name of the credentials that set the hold.")
    at: DateTime = strawberry.field(description="The time at which the hold was set.")
    reason: str = strawberry.field(description="The reason for the hold.")
