"""Which recordings v2 knows, and how it shows one: fields, revision, attachments (contract sections 1.2, 2.2 and 8)."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from adapters.http.conditional_requests import Validators
from adapters.rest_v2.gregorian import to_gregorian
from adapters.rest_v2.recording.v2_document import to_v2
from recordings.model.account import Principal, Scope
from recordings.model.query import In
from recordings.model.recording import Row, Shelf, State

STATES: Final = (State.FINALIZING, State.STORED, State.FAILED, State.LOST)
"""A legacy client knows recordings once their call is over, and those only that came to something or should have."""
IS_SHOWN: Final = In("state", tuple(state.value for state in STATES))
FIELDS: Final = frozenset({
    "id", "account_id", "owner_id", "state", "shelf", "start", "ended", "modified", "call_id", "from", "to",
    "options", "origin", "name", "format", "endpoint_id", "interaction_id", "cdr_id", "direction", "request",
    "caller_id_name", "caller_id_number", "callee_id_name", "callee_id_number", "duration_ms", "media",
    "user_metadata", "custom_channel_vars", "imported", "revision",
})  # fmt: skip
"""What of a row is needed to show it."""


def is_shown(row: Row, account_id: str, owner_id: str | None = None) -> bool:
    """Whether v2 shows a recording in an account, or in the list of one user."""
    return (
        row["account_id"] == account_id
        and owner_id in {None, row["owner_id"]}
        and row["shelf"] == Shelf.LIVE
        and row["state"] in STATES
    )


_ALWAYS: Final = {"duration": 0, "duration_ms": 0, "direction": "inbound", "caller_id_name": "", "caller_id_number": ""}
"""What clients read without looking whether it is there, for recordings that have none."""


def document_of(row: Row, reader: Principal) -> dict[str, Any]:
    """A recording as a client sees it: GET-one's `data`.

    Where it is sent to often has a secret of the one who gave it in it: whoever may not give one does not see it.
    """
    document = to_v2(row) if row["imported"] is not None else _ALWAYS | to_v2(row)
    if Scope.CONTROL not in reader.scopes:
        document.pop("url", None)
    return document


def listed(document: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """A document as an item of a list."""
    types = [row["media"]["content_type"]] if row["media"] else []
    return {**document, "_read_only": {"content_types": types}}


def filtered(row: Row, reader: Principal) -> dict[str, Any]:
    """What filters look at: the public fields, and the two private times under the names that clients know."""
    times = {"pvt_created": to_gregorian(row["ended"]), "pvt_modified": to_gregorian(row["modified"])}
    return document_of(row, reader) | times


def revision_of(row: Row) -> str:
    """What tells this state of a recording from its others, in the form of the reference: `N-` and 32 digits."""
    text = f"{row['id']}\n{row['revision']}\n{row['modified']}"
    return f"{row['revision'] + 1}-{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


def validators_of(row: Row) -> Validators:
    """What conditions are weighed against. The document and the audio share their tag; `Vary` tells them apart."""
    return Validators(revision_of(row), row["modified"])


def rendition_of(validators: Validators, sha256: str) -> Validators:
    """The same of a rendition with this hash: other bytes, which a range must not be put together with."""
    return replace(validators, sha256=f"{validators.sha256}-{sha256[:32]}")
