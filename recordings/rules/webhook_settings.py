"""The permitted settings of a webhook. The settings of the format KAZOO exist in this format only."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from recordings.model.errors import InvalidInput, Problem, problem
from recordings.model.feed_event import EventInclude, EventType
from recordings.model.instants import DAY, SECOND, Millis
from recordings.model.query import check
from recordings.model.webhook import DisabledReason, HttpVerb, Webhook, WebhookFormat
from recordings.rules.idempotency import check_key, fingerprint
from recordings.rules.kazoo_webhook import types_of as kazoo_types

MAX_NAME: Final = 128
ID_DIGITS: Final = 32
"""Hexadecimal digits of the id of a webhook."""
MAX_OVERLAP: Final[Millis] = 7 * DAY
MAX_CUSTOM: Final = 4_096
"""Maximum size of `custom_data` and of `kazoo` as JSON, in bytes."""
_CHANGEABLE: Final = frozenset(each.name for each in fields(Webhook)) - {
    "id", "account_id", "created", "modified", "revision", "fingerprint", "old_secret_until", "disabled", "disabled_at",
    "disabled_detail",
} | {"enabled"}  # fmt: skip


def with_values(webhook: Webhook, given: Mapping[str, Any], now: Millis) -> Webhook:
    """Return a webhook with other values and the next revision; a blank one with its first revision.

    If its format is not KAZOO, it loses the other settings of that format.

    Raises:
        InvalidInput: a name, a type or another choice is unknown, or the condition is not allowed.
    """
    if unknown := sorted(given.keys() - _CHANGEABLE):
        raise InvalidInput.of((unknown[0],), "additionalProperties", None, f"one of {', '.join(sorted(_CHANGEABLE))}")
    values = dict(given)
    enabled = values.pop("enabled", webhook.enabled)
    if values.get("types") is not None:
        values["types"] = types_of(values["types"], frozenset(EventType))
    if "include" in values:
        values["include"] = frozenset(_choices(("include",), values["include"], EventInclude))
    for name, kind in (("format", WebhookFormat), ("verb", HttpVerb)):
        if name in values:
            (values[name],) = _choices((name,), [values[name]], kind)
    if values.get("format", webhook.format) is not WebhookFormat.KAZOO:
        values = {"verb": HttpVerb.POST, "kazoo": {}, "custom_data": {}} | values
    elif values.get("types", webhook.types) is None:
        values["types"] = kazoo_types(None)
    changed = replace(webhook, **values)
    if enabled and not webhook.enabled:
        changed = replace(changed, disabled=None, disabled_at=None, disabled_detail="")
    elif webhook.enabled and not enabled:
        changed = replace(changed, disabled=DisabledReason.BY_CLIENT, disabled_at=now)
    check(changed.where)
    return replace(changed, modified=now, revision=webhook.revision + 1 if webhook.url else webhook.revision)


def with_key(webhook: Webhook, key: str | None, given: Mapping[str, Any], secret: str | None) -> Webhook:
    """Return a new webhook whose id comes from its account and an idempotency key, with the digest of its request."""
    check_key(key)
    if key is None:
        return webhook
    identity = fingerprint({"webhook": webhook.account_id, "key": key})[:ID_DIGITS]
    request = {name: repr(value) for name, value in given.items()}
    return replace(webhook, id=identity, fingerprint=fingerprint({"request": request, "secret": secret}))


def types_of(names: Collection[str], allowed: Collection[EventType]) -> frozenset[EventType]:
    """Return the types with these names.

    Raises:
        InvalidInput: one of them is not allowed.
    """
    known = {each.value: each for each in allowed}
    for name in names:
        if str(name) not in known:
            raise InvalidInput.of(("types",), "enum", str(name), f"one of {', '.join(sorted(known))}")
    return frozenset(known[str(name)] for name in names)


def _choices(path: Sequence[str], names: Collection[Any], kind: type[Any]) -> list[Any]:
    known = {each.value: each for each in kind}
    for name in names:
        if name not in known:
            raise InvalidInput.of(path, "enum", str(name), f"one of {', '.join(known)}")
    return [known[name] for name in names]


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
    if webhook.types is not None and (others := webhook.types - kazoo_types(None)):
        allowed = f"types that Kazoo knows: {', '.join(sorted(kazoo_types(None)))}"
        found.append(problem(("types",), "enum", min(others), allowed))
    if not isinstance(custom, Mapping) or not all(isinstance(value, str) for value in custom.values()):
        found.append(problem(("kazoo", "custom_data"), "type", custom, "an object of texts"))
    for name in ("custom_data", "kazoo"):
        size = len(json.dumps(getattr(webhook, name)).encode())
        if size > MAX_CUSTOM:
            allowed = f"at most {MAX_CUSTOM} bytes as JSON"
            found.append(problem(("kazoo", "custom_data"), "maxLength", f"{size} bytes", allowed))
    return found
