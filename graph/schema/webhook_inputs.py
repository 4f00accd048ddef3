"""The inputs of webhooks."""

from typing import Any, ClassVar

import strawberry
from strawberry import UNSET

from graph.schema.enums import EventType
from graph.schema.filter_input import RecordingFilter, to_condition
from graph.schema.filter_text import text_of
from graph.schema.partial_input import PartialInput
from graph.schema.policy_inputs import ACCOUNT_ID
from graph.schema.scalars import JSON, DateTime
from graph.schema.webhook_enums import EventInclude, KazooBody, KazooVerb, WebhookFormat
from recordings.model.instants import SECOND
from recordings.rules.kazoo_webhook import FORMAT

_ID = "The id of the webhook."
_VALUE = "The secret: `whsec_` and 24 to 64 bytes in base64. Default: the service makes one."
_KEY = (
    "1 to 128 printable characters. A repeated request with the same key creates no second webhook. It returns the "
    "first one, as long as that exists."
)
_OVERLAP = "How long the former secret signs, too, after a rotation, in seconds: at most 604800 (7 days)."


def _optional(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description="The settings of the format KAZOO.")
class KazooWebhookInput(PartialInput):
    verb: KazooVerb | None = _optional("The method of the requests. Default: POST.")
    body: KazooBody | None = _optional("The body of a POST or PUT. Default: FORM_DATA.")
    custom_data: JSON | None = _optional(
        "A JSON object of texts that joins the values of each request. Its values win. Default: none."
    )

    def values(self) -> dict[str, Any]:
        """Return the given values for the use case."""
        found: dict[str, Any] = {}
        if self.verb is not None:
            found["verb"] = self.verb
        if self.body is not None:
            found["kazoo"] = {FORMAT: self.body.value}
        if self.custom_data is not None:
            found["custom_data"] = self.custom_data
        return found


class _Settings(PartialInput):
    """The settings that can be created and changed. Null removes the types and the filter."""

    NULL_IS_A_VALUE: ClassVar = frozenset({"types", "filter"})
    _PLAIN: ClassVar = ("url", "name", "include", "format", "descendants", "enabled")

    def values(self) -> dict[str, Any]:
        """Return the given values for the use case."""
        own: Any = self
        found = {name: value for name in self._PLAIN if (value := getattr(own, name)) is not None}
        if own.types is not UNSET:
            found["types"] = own.types
        if own.filter is not UNSET:
            found |= {"where": to_condition(own.filter), "filter": text_of(own.filter)}
        if own.secret_overlap_seconds is not None:
            found["overlap"] = own.secret_overlap_seconds * SECOND
        return found | ({} if own.kazoo is None else own.kazoo.values())


_TYPES = "The types of events that it gets. Null: all types except `recording.accessed`."
_FILTER = (
    "It gets only events of recordings that match when they are sent. A purged recording matches every filter. Null: "
    "events of all recordings."
)
_INCLUDE = "Parts of the recording that its events have, too. Default: none."
_FORMAT = "The form of the requests."
_DESCENDANTS = "Whether it also gets the events of all accounts below."


@strawberry.input(description="A new webhook. It gets the events from now on.")
class CreateWebhookInput(_Settings):
    url: str = strawberry.field(description="The URL of the receiver: http or https, on the public Internet.")
    account_id: strawberry.ID | None = _optional(ACCOUNT_ID)
    name: str | None = _optional("A name for people, of at most 128 characters.")
    types: list[EventType] | None = _optional(_TYPES)
    filter: RecordingFilter | None = _optional(_FILTER)
    include: list[EventInclude] | None = _optional(_INCLUDE)
    format: WebhookFormat | None = _optional(f"{_FORMAT} Default: STANDARD.")
    kazoo: KazooWebhookInput | None = _optional("Further settings of the format KAZOO.")
    descendants: bool | None = _optional(f"{_DESCENDANTS} Default: false.")
    enabled: bool | None = _optional("Whether it gets events. Default: true.")
    secret: str | None = _optional(_VALUE)
    secret_overlap_seconds: int | None = _optional(f"{_OVERLAP} Default: 86400 (a day).")
    idempotency_key: str | None = _optional(_KEY)


@strawberry.input(description="Changes of a webhook. Fields that are left out do not change.")
class UpdateWebhookInput(_Settings):
    id: strawberry.ID = strawberry.field(description=_ID)
    url: str | None = _optional("The URL of the receiver. The secret stays the same.")
    name: str | None = _optional("A name for people, of at most 128 characters.")
    types: list[EventType] | None = _optional(_TYPES)
    filter: RecordingFilter | None = _optional(_FILTER)
    include: list[EventInclude] | None = _optional("Parts of the recording that its events have, too.")
    format: WebhookFormat | None = _optional(_FORMAT)
    kazoo: KazooWebhookInput | None = _optional("Further settings of the format KAZOO.")
    descendants: bool | None = _optional(_DESCENDANTS)
    enabled: bool | None = _optional(
        "Whether it gets events. A webhook that is enabled again continues where its delivery stopped."
    )
    secret_overlap_seconds: int | None = _optional(_OVERLAP)
    revision: int | None = _optional(
        "The revision that the webhook must have. If it has another one, the error is `ConflictError`."
    )


@strawberry.input(description="A webhook to delete.")
class DeleteWebhookInput:
    id: strawberry.ID = strawberry.field(description=_ID)


@strawberry.input(description="A webhook to test.")
class TestWebhookInput:
    id: strawberry.ID = strawberry.field(description=_ID)


@strawberry.input(description="A webhook that gets a new secret.")
class RotateWebhookSecretInput(PartialInput):
    id: strawberry.ID = strawberry.field(description=_ID)
    secret: str | None = _optional(_VALUE)
    secret_overlap_seconds: int | None = _optional(f"{_OVERLAP} Default: the setting of the webhook.")


@strawberry.input(description="The events that a webhook gets again.")
class ReplayWebhookInput(PartialInput):
    id: strawberry.ID = strawberry.field(description=_ID)
    since: DateTime = strawberry.field(description="Events that were stored at this time or later.")
    until: DateTime | None = _optional("Events that were stored before this time. Default: now.")
    types: list[EventType] | None = _optional("Only these types. Default: all types of the webhook.")
