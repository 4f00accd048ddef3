"""Waits between delivery attempts, and retention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.errors import InvalidInput
from recordings.model.instants import DAY, HOUR, SECOND
from recordings.model.retention import MAX_DAYS, MAX_RULES, Retention, check_rules, delete_at
from recordings.rules.backoff import LONGEST, MAX_ATTEMPTS, full_jitter
from tests.contract.metadata.samples import recording


@given(st.integers(1, MAX_ATTEMPTS - 1), st.none() | st.integers(0, 2 * LONGEST))
def test_a_wait_has_limits_and_follows_retry_after(attempts: int, at_least: int | None) -> None:
    wait = full_jitter(attempts, at_least)
    assert wait is not None
    assert SECOND <= wait <= LONGEST + SECOND
    assert wait >= min(at_least or 0, LONGEST)


def test_the_maximum_wait_doubles_up_to_six_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recordings.rules.backoff.random.randrange", lambda below: below - 1)
    waits = [(full_jitter(attempts) or 0) - SECOND + 1 for attempts in range(1, MAX_ATTEMPTS)]
    assert waits[:13] == [5 * SECOND * 2**number for number in range(13)]
    assert set(waits[13:]) == {LONGEST} == {6 * HOUR}
    monkeypatch.setattr("recordings.rules.backoff.random.randrange", lambda below: 0)
    assert {full_jitter(attempts) for attempts in range(1, MAX_ATTEMPTS)} == {SECOND}


def test_waits_grow_and_are_random() -> None:
    assert max(full_jitter(1) or 0 for _ in range(50)) <= 6 * SECOND
    assert len({full_jitter(12) for _ in range(20)}) > 15
    assert max(full_jitter(12) or 0 for _ in range(50)) > 600 * SECOND


def test_attempts_are_limited() -> None:
    assert full_jitter(MAX_ATTEMPTS) is None


RULES = (Retention(90), Retention(7, "junk"))


@pytest.mark.parametrize(("label", "days"), [(None, 90), ("other", 90), ("junk", 7)])
def test_a_label_without_a_rule_uses_the_rule_for_all_labels(label: str | None, days: int) -> None:
    found = recording(label=label, start=1_000)
    assert delete_at(RULES, found) == 1_000 + days * DAY


def test_without_a_rule_recordings_are_kept() -> None:
    assert delete_at((), recording()) is None
    assert delete_at((Retention(7, "junk"),), recording(label="other")) is None


@pytest.mark.parametrize(
    "rules",
    [
        [Retention(0)],
        [Retention(MAX_DAYS + 1)],
        [Retention(1), Retention(2)],
        [Retention(1, str(number)) for number in range(MAX_RULES + 1)],
    ],
)
def test_invalid_rules_are_refused(rules: list[Retention]) -> None:
    with pytest.raises(InvalidInput):
        check_rules(rules)


def test_rules_at_their_limits_are_accepted() -> None:
    rules = [Retention(1, f"{number:03}") for number in range(MAX_RULES - 1)]
    assert check_rules([Retention(MAX_DAYS), *rules]) == (Retention(MAX_DAYS), *rules)


def test_rules_are_sorted() -> None:
    assert check_rules([Retention(7, "junk"), Retention(90), Retention(1, "a")]) == (
        Retention(90),
        Retention(1, "a"),
        Retention(7, "junk"),
    )
