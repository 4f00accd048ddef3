"""Retention: an account's rules for how many days recordings are kept, by label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recordings.model.errors import InvalidInput
from recordings.model.instants import DAY, Millis
from recordings.model.query import is_storable
from recordings.model.recording import Recording

MAX_DAYS: Final = 36_500
MAX_RULES: Final = 100
MAX_LABEL: Final = 128
"""Maximum characters of a label, as in `recordings.model.options`."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A rule: recordings with this `label` are deleted after `days`. `None` applies to labels without a rule."""

    days: int
    label: str | None = None


def delete_at(rules: Sequence[Retention], recording: Recording) -> Millis | None:
    """Return when a recording's retention ends; `None` if no rule applies."""
    return retention_end(rules, recording.label, recording.start)


def retention_end(rules: Sequence[Retention], label: str | None, start: Millis) -> Millis | None:
    """Return when the retention of a label ends. The days count from `start`, the start of the audio."""
    by_label = {rule.label: rule.days for rule in rules}
    days = by_label.get(label, by_label.get(None))
    return None if days is None else start + days * DAY


def check_label(label: str | None) -> None:
    """Raise `InvalidInput` if no recording can have this label. Its rule would never apply."""
    if label is not None and not (0 < len(label) <= MAX_LABEL and is_storable(label)):
        allowed = f"a label of 1 to {MAX_LABEL} characters, or left out for all labels without a rule"
        raise InvalidInput.of(("label",), "maxLength", label, allowed)


def check_rules(rules: Sequence[Retention]) -> tuple[Retention, ...]:
    """Check rules and return them sorted by label.

    Raises:
        InvalidInput: a number of days is not allowed, a label has two rules, or there are too many rules.
    """
    if len(rules) > MAX_RULES or len({rule.label for rule in rules}) < len(rules):
        raise InvalidInput.of(("label",), "uniqueItems", len(rules), f"up to {MAX_RULES} rules, one for each label")
    for rule in rules:
        if not 1 <= rule.days <= MAX_DAYS:
            raise InvalidInput.of(("days",), "minimum", rule.days, f"an integer from 1 to {MAX_DAYS}")
    return tuple(sorted(rules, key=lambda rule: (rule.label is not None, rule.label or "")))
