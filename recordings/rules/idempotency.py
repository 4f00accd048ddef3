"""Idempotency keys: the same request with the same key is done once, and answered alike each time.

The key of a `start` is kept as the recording's `start_key` (unique in its account) with a fingerprint of the request;
the keys of later actions are kept in the recording that they changed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from recordings.model.account import Principal
from recordings.model.errors import IdempotencyKeyReused, InvalidInput
from recordings.model.recording import Applied, Recording

MAX_KEY: Final = 128
KEPT: Final = 16
"""How many keys of the past a recording remembers."""


def check_key(key: str | None) -> None:
    """Raise `InvalidInput` unless a key is absent or 1 to 128 printable characters."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise InvalidInput.of(("idempotencyKey",), "maxLength", key, f"1 to {MAX_KEY} printable characters")


def start_key(principal: Principal, key: str | None) -> str | None:
    """The key of a `start` as it is kept.

    An owner's keys are a space of their own, so that nobody learns of another owner's recording by guessing a key.
    """
    check_key(key)
    # An owner's id may have a colon in it, and must not be read as another owner's with the beginning of a key.
    owner = (principal.owner_id or "").replace("%", "%25").replace(":", "%3A")
    return None if key is None else f"{owner}:{key}"


def fingerprint(request: Mapping[str, Any]) -> str:
    """A digest by which two requests are the same or not."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def same_request(found: Recording, request_fingerprint: str) -> Recording:
    """Give the recording back that a key made; `IdempotencyKeyReused` if it was made by another request."""
    if found.start_fingerprint != request_fingerprint:
        message = "this idempotency key was used for another start"
        raise IdempotencyKeyReused(message, path=("idempotencyKey",), recording_id=found.id)
    return found


def was_applied(recording: Recording, key: str | None, action: str) -> bool:
    """Whether an action with this key changed the recording already; `IdempotencyKeyReused` if another one did."""
    check_key(key)
    actions = {applied.action for applied in recording.applied if applied.key == key}
    if actions and action not in actions:
        message = "this idempotency key was used for another action"
        raise IdempotencyKeyReused(message, path=("idempotencyKey",), recording_id=recording.id)
    return action in actions


def remember(changed: Recording, before: Recording, key: str | None, action: str) -> Recording:
    """The changed recording with the key in it, at the revision after `before`."""
    if key is None:
        return changed
    applied = (*changed.applied[1 - KEPT :], Applied(key, action))
    return replace(changed, applied=applied, revision=before.revision + 1)
