"""The permitted settings of a webhook. The settings of the format KAZOO exist in this format only."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recordings.model.errors import Problem, problem
from recordings.model.instants import DAY, SECOND, Millis
from recordings.model.webhook import HttpVerb, Webhook, WebhookFormat
from recordings.rules.kazoo_webhook import types_of

MAX_NAME: Final = 128
MAX_OVERLAP: Final[Millis] = 7 * DAY
MAX_CUSTOM: Final = 4_096
"""Maximum size of `custom_data` and of `kazoo` as JSON, in bytes."""


def with_values(webhook: Webhook, given: Mapping[str, Any]) -> Webhook:
    """Return a webhook with other values. If its format is not KAZOO, it loses the other settings of that format."""
    values = dict(given)
    if values.get("format", webhook.format) is not WebhookFormat.KAZOO:
        values = {"verb": HttpVerb.POST, "kazoo": {}, "custom_data": {}} | values
    elif values.get("types", webhook.types) is None:
        values["types"] = types_of(None)
    return replace(webhook, **values)


def problems_of(webhook: Webhook) -> list[Problem]:
    """Return the problems of the settings of a webhook, except for its URL."""
    found = []
    if len(webhook.name) > MAX_NAME or not (webhook.name.isprintable() or not webhook.name):
        found.append(problem(("name",), "maxLength", webhook.name, f"at most {MAX_NAME} printable characters"))
    if webhook.types is not None and not webhook.types:
        found.append(problem(("types",), "minItems", [], "at least one type, or null for all"))
    if not 0 <= webhook.overlap <= MAX_OVERLAP:
        seconds, allowed = webhook.overlap // SECOND, f"an integer from 0 to {MAX_OVERLAP // SECOND}"
        found.append(problem(("secret_overlap_seconds",), "maximum", seconds, allowed))
    return found + _kazoo_problems(webhook)


def _kazoo_problems(webhook: Webhook) -> list[Problem]:
    """Return the problems of the settings that only the format KAZOO has."""
    custom: Any = webhook.custom_data
    if webhook.format is not WebhookFormat.KAZOO:
        is_plain = webhook.verb is HttpVerb.POST and not custom and not webhook.kazoo
        return [] if is_plain else [problem(("kazoo",), "const", webhook.format.value, "left out with this format")]
    found = []
    if webhook.types is not None and (others := webhook.types - types_of(None)):
        allowed = f"types that Kazoo knows: {', '.join(sorted(types_of(None)))}"
        found.append(problem(("types",), "enum", min(others), allowed))
    if not isinstance(custom, Mapping) or not all(isinstance(value, str) for value in custom.values()):
        found.append(problem(("kazoo", "custom_data"), "type", custom, "an object of texts"))
    for name in ("custom_data", "kazoo"):
        size = len(json.dumps(getattr(webhook, name)).encode())
        if size > MAX_CUSTOM:
            allowed = f"at most {MAX_CUSTOM} bytes as JSON"
            found.append(problem(("kazoo", "custom_data"), "maxLength", f"{size} bytes", allowed))
    return found
