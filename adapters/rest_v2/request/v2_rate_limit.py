"""Rate limits: a bucket of tokens for each (client, account), with no I/O (contract section 4.6)."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

COST: Final = 1
LOGIN_COST: Final = 35
_KEPT: Final = 16_384


@dataclass(frozen=True, slots=True)
class Rate:
    """How many tokens a bucket holds, and how many come back each second."""

    capacity: int = 100
    per_second: float = 10.0


class Buckets:
    """The buckets of one process. Those not used longest are forgotten, as full ones again."""

    def __init__(self, rate: Rate, seconds: Callable[[], float]) -> None:
        self._rate = rate
        self._seconds = seconds
        self._levels: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def level(self, client: str, account: str) -> int:
        """How many whole tokens are left."""
        level, at = self._levels.get((client, account), (float(self._rate.capacity), self._seconds()))
        gained = max(0.0, self._seconds() - at) * self._rate.per_second
        return int(min(self._rate.capacity, level + gained))

    def take(self, client: str, account: str, cost: int) -> bool:
        """Take tokens; `False` (and none taken) if there are not enough."""
        now = self._seconds()
        level, at = self._levels.pop((client, account), (float(self._rate.capacity), now))
        level = min(self._rate.capacity, level + max(0.0, now - at) * self._rate.per_second)
        granted = level >= cost
        self._levels[client, account] = (level - cost if granted else level, now)
        if len(self._levels) > _KEPT:
            self._levels.popitem(last=False)
        return granted
