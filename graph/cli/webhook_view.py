"""Webhooks and their attempts as the command line shows them."""

from collections.abc import Mapping
from typing import Any

from recordings.model.instants import HOUR, Millis, to_iso
from recordings.model.webhook import WebhookAttempt
from recordings.ports.webhook_store import Endpoint


def webhook_view(endpoint: Endpoint) -> Mapping[str, Any]:
    """Return a webhook as a JSON object, without its secret."""
    webhook, progress = endpoint.webhook, endpoint.progress
    return {
        "id": webhook.id,
        "account": webhook.account_id,
        "url": webhook.url,
        "name": webhook.name,
        "types": None if webhook.types is None else sorted(webhook.types),
        "filter": webhook.filter or None,
        "include": sorted(webhook.include),
        "format": webhook.format.value,
        "verb": webhook.verb.value,
        "custom_data": dict(webhook.custom_data),
        "kazoo": dict(webhook.kazoo),
        "descendants": webhook.descendants,
        "enabled": webhook.enabled,
        "disabled_reason": webhook.disabled,
        "disabled_at": _time(webhook.disabled_at),
        "disabled_detail": webhook.disabled_detail or None,
        "overlap_hours": webhook.overlap / HOUR,
        "former_secret_until": _time(webhook.old_secret_until or None),
        "waiting": len(progress.waiting),
        "failures": progress.failures,
        "failing_since": _time(progress.failing_since),
        "given_up": progress.given_up,
        "given_up_since": _time(progress.given_up_since),
        "last_success": _time(progress.last_success),
        "replay": None
        if progress.replay is None
        else {"since": to_iso(progress.replay.since), "until": to_iso(progress.replay.until)},
        "created": to_iso(webhook.created),
        "modified": to_iso(webhook.modified),
        "revision": webhook.revision,
    }


def attempt_view(attempt: WebhookAttempt) -> Mapping[str, Any]:
    """Return an attempt as a JSON object."""
    return {
        "event": attempt.event_id,
        "type": attempt.type.value,
        "subject": attempt.subject,
        "attempt": attempt.attempt,
        "at": to_iso(attempt.at),
        "duration_ms": attempt.duration_ms,
        "succeeded": attempt.succeeded,
        "status": attempt.status,
        "error": attempt.error or None,
        "response": attempt.answer,
        "headers": dict(attempt.headers),
    }


def _time(at: Millis | None) -> str | None:
    return None if at is None else to_iso(at)
