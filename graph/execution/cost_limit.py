"""A bucket of cost for each token: what it holds can be spent at once, and it fills again at a steady pace."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MAX_BUCKETS: Final = 10_000
"""The most buckets. The one that was used least recently is dropped first; at this number it is long full again."""


class RateLimiter:
    """Buckets of `capacity` that gain `per_second`. Those of one process: each process of many has its own."""

    def __init__(self, capacity: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.capacity = capacity
        self._per_second = per_second
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, cost: int) -> int:
        """Take a cost out of a bucket: 0 if it was there, or the seconds after which it will be (it is not taken then).

        More than a bucket holds can never be there: such a cost is told to wait for a full bucket, for ever.
        """
        now = self._clock()
        level, since = self._buckets.pop(key, (float(self.capacity), now))
        level = min(self.capacity, level + (now - since) * self._per_second)
        left = level - cost
        self._buckets[key] = (left if left >= 0 else level, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0 if left >= 0 else max(1, math.ceil(-left / self._per_second))

    def give(self, key: Hashable, cost: int) -> None:
        """Put back what was taken for something that came to nothing."""
        if (found := self._buckets.get(key)) is not None:
            self._buckets[key] = (min(self.capacity, found[0] + cost), found[1])

    def left(self, key: Hashable) -> int:
        """What a bucket held when something was last taken from it."""
        return int(self._buckets.get(key, (self.capacity, 0.0))[0])
