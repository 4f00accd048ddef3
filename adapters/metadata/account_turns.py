"""The turns of accounts: the order in which their due work is done, and how long a slow query waits for its turn."""

from collections.abc import Iterable, Sequence
from itertools import chain, islice, zip_longest
from typing import Final, TypeVar

MAX_ACCOUNTS: Final = 1_000
"""How many accounts one claim examines for due work. The next claim continues with the next account."""
TURN_SECONDS: Final = 3.0
"""How long (seconds) a slow query waits for the others of its account. Twice that fits into the time of a request."""
_T = TypeVar("_T")


def take_turns(due: Iterable[Sequence[_T]], limit: int) -> list[_T]:
    """Return up to `limit` items: the first of each account, then the second of each, and so on."""
    turns = chain.from_iterable(zip_longest(*due))
    return list(islice((item for item in turns if item is not None), limit))
