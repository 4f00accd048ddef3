"""Histograms: percentiles within 1 %, and merging that does not depend on the order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.histogram import Histogram, add_all, bin_of, percentile, value_of

DURATIONS = st.lists(st.integers(0, 2**45), min_size=1, max_size=200)


def histogram(durations: list[int]) -> Histogram:
    made: Histogram = {}
    for duration in durations:
        add_all(made, {bin_of(duration): 1})
    return made


@given(DURATIONS, st.floats(0, 100))
def test_a_percentile_is_within_one_percent_of_the_nearest_rank(durations: list[int], percent: float) -> None:
    found = percentile(histogram(durations), percent)
    below = math.ceil(percent * len(durations) / 100 - 1e-9)
    near = {max(1, min(len(durations), rank)) for rank in (below, below + 1)}
    exact = {sorted(durations)[rank - 1] for rank in near}
    assert found is not None
    assert any(abs(found - value) <= value * 0.010_001 for value in exact)


@pytest.mark.parametrize(("percent", "rank"), [(0, 1), (1, 10), (50, 500), (50.05, 501), (99.9, 999), (100, 1_000)])
def test_the_rank_is_exact(percent: float, rank: int) -> None:
    assert percentile(dict.fromkeys(range(1000), 1), percent) == value_of(rank - 1)


@given(st.lists(DURATIONS, max_size=5), st.randoms())
def test_the_order_of_merging_does_not_matter(parts: list[list[int]], chance: object) -> None:
    together: Histogram = {}
    for part in reversed(parts):
        add_all(together, histogram(part))
    assert together == histogram([duration for part in parts for duration in part])


def test_an_empty_histogram_has_no_percentile() -> None:
    assert percentile({}, 50) is None


@pytest.mark.parametrize("duration", [1, 2, 10, 99, 10_000, 3_600_000, 2**45])
def test_a_bin_stands_for_its_durations(duration: int) -> None:
    assert value_of(bin_of(duration)) == pytest.approx(duration, rel=0.01)


def test_zero_has_a_bin_of_its_own() -> None:
    assert value_of(bin_of(0)) == 0
