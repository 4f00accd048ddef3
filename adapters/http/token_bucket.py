"""Rate limits: a bucket of tokens for each key, with no I/O."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from recordings.model.account import Principal

MAX_BUCKETS: Final = 10_000
"""The maximum number of buckets. Above it the least recently used bucket is dropped.

With this many keys in use, a dropped bucket has long been full again.
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """The number of tokens that a bucket holds, and the number that it gains each second."""

    capacity: int
    per_second: float


def rate_key(principal: Principal) -> Hashable:
    """Return the key of a principal's bucket.

    All tokens of one principal share a bucket, so that more tokens do not buy more requests. The name in a token of an
    external issuer counts, too.
    """
    return principal.account_id, principal.owner_id, principal.name


class TokenBuckets:
    """The buckets of one process. A key without a bucket has a full one.

    Each process of an installation has its own buckets.
    """

    def __init__(
        self, rate: Rate, clock: Callable[[], float] = time.monotonic, *, max_buckets: int = MAX_BUCKETS
    ) -> None:
        self.capacity = rate.capacity
        """The number of tokens in a full bucket."""
        self._per_second = rate.per_second
        self._clock = clock
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, cost: int) -> int:
        """Take tokens from a bucket.

        Returns:
            0 if the bucket had enough tokens. Otherwise no token is taken, and the result is the number of seconds
            (at least 1) until the bucket has enough. A cost above the capacity is never granted.
        """
        now = self._clock()
        level = self._filled(*self._buckets.pop(key, (self.capacity, now)), now)
        missing = cost - level
        self._buckets[key] = (level if missing > 0 else level - cost, now)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        return max(1, math.ceil(missing / self._per_second)) if missing > 0 else 0

    def give(self, key: Hashable, cost: int) -> None:
        """Put tokens back into a bucket, for work that was not done."""
        if (bucket := self._buckets.get(key)) is not None:
            level, at = bucket
            self._buckets[key] = (min(self.capacity, level + cost), at)

    def charge(self, key: Hashable, cost: int) -> int:
        """Take tokens for work that was done, even more than the bucket has. Return the whole tokens left, at least 0.

        The next `take` waits until the debt is paid. A debt is at most one full bucket.
        """
        now = self._clock()
        level = self._filled(*self._buckets.pop(key, (self.capacity, now)), now)
        self._buckets[key] = (max(level - cost, -self.capacity), now)
        return max(int(level - cost), 0)

    def left(self, key: Hashable) -> int:
        """Return the whole tokens in a bucket after the last call of `take` or `give`."""
        level, _at = self._buckets.get(key, (self.capacity, 0.0))
        return int(level)

    def level(self, key: Hashable) -> int:
        """Return the whole tokens in a bucket now."""
        now = self._clock()
        return int(self._filled(*self._buckets.get(key, (self.capacity, now)), now))

    def _filled(self, level: float, at: float, now: float) -> float:
        # A clock that goes back takes no tokens away.
        return min(self.capacity, level + max(0.0, now - at) * self._per_second)
