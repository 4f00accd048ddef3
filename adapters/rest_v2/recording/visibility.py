"""The recordings that v2 shows, and their documents (`docs/v2_contract.md`, sections 1.2, 1.3, 2.2 and 8)."""

import hashlib
from dataclasses import replace
from typing import Any, Final, cast

from adapters.http.conditional_requests import Validators
from adapters.rest_v2.gregorian import to_gregorian
from adapters.rest_v2.recording.v2_document import to_v2
from recordings.model import fields
from recordings.model.account import Principal, Scope
from recordings.model.fields import RecordingRow
from recordings.model.instants import Millis
from recordings.model.query import In
from recordings.model.recording import Shelf, State

STATES: Final = (State.FINALIZING, State.STORED, State.FAILED, State.LOST)
"""A v2 client sees a recording only after its call, unless the recording was discarded or deleted."""
IS_SHOWN: Final = In("state", tuple(state.value for state in STATES))
ITEM_FIELDS: Final = frozenset(name for name, field in fields.FIELDS.items() if field.v2) - {"modified"} | {
    "state", "options", "media", "imported",
}  # fmt: skip
"""The fields of a row that an item of a list needs."""
FIELDS: Final = ITEM_FIELDS | {"account_id", "shelf", "modified", "revision"}
"""The fields of a row that the checks, the filters and the revision of a document need, too."""


def is_shown(row: RecordingRow, account_id: str, owner_id: str | None = None) -> bool:
    """Return true if v2 shows a recording in an account, or in the list of one user."""
    return (
        row["account_id"] == account_id
        and owner_id in {None, row["owner_id"]}
        and row["shelf"] == Shelf.LIVE
        and row["state"] in STATES
    )


def document_of(row: RecordingRow, reader: Principal) -> dict[str, Any]:
    """Return the document of a recording for a reader.

    Without the scope `control` it has no `url`, because a URL often contains a secret.
    """
    document = to_v2(row)
    if Scope.CONTROL not in reader.scopes:
        document.pop("url", None)
    return document


def list_item(row: RecordingRow, reader: Principal) -> dict[str, Any]:
    """Return the document of a recording as an item of a list."""
    item = document_of(row, reader)
    item["_read_only"] = {"content_types": [row["media"]["content_type"]] if row["media"] else []}
    return item


def filter_document(row: RecordingRow, reader: Principal) -> dict[str, Any]:
    """Return the document for filters: the public fields and the two times `pvt_created` and `pvt_modified`."""
    times = {"pvt_created": to_gregorian(cast("Millis", row["ended"])), "pvt_modified": to_gregorian(row["modified"])}
    return document_of(row, reader) | times


def revision_of(row: RecordingRow) -> str:
    """Return the revision of a recording in the form of Kazoo: `N-` and 32 hexadecimal digits."""
    text = f"{row['id']}\n{row['revision']}\n{row['modified']}"
    return f"{row['revision'] + 1}-{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def validators_of(row: RecordingRow) -> Validators:
    """Return the validators for conditional requests. Document and audio share a tag, and `Vary` separates them."""
    return Validators(revision_of(row), row["modified"])


def rendition_validators(validators: Validators, sha256: str) -> Validators:
    """Return the validators of converted audio with this hash. Its ranges must not be mixed with the original's."""
    return replace(validators, sha256=f"{validators.sha256}-{sha256[:32]}")
