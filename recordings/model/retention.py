"""How long recordings are kept: rules of an account, by label, in days."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recordings.model.errors import InvalidInput
from recordings.model.instants import DAY, Millis
from recordings.model.recording import Recording

MAX_DAYS: Final = 36_500
MAX_RULES: Final = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """Recordings with this label (`None`: with no rule of their own) are deleted after so many days."""

    days: int
    label: str | None = None


def delete_at(rules: Sequence[Retention], recording: Recording) -> Millis | None:
    """When a recording's retention is over; `None` where no rule ends it."""
    return date_of(rules, recording.label, recording.start)


def date_of(rules: Sequence[Retention], label: str | None, start: Millis) -> Millis | None:
    """When the retention of what has this label is over. It counts from the start of the audio."""
    by_label = {rule.label: rule.days for rule in rules}
    days = by_label.get(label, by_label.get(None))
    return None if days is None else start + days * DAY


def check_rules(rules: Sequence[Retention]) -> tuple[Retention, ...]:
    """Give rules back if they are within bounds and name each label once.

    Raises:
        InvalidInput: a number of days is out of bounds, a label is named twice, or there are too many.
    """
    if len(rules) > MAX_RULES or len({rule.label for rule in rules}) < len(rules):
        raise InvalidInput.of(("label",), "uniqueItems", len(rules), f"up to {MAX_RULES} rules, one for each label")
    for rule in rules:
        if not 1 <= rule.days <= MAX_DAYS:
            raise InvalidInput.of(("days",), "minimum", rule.days, f"an integer from 1 to {MAX_DAYS}")
    return tuple(sorted(rules, key=lambda rule: (rule.label is not None, rule.label or "")))
