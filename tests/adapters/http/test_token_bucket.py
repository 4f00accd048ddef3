"""Token buckets: their level, their rate and their number."""

import pytest

from adapters.http.token_bucket import MAX_BUCKETS, Rate, TokenBuckets


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_is_spent_at_once_and_fills_at_its_rate(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(100, 4.0), clock)
    assert (buckets.capacity, buckets.left("a"), buckets.level("a")) == (100, 100, 100)
    assert buckets.take("a", 100) == 0
    assert (buckets.left("a"), buckets.level("a")) == (0, 0)
    clock.now += 10.0
    assert (buckets.left("a"), buckets.level("a")) == (0, 40)
    assert buckets.take("a", 40) == 0
    assert buckets.level("a") == 0
    clock.now += 1_000.0
    assert buckets.level("a") == 100


def test_a_refused_cost_takes_nothing_and_returns_the_seconds_to_wait(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(100, 4.0), clock)
    assert buckets.take("a", 100) == 0
    assert buckets.take("a", 1) == 1
    assert buckets.take("a", 40) == 10
    assert buckets.take("a", 41) == 11
    clock.now += 10.0
    assert buckets.take("a", 41) == 1
    assert buckets.take("a", 40) == 0
    clock.now += 1_000.0
    assert buckets.take("a", 101) == 1
    assert buckets.take("a", 100) == 0


def test_a_clock_that_goes_back_takes_no_tokens_away(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(100, 4.0), clock)
    assert buckets.take("a", 60) == 0
    clock.now -= 500.0
    assert buckets.level("a") == 40
    assert buckets.take("a", 40) == 0


def test_each_key_has_its_own_bucket(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(1, 1.0), clock)
    for key in (("a", "x"), ("a", "y"), ("b", "x")):
        assert buckets.take(key, 1) == 0
        assert buckets.take(key, 1) == 1


def test_given_tokens_never_exceed_the_capacity(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(10, 1.0), clock)
    buckets.give("a", 5)
    assert buckets.left("a") == 10
    assert buckets.take("a", 6) == 0
    buckets.give("a", 2)
    assert buckets.left("a") == 6
    buckets.give("a", 100)
    assert buckets.left("a") == 10


def test_the_least_recently_used_bucket_is_dropped(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(10, 1.0), clock, max_buckets=2)
    for key in ("a", "b", "a", "c"):
        assert buckets.take(key, 2) == 0
    assert [buckets.left(key) for key in "abc"] == [6, 10, 8]
    assert [buckets.level(key) for key in "abc"] == [6, 10, 8]


def test_the_number_of_buckets_is_bounded(clock: Clock) -> None:
    buckets = TokenBuckets(Rate(2, 1.0), clock)
    for number in range(MAX_BUCKETS + 5):
        assert buckets.take(number, 2) == 0
    assert len(buckets._buckets) == MAX_BUCKETS
    assert (buckets.level(0), buckets.level(MAX_BUCKETS)) == (2, 0)
