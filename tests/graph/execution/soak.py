"""Run the differential test for a given time: `python -m tests.graph.execution.soak --minutes 30`."""

import argparse
import asyncio
import sys
import time
import warnings
from collections import Counter
from random import SystemRandom

from tests.graph.execution.differential import compare, make


async def soak(minutes: float, first: int) -> Counter[str]:
    """Compare documents from a first seed until the time is over."""
    seen: Counter[str] = Counter()
    until = time.monotonic() + minutes * 60
    seed = first
    while time.monotonic() < until:
        made, caller = make(seed)
        try:
            compared = await compare(made, caller)
        except BaseException:
            sys.stderr.write(f"seed {seed}\n{made.text}\n")
            raise
        seen.update(operations=1, errors=compared.errors > 0, bails=compared.bails > 0, plans=compared.plans)
        seed += 1
    return seen


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**9))
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    seen = asyncio.run(soak(options.minutes, options.seed))
    sys.stdout.write(f"no difference: {dict(seen)}\n")


if __name__ == "__main__":
    main()
