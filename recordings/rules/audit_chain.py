"""The hash chains of the audit trail: how an entry is written, linked and checked.

The hash of an entry is the SHA-256 of the hash before it and of its canonical JSON. So a changed, removed or moved
entry makes its own hash, or the next link, wrong.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from recordings.model.audit_entry import (
    Actor,
    ActorKind,
    AuditAction,
    AuditEntry,
    AuditObject,
    AuditOutcome,
    Link,
    Origin,
    StoredEntry,
    Way,
)

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical(value: Mapping[str, Any]) -> str:
    """Return the canonical JSON: sorted keys, no spaces, ASCII only."""
    return _encode(value)


def hash_of(prev: str, body: str) -> str:
    """Return the hash of an entry as hexadecimal digits."""
    return sha256(f"{prev}\n{body}".encode()).hexdigest()


def link(entry: AuditEntry, writer: str, end: Link) -> StoredEntry:
    """Return the entry as the next one after the end of its chain."""
    body = canonical(_values(entry) | {"writer": writer, "seq": end.seq + 1})
    return StoredEntry(
        id=entry.id,
        account_id=entry.account_id,
        writer=writer,
        seq=end.seq + 1,
        at=entry.at,
        who=entry.actor.id,
        action=entry.action.value,
        object_id=entry.object.id,
        outcome=entry.outcome.value,
        body=body,
        prev=end.hash,
        hash=hash_of(end.hash, body),
    )


def read_entry(stored: StoredEntry) -> AuditEntry:
    """Return the entry of a stored one."""
    values = json.loads(stored.body)
    origin, actor = values["origin"], values["actor"]
    return AuditEntry(
        id=values["id"],
        at=values["at"],
        account_id=values["account_id"],
        actor=Actor(**{**actor, "kind": ActorKind(actor["kind"])}),
        origin=Origin(**{**origin, "way": Way(origin["way"])}),
        action=AuditAction(values["action"]),
        object=AuditObject(**values["object"]),
        outcome=AuditOutcome(values["outcome"]),
        details=values["details"],
    )


def problem_of(entry: StoredEntry, before: Link | None) -> str | None:
    """Return the problem of an entry in words; `None` if there is none.

    Args:
        entry: the entry to check.
        before: the link before it. `None` if the entries before it were deleted.
    """
    if before is not None and entry.seq != before.seq + 1:
        missing = entry.seq - before.seq - 1
        return f"{missing} entries before it are missing" if missing > 0 else "its number occurs twice"
    if before is not None and entry.prev != before.hash:
        return "it does not continue the entry before it"
    if hash_of(entry.prev, entry.body) != entry.hash:
        return "its content does not match its hash"
    return None if _repeats(entry) else "its columns differ from its content"


def _repeats(entry: StoredEntry) -> bool:
    """Return true if the columns for filters repeat the values of the body."""
    try:
        values = json.loads(entry.body)
        found = (
            values["id"], values["account_id"], values["writer"], values["seq"], values["at"], values["actor"]["id"],
            values["action"], values["object"]["id"], values["outcome"],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return False
    columns = (
        entry.id, entry.account_id, entry.writer, entry.seq, entry.at, entry.who,
        entry.action, entry.object_id, entry.outcome,
    )  # fmt: skip
    return found == columns


def _values(entry: AuditEntry) -> dict[str, Any]:
    # `dataclasses.asdict` takes ten times as long, and a busy server writes thousands of entries a minute.
    actor, origin, target = entry.actor, entry.origin, entry.object
    return {
        "id": entry.id,
        "at": entry.at,
        "account_id": entry.account_id,
        "actor": {
            "kind": actor.kind.value,
            "id": actor.id,
            "account_id": actor.account_id,
            "owner_id": actor.owner_id,
            "user_id": actor.user_id,
            "key_id": actor.key_id,
            "token_id": actor.token_id,
            "name": actor.name,
        },
        "origin": {
            "way": origin.way.value,
            "ip": origin.ip,
            "user_agent": origin.user_agent,
            "request_id": origin.request_id,
        },
        "action": entry.action.value,
        "object": {"type": target.type, "id": target.id, "account_id": target.account_id},
        "outcome": entry.outcome.value,
        "details": dict(entry.details),
    }
