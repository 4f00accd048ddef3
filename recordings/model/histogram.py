"""A histogram of durations that can be merged, with percentiles within 1 % of the exact value.

Bin `i` holds the durations above `GAMMA ** (i - 1)` and up to `GAMMA ** i` milliseconds. Its value is the point of the
bin with an equal relative distance to both ends: 1 % (the DDSketch of Masson, Rim and Lee, 2019). So two
histograms are merged by adding their counts, and the result does not depend on the order.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from recordings.model.instants import Millis

GAMMA: Final = 1.01 / 0.99
ZERO_BIN: Final = -1
"""The bin of a duration of zero. The logarithm has no value for it."""
_LOG_GAMMA: Final = math.log(GAMMA)

Histogram = dict[int, int]
"""The number of durations in each bin."""


def bin_of(duration: Millis) -> int:
    """Return the bin of a duration."""
    return math.ceil(math.log(duration) / _LOG_GAMMA) if duration > 0 else ZERO_BIN


def value_of(number: int) -> float:
    """Return the duration (milliseconds) that stands for a bin."""
    return 0.0 if number == ZERO_BIN else 2 * GAMMA**number / (GAMMA + 1)


def add_all(into: Histogram, other: Mapping[int, int]) -> None:
    """Add the counts of another histogram."""
    for number, count in other.items():
        into[number] = into.get(number, 0) + count


def percentile(histogram: Mapping[int, int], percent: float) -> float | None:
    """Return the percentile by the nearest rank: at least `percent` of the durations are not above it.

    The ranks are 1 to the number of durations. `None` for an empty histogram.
    """
    total = sum(histogram.values())
    # A float such as 99.9 is slightly above or below its decimal text, which could select the next rank.
    rank = max(1, math.ceil(Fraction(str(percent)) * total / 100))
    for number in sorted(histogram):
        rank -= histogram[number]
        if rank <= 0:
            return value_of(number)
    return None
