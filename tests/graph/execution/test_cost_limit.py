"""The buckets on their own: what they hold, how they fill, and how many there are."""

import pytest

from graph.execution import cost_limit as rate
from graph.execution.cost_limit import RateLimiter


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_spent_at_once_and_fills_at_its_pace() -> None:
    clock = Clock()
    limiter = RateLimiter(100, 4.0, clock)
    assert limiter.left("a") == 100
    assert limiter.take("a", 100) == 0
    assert limiter.left("a") == 0
    # Nothing is taken by what is refused; it is told when it will be there.
    assert limiter.take("a", 1) == 1
    assert limiter.take("a", 40) == 10
    assert limiter.take("a", 41) == 11
    clock.now += 10.0
    assert limiter.take("a", 41) == 1
    assert limiter.take("a", 40) == 0
    clock.now += 1_000.0
    assert limiter.take("a", 101) == 1
    assert limiter.take("a", 100) == 0


def test_a_bucket_is_nobody_elses() -> None:
    limiter = RateLimiter(10, 1.0, Clock())
    assert limiter.take("a", 10) == 0
    assert limiter.take("b", 10) == 0
    assert limiter.take("a", 1) == 1


def test_the_bucket_that_was_used_least_recently_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MAX_BUCKETS", 2)
    limiter = RateLimiter(10, 1.0, Clock())
    for key in ("a", "b", "a", "c"):
        assert limiter.take(key, 2) == 0
    assert [limiter.left(key) for key in "abc"] == [6, 10, 8]
