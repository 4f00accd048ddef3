"""The columns of stored audit entries, and which index serves a filter."""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

from recordings.model.audit_entry import ENDS, AuditFilter, StoredEntry
from recordings.model.query import Position

ENTRIES: Final = "audit_entries"
SEALS: Final = "audit_seals"
COLUMNS: Final = tuple(field.name for field in fields(StoredEntry))
PRUNED: Final[dict[str, Any]] = {"at": 0, "who": "", "action": "", "object_id": None, "outcome": "", "body": ""}
"""The columns of the root of a pruned chain that lose their content."""


@dataclass(frozen=True, slots=True)
class TrailRange:
    """The range of an index that has the entries of a filter, and the conditions that remain.

    `equal` are the first columns of the index. `below` is the position before which the entries are.
    """

    index: str
    equal: dict[str, Any]
    since: int | None
    before: int | None
    below: Position | None
    rest: dict[str, Any]
    """Values by column. A column of several values has a tuple."""

    @property
    def hides_ends(self) -> bool:
        """True if entries that complete others are left out."""
        return "action" not in self.rest


HIDDEN: Final = tuple(sorted(action.value for action in ENDS))


def trail_range(filter: AuditFilter, after: Position | None) -> TrailRange:
    """Return the best index for a filter: an object has the fewest entries, then an actor, then the account."""
    rest: dict[str, Any] = {}
    if filter.actions:
        rest["action"] = tuple(action.value for action in filter.actions)
    if filter.outcome is not None:
        rest["outcome"] = filter.outcome.value
    equal: dict[str, Any] = {"account_id": filter.account_id}
    index = "time"
    if filter.object_id is not None:
        index, equal["object_id"] = "object", filter.object_id
        if filter.who is not None:
            rest["who"] = filter.who
    elif filter.who is not None:
        index, equal["who"] = "who", filter.who
    return TrailRange(index, equal, filter.since, filter.before, after, rest)


to_values: Final = attrgetter(*COLUMNS)
"""Returns the values of the columns of an entry."""
