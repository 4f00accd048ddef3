"""A webhook as Kazoo's document (`docs/v2_contract.md`, section 9.5), with no I/O.

The rules are those of Kazoo's schema `webhooks.json`. As there, a text that looks like an integer or a boolean is
converted before it is checked, and fields that the schema does not have are kept.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.rest_v2.request.v2_errors import V2Error, escaped
from recordings.model.errors import shorten
from recordings.model.feed_event import EventType
from recordings.model.webhook import DisabledReason, HttpVerb, Webhook
from recordings.rules.kazoo_webhook import ALL, HOOK, OBJECT_TYPE, KazooAction, KazooBody, types_of

Document = dict[str, Any]
Errors = dict[str, dict[str, Any]]

RETRIES: Final = (0, 5)
"""The allowed numbers of retries. Kazoo's schema allows 0 to 4, and its older schema 1 to 5."""
VERBS: Final = tuple(verb.value.lower() for verb in HttpVerb)
_FORMATS: Final = tuple(body.value for body in KazooBody)
_DEFAULTS: Final[Mapping[str, Any]] = {
    "enabled": True, "format": KazooBody.FORM_DATA.value, "http_verb": "post", "include_internal_legs": True,
    "include_subaccounts": False, "retries": 2,
}  # fmt: skip
_TYPES: Final[Mapping[str, type]] = {
    "name": str, "uri": str, "hook": str, "http_verb": str, "format": str, "enabled": bool, "include_subaccounts": bool,
    "include_internal_legs": bool, "retries": int, "custom_data": dict,
}  # fmt: skip
_TYPE_NAMES: Final = {str: "string", bool: "boolean", int: "integer", dict: "object"}
_CHOICES: Final = {"hook": (HOOK,), "http_verb": VERBS, "format": _FORMATS}
_REQUIRED: Final = ("hook", "name", "uri")
SELECTIONS: Final = {"type": (ALL, OBJECT_TYPE), "action": (ALL, *(action.value for action in KazooAction))}
"""The custom data that selects events, and its values."""
_OWN: Final = frozenset({"id", "disable_reason", "ui_metadata"})
"""Fields that a client may send back, without effect."""
_PRIVATE: Final = ("_", "pvt_")
_LISTED: Final = ("id", "hook", "name", "uri", "group", "enabled", "disable_reason")
"""The fields of a webhook in a list."""
_INTEGER: Final = re.compile(r"-?[0-9]{1,9}")
_REASONS: Final = {
    DisabledReason.GONE: "the receiver answered 410",
    DisabledReason.FAILING: "too many failed attempts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KazooSettings:
    """What a document says about a webhook. `kazoo` has the fields that only Kazoo's format has."""

    name: str
    url: str
    verb: HttpVerb
    enabled: bool
    descendants: bool
    types: frozenset[EventType]
    custom_data: Mapping[str, str]
    kazoo: Mapping[str, Any]


def document_of(webhook: Webhook) -> Document:
    """Return the document of a webhook."""
    selection = {"type": webhook.kazoo.get("type", OBJECT_TYPE), "action": _action_of(webhook.types)}
    document = {name: value for name, value in webhook.kazoo.items() if name != "type"} | {
        "id": webhook.id,
        "name": webhook.name,
        "uri": webhook.url,
        "hook": HOOK,
        "http_verb": webhook.verb.value.lower(),
        "enabled": webhook.enabled,
        "include_subaccounts": webhook.descendants,
        "custom_data": {**webhook.custom_data, **selection},
    }
    return {**_DEFAULTS, **document, **_reason(webhook)}


def summary_of(webhook: Webhook) -> Document:
    """Return the document of a webhook as a list has it."""
    document = document_of(webhook)
    return {name: document[name] for name in _LISTED if name in document}


def _reason(webhook: Webhook) -> Document:
    reason = None if webhook.disabled is None else _REASONS.get(webhook.disabled)
    return {} if reason is None else {"disable_reason": reason}


def _action_of(types: frozenset[EventType] | None) -> str:
    return next((action.value for action in KazooAction if types == types_of(action)), ALL)


def public(body: Mapping[str, Any]) -> Document:
    """Return the fields of a body that a client may set."""
    return {name: value for name, value in body.items() if name not in _OWN and not name.startswith(_PRIVATE)}


def read_document(body: Mapping[str, Any]) -> KazooSettings:
    """Return the settings of a document.

    Raises:
        V2Error: 400 with an entry for each invalid value.
    """
    document = {**_DEFAULTS, **{name: _converted(name, value) for name, value in public(body).items()}}
    errors: Errors = {}
    for name in _REQUIRED:
        if name not in document:
            errors[name] = {"required": {"message": "Field is required but missing"}}
    for name in _TYPES.keys() & document.keys():
        _check(name, document[name], errors)
    custom = document.pop("custom_data", {})
    if isinstance(custom, dict):
        _check_custom_data(custom, errors)
    if errors:
        raise V2Error(400, "validation error", errors)
    return _settings(document, custom)


def _settings(document: Document, custom: Mapping[str, str]) -> KazooSettings:
    action = None if custom["action"] == ALL else KazooAction(custom["action"])
    apart = ("name", "uri", "hook", "http_verb", "enabled", "include_subaccounts")
    return KazooSettings(
        name=document["name"],
        url=document["uri"],
        verb=HttpVerb(document["http_verb"].upper()),
        enabled=document["enabled"],
        descendants=document["include_subaccounts"],
        types=types_of(action),
        custom_data={name: value for name, value in custom.items() if name not in SELECTIONS},
        kazoo={name: value for name, value in document.items() if name not in apart} | {"type": custom["type"]},
    )


def _check(name: str, value: Any, errors: Errors) -> None:
    wanted = _TYPES[name]
    is_right: bool = type(value) is wanted
    if not is_right:
        message = f"Value did not match type(s): {_TYPE_NAMES[wanted]}"
        errors[name] = {"type": {"message": message, "target": _TYPE_NAMES[wanted], "value": _shown(value)}}
    elif name in _CHOICES and value not in _CHOICES[name]:
        errors[name] = _enum(_CHOICES[name], value)
        if name == "hook":
            errors[name]["enum"]["cause"] = "This service sends the events of recordings only: hook must be object"
    elif name == "retries" and not RETRIES[0] <= value <= RETRIES[1]:
        is_low = value < RETRIES[0]
        limit, words = (RETRIES[0], "least") if is_low else (RETRIES[1], "most")
        rule = "minimum" if is_low else "maximum"
        errors[name] = {rule: {"message": f"Value must be at {words} {limit}", "target": limit, "value": value}}


def _check_custom_data(custom: Mapping[str, Any], errors: Errors) -> None:
    for name, value in custom.items():
        if not isinstance(value, str):
            key = f"custom_data.{escaped(name)}"
            message = "Value did not match type(s): string"
            errors[key] = {"type": {"message": message, "target": "string", "value": _shown(value)}}
    for name, choices in SELECTIONS.items():
        if name not in custom:
            errors[f"custom_data.{name}"] = {"required": {"message": "missing required modifier", "target": [*choices]}}
        elif isinstance(custom[name], str) and custom[name] not in choices:
            errors[f"custom_data.{name}"] = _enum(choices, custom[name])


def _enum(choices: tuple[str, ...], value: str) -> dict[str, Any]:
    message = "Value not found in enumerated list of values"
    return {"enum": {"message": message, "target": [*choices], "value": _shown(value)}}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return shorten(value)
    return value if isinstance(value, bool | int | float | None) else None


def _converted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if _TYPES.get(name) is int and _INTEGER.fullmatch(value):
            return int(value)
        if _TYPES.get(name) is bool:
            return {"true": True, "false": False}.get(value, value)
    return value
