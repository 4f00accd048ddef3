"""The `object` webhooks of Kazoo: their actions, and the values that they send.

Sources: `webhooks_object.erl` and `webhooks_util.erl` of Kazoo. Its type of recordings is `call_recording`. A client
that hears of a recording gets the document through the v2 API.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from recordings.model.feed_event import EventType, FeedEvent
from recordings.model.recording import State
from recordings.model.webhook import Webhook

HOOK: Final = "object"
OBJECT_TYPE: Final = "call_recording"
ALL: Final = "all"
FORMAT: Final = "format"
"""The key of a webhook's `kazoo` that has a `KazooBody`."""
MODIFIERS: Final = "modifiers"
"""The key of a webhook's `kazoo` with further conditions: the values that each key of a request may have."""
_TEST_TYPE: Final = "webhook"
"""A test is about the webhook itself, because a client gets the recording that it hears of."""
_SELECTING: Final = frozenset({"type", "action"})
"""Keys of the custom data that select events. They are not sent."""


class KazooBody(StrEnum):
    """The body of a POST or PUT."""

    FORM_DATA = "form-data"
    JSON = "json"


class KazooAction(StrEnum):
    """What happened to an object."""

    CREATED = "doc_created"
    EDITED = "doc_edited"
    DELETED = "doc_deleted"


EVENTS: Final[Mapping[KazooAction, frozenset[EventType]]] = {
    KazooAction.CREATED: frozenset({EventType.STORED}),
    KazooAction.EDITED: frozenset({EventType.AMENDED, EventType.HELD, EventType.RELEASED, EventType.RESTORED}),
    KazooAction.DELETED: frozenset({EventType.TRASHED}),
}
"""The events of each action. A webhook of this format gets no others."""


def types_of(action: KazooAction | None) -> frozenset[EventType]:
    """Return the types of events of an action. `None` means all actions."""
    return EVENTS[action] if action is not None else frozenset[EventType]().union(*EVENTS.values())


def action_of(event: FeedEvent) -> KazooAction | None:
    """Return the action of an event, or `None` for an event that is not sent.

    A recording exists for Kazoo's clients when its audio is stored. Changes before that are not sent.
    """
    if event.type is EventType.WEBHOOK_TEST:
        return KazooAction.EDITED
    found = next((action for action, types in EVENTS.items() if event.type in types), None)
    return None if found is KazooAction.EDITED and event.state != State.STORED else found


def sent_values(webhook: Webhook, event: FeedEvent, cluster_id: str) -> dict[str, str] | None:
    """Return the values of a request, or `None` for an event that is not sent.

    Those of the custom data win, except for `cluster_id`, which Kazoo adds last.
    """
    action = action_of(event)
    if action is None:
        return None
    is_test = event.type is EventType.WEBHOOK_TEST
    values = {
        "id": webhook.id if is_test else event.subject,
        "account_id": event.account_id,
        "action": action.value,
        "type": _TEST_TYPE if is_test else OBJECT_TYPE,
    }
    if not is_test and not _passes(webhook.kazoo.get(MODIFIERS), values):
        return None
    custom = {name: value for name, value in webhook.custom_data.items() if name not in _SELECTING}
    return values | custom | {"cluster_id": cluster_id}


def _passes(modifiers: object, values: Mapping[str, str]) -> bool:
    if not isinstance(modifiers, Mapping):
        return True
    return all(
        name not in values or not wanted or values[name] in (wanted if isinstance(wanted, list) else [wanted])
        for name, wanted in modifiers.items()
    )
