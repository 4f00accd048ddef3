"""Idempotency keys: a request that is repeated with the same key is done once and gets the same response each time.

The key of a `start` is stored as the recording's `start_key`, which is unique in its account, with a fingerprint of the
request. The keys of later actions are stored in the recording that they changed.
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
"""How many keys of past actions a recording keeps."""


def check_key(key: str | None) -> None:
    """Raise `InvalidInput` unless a key is `None` or has 1 to 128 printable characters."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise InvalidInput.of(("idempotencyKey",), "maxLength", key, f"1 to {MAX_KEY} printable characters")


def start_key(principal: Principal, key: str | None) -> str | None:
    """Return the stored form of a key of a `start`.

    It contains the owner. So a caller cannot find another owner's recording by guessing a key.
    """
    check_key(key)
    # An owner's id may contain a colon. Without escapes, `a:b` and the key `c` would equal `a` and the key `b:c`.
    owner = (principal.owner_id or "").replace("%", "%25").replace(":", "%3A")
    return None if key is None else f"{owner}:{key}"


def fingerprint(request: Mapping[str, Any]) -> str:
    """Return a digest of a request. The same requests have the same digest."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def short_digest(given: Mapping[str, Any]) -> str:
    """Return a short digest of the arguments of an action."""
    return fingerprint(given)[:16]


def same_request(found: Recording, request_fingerprint: str) -> Recording:
    """Return the recording of a key. Raise `IdempotencyKeyReused` if another request made it."""
    if found.start_fingerprint != request_fingerprint:
        message = "this idempotency key was used for another start"
        raise IdempotencyKeyReused(message, path=("idempotencyKey",), recording_id=found.id)
    return found


def was_applied(recording: Recording, key: str | None, action: str) -> bool:
    """Return true if this action was done with this key. Raise `IdempotencyKeyReused` if another action was."""
    check_key(key)
    actions = {applied.action for applied in recording.applied if applied.key == key}
    if actions and action not in actions:
        message = "this idempotency key was used for another action"
        raise IdempotencyKeyReused(message, path=("idempotencyKey",), recording_id=recording.id)
    return action in actions


def remember(changed: Recording, before: Recording, key: str | None, action: str) -> Recording:
    """Return the changed recording with the key. Its revision is the one after `before`."""
    if key is None:
        return changed
    applied = (*changed.applied[1 - KEPT :], Applied(key, action))
    return replace(changed, applied=applied, revision=before.revision + 1)


def entry_id_of(recording: Recording, action: str, key: str | None) -> str | None:
    """Return the id of the audit entry of an action with a key. A repeated request has the same one, on each server.

    A recording forgets old keys. The same key at a later revision is another action.
    """
    values = {"id": recording.id, "revision": recording.revision, "action": action, "key": key}
    return None if key is None else fingerprint(values)[:32]
