"""The request for an event in each format of webhooks, without its signature.

Each format is one function of `ENCODERS`. All of them send the thin data of `recordings.rules.event_document`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from recordings.model.feed_event import FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import to_iso
from recordings.model.webhook import Webhook, WebhookFormat, WebhookRequest
from recordings.rules.event_document import event_data

Encode = Callable[[Webhook, FeedEvent, RecordingRow | None, str], WebhookRequest]
"""Makes the request for an event. `row` is its recording, `None` for an event of an account. The text is the URL of
this service, without a `/` at its end."""


def standard(webhook: Webhook, event: FeedEvent, row: RecordingRow | None, base_url: str) -> WebhookRequest:
    """Return the request with the JSON of Standard Webhooks 1.0."""
    data = event_data(event, row, base_url, webhook.include)
    body = {"type": event.type.value, "timestamp": to_iso(event.time), "data": data}
    return WebhookRequest("POST", webhook.url, {"Content-Type": "application/json"}, _json(body))


ENCODERS: Final[Mapping[WebhookFormat, Encode]] = dict.fromkeys(WebhookFormat, standard)


def encode(webhook: Webhook, event: FeedEvent, row: RecordingRow | None, base_url: str) -> WebhookRequest:
    """Return the request for an event in the format of a webhook."""
    return ENCODERS[webhook.format](webhook, event, row, base_url)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
