"""The enumerations of webhooks, with a description of each value."""

from graph.schema.enums import describe
from recordings.model.feed_event import EventInclude
from recordings.model.webhook import DisabledReason, WebhookFormat
from recordings.model.webhook import HttpVerb as KazooVerb
from recordings.rules.kazoo_webhook import KazooBody

__all__ = ["DisabledReason", "EventInclude", "KazooBody", "KazooVerb", "WebhookFormat"]

describe(
    WebhookFormat,
    "WebhookFormat",
    "The form of the requests to a webhook. All of them have the signature headers of Standard Webhooks.",
    {
        WebhookFormat.STANDARD: "Standard Webhooks 1.0: `{type, timestamp, data}` as JSON.",
        WebhookFormat.CLOUDEVENTS_BINARY: "CloudEvents 1.0: the attributes in headers, the data in the body.",
        WebhookFormat.CLOUDEVENTS_STRUCTURED: "CloudEvents 1.0: the attributes and the data in one JSON document.",
        WebhookFormat.KAZOO: "The `object` webhooks of Kazoo: `id`, `account_id`, `action`, `type`, `cluster_id` and "
        "the custom data.",
    },
)
describe(
    DisabledReason,
    "WebhookDisabledReason",
    "Why a webhook is disabled.",
    {
        DisabledReason.BY_CLIENT: "A client disabled it.",
        DisabledReason.GONE: "The receiver answered 410.",
        DisabledReason.FAILING: "All attempts of five days failed.",
    },
)
describe(
    EventInclude,
    "RecordingEventInclude",
    "A part of the recording that the data of its events has in addition.",
    {
        EventInclude.PARTIES: "The numbers and names of the parties, and the direction.",
        EventInclude.METADATA: "The name of the recording, and its user metadata.",
    },
)
describe(
    KazooVerb,
    "KazooVerb",
    "The method of the requests in the format KAZOO.",
    {
        KazooVerb.GET: "GET: the values are in the query.",
        KazooVerb.POST: "POST.",
        KazooVerb.PUT: "PUT.",
    },
)
describe(
    KazooBody,
    "KazooBody",
    "The body of a POST or PUT in the format KAZOO.",
    {
        KazooBody.FORM_DATA: "A form: `application/x-www-form-urlencoded`.",
        KazooBody.JSON: "A JSON object.",
    },
)
