"""The request for an event in each format of webhooks, without its signature.

Sources: Standard Webhooks 1.0; the HTTP binding of CloudEvents 1.0; `webhooks_util.erl` of Kazoo. All formats send the
thin data of `recordings.rules.event_document`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urldefrag, urlencode

from recordings.model.feed_event import FeedEvent
from recordings.model.fields import RecordingRow
from recordings.model.instants import to_iso
from recordings.model.webhook import HttpVerb, Webhook, WebhookFormat, WebhookRequest
from recordings.rules.event_document import cloud_event
from recordings.rules.kazoo_webhook import FORMAT, KazooBody, sent_values

_JSON: Final = "application/json"
_CLOUD_EVENT: Final = "application/cloudevents+json"
_FORM: Final = "application/x-www-form-urlencoded"
_UNENCODED: Final = "".join(map(chr, range(0x21, 0x7F))).replace('"', "").replace("%", "")
"""The characters that the HTTP binding of CloudEvents does not encode in headers."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The sender of events: the URL of this service, without a `/` at its end, and the id of the installation."""

    base_url: str
    installation_id: str = ""


def encode(webhook: Webhook, event: FeedEvent, row: RecordingRow | None, origin: Origin) -> WebhookRequest | None:
    """Return the request for an event; `None` if the format of the webhook has none for it.

    `row` is the recording of the event, `None` for an event of an account.
    """
    if webhook.format is WebhookFormat.KAZOO:
        values = sent_values(webhook, event, origin.installation_id)
        return None if values is None else _kazoo(webhook, values)
    document = cloud_event(event, row, origin.base_url, webhook.include)
    if webhook.format is WebhookFormat.CLOUDEVENTS_STRUCTURED:
        return _post(webhook, document, {"content-type": _CLOUD_EVENT})
    if webhook.format is WebhookFormat.CLOUDEVENTS_BINARY:
        data, content_type = document.pop("data"), document.pop("datacontenttype")
        attributes = {f"ce-{name}": quote(value, safe=_UNENCODED) for name, value in document.items()}
        return _post(webhook, data, {"content-type": content_type, **attributes})
    body = {"type": event.type.value, "timestamp": to_iso(event.time), "data": document["data"]}
    return _post(webhook, body, {"content-type": _JSON})


def _post(webhook: Webhook, document: Mapping[str, Any], headers: Mapping[str, str]) -> WebhookRequest:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return WebhookRequest("POST", webhook.url, headers, body)


def _kazoo(webhook: Webhook, values: Mapping[str, str]) -> WebhookRequest:
    method = webhook.verb.value
    headers = {"x-hook-id": webhook.id, "x-account-id": webhook.account_id}
    if webhook.verb is HttpVerb.GET:
        url = urldefrag(webhook.url).url
        separator = "&" if "?" in url else "?"
        return WebhookRequest(method, f"{url}{separator}{urlencode(values)}", headers, b"")
    if webhook.kazoo.get(FORMAT) == KazooBody.JSON:
        body = json.dumps(values, ensure_ascii=False, indent=2)
        return WebhookRequest(method, webhook.url, {"content-type": _JSON, **headers}, body.encode())
    return WebhookRequest(method, webhook.url, {"content-type": _FORM, **headers}, urlencode(values).encode())
