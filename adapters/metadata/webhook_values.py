"""Webhooks as JSON text, as both stores keep them: one text for the settings, one for the progress."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import msgspec

from recordings.model.feed_event import EventInclude, EventType
from recordings.model.query import (
    EVERYTHING,
    And,
    Condition,
    Equal,
    HasMedia,
    HasMetadata,
    Held,
    In,
    Not,
    Or,
    Prefix,
    Range,
)
from recordings.model.webhook import DisabledReason, HttpVerb, Webhook, WebhookAttempt, WebhookFormat, WebhookProgress

_CONDITIONS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind for kind in (Equal, In, Prefix, Range, HasMedia, Held, HasMetadata)
}
_attempts: Final = msgspec.json.Decoder(WebhookAttempt)
_progress: Final = msgspec.json.Decoder(WebhookProgress)
OWN_COLUMNS: Final = frozenset({"due_at", "holder", "revision"})
"""The fields of the progress that have a column of their own."""


def settings_text(webhook: Webhook) -> str:
    """Return the settings as JSON text."""
    values = {each.name: getattr(webhook, each.name) for each in fields(webhook)}
    values["where"] = _condition_values(webhook.where)
    return msgspec.json.encode(values, order="sorted").decode()


def read_settings(text: str) -> Webhook:
    """Return the settings of a text that `settings_text` made."""
    values = msgspec.json.decode(text)
    types, disabled = values["types"], values["disabled"]
    values |= {
        "types": None if types is None else frozenset(map(EventType, types)),
        "where": _read_condition(values["where"]),
        "include": frozenset(map(EventInclude, values["include"])),
        "format": WebhookFormat(values["format"]),
        "verb": HttpVerb(values["verb"]),
        "disabled": None if disabled is None else DisabledReason(disabled),
    }
    return Webhook(**values)


def progress_text(progress: WebhookProgress) -> str:
    """Return the progress as JSON text, without `OWN_COLUMNS`."""
    values = {each.name: getattr(progress, each.name) for each in fields(progress) if each.name not in OWN_COLUMNS}
    return msgspec.json.encode(values).decode()


def read_progress(text: str, due_at: int | None, holder: str, revision: int) -> WebhookProgress:
    """Return the progress of a text that `progress_text` made, and of its own columns."""
    return replace(_progress.decode(text), due_at=due_at, holder=holder, revision=revision)


def attempt_text(attempt: WebhookAttempt) -> str:
    """Return an attempt as JSON text."""
    return msgspec.json.encode(attempt).decode()


def read_attempt(text: str) -> WebhookAttempt:
    """Return the attempt of a text that `attempt_text` made."""
    return _attempts.decode(text)


def _condition_values(condition: Condition) -> Any:
    kind = type(condition).__name__
    if isinstance(condition, And | Or):
        return [kind, *map(_condition_values, condition.items)]
    if isinstance(condition, Not):
        return [kind, _condition_values(condition.item)]
    return [kind, *(getattr(condition, each.name) for each in fields(condition))]


def _read_condition(values: Any) -> Condition:
    kind, *parts = values
    if kind == And.__name__:
        # The selection of events compares with this object.
        return And(tuple(map(_read_condition, parts))) if parts else EVERYTHING
    if kind == Or.__name__:
        return Or(tuple(map(_read_condition, parts)))
    if kind == Not.__name__:
        return Not(_read_condition(parts[0]))
    read: Condition = _CONDITIONS[kind](*(tuple(each) if isinstance(each, list) else each for each in parts))
    return read
