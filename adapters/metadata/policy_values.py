"""A policy document as plain values, as both stores keep it.

The body is JSON text, so that it is returned exactly as a client wrote it: with its keys in order, and with keys and
numbers that a store could not keep.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from adapters.metadata.row_fields import decode, encode
from recordings.model.call import Network
from recordings.model.policy_trace import ConsentNeed, Fill
from recordings.model.recording import Direction
from recordings.model.recording_policy import DocumentKind, Duplicates, Lock, LockKind, PolicyDocument, PolicyRules

NAMES: Final = ("account_id", "kind", "id", "body", "fill", "rules", "revision", "modified")
"""The names of the values, in their order."""


def to_values(document: PolicyDocument) -> dict[str, Any]:
    """Return the values of a document."""
    return {
        "account_id": document.account_id,
        "kind": document.kind.value,
        "id": document.id,
        "body": encode(document.body),
        "fill": None if document.fill is None else document.fill.value,
        "rules": encode(asdict(document.rules)),
        "revision": document.revision,
        "modified": document.modified,
    }


def from_values(values: Mapping[str, Any]) -> PolicyDocument:
    """Return the document of values that `to_values` made."""
    fill = values["fill"]
    return PolicyDocument(
        account_id=values["account_id"],
        kind=DocumentKind(values["kind"]),
        id=values["id"],
        body=decode(values["body"]),
        fill=None if fill is None else Fill(fill),
        rules=_rules(decode(values["rules"])),
        revision=int(values["revision"]),
        modified=int(values["modified"]),
    )


def _rules(found: Mapping[str, Any]) -> PolicyRules:
    return PolicyRules(
        tuple(map(_lock, found["locks"])), ConsentNeed(found["consent"]), Duplicates(found["duplicates"])
    )


def _lock(found: Mapping[str, Any]) -> Lock:
    direction, network = found["direction"], found["network"]
    return Lock(
        LockKind(found["kind"]),
        None if direction is None else Direction(direction),
        None if network is None else Network(network),
        tuple(found["numbers"]),
        tuple(found["exceptions"]),
    )
