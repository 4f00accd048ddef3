"""Compare the first page of a million recordings with page 10 000: each sort order, both directions, both stores.

    python -m bench.paging                  a million recordings in each store (3 minutes on two idle cores)
    python -m bench.paging --size 20000     fewer, to check that it works

The exit status is 1 if a far page takes more than 1.2 times as long as the first page. `bench.stores` does the
measuring: it alternates between the two pages and reports medians.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bench import stores
from bench.stores import FULL, depth
from bench.tables import Mongo, Sqlite, opened
from tests.servers.mongod import Mongod

MAX_RATIO: Final = 1.2


async def pages(bench: Any, size: int) -> None:
    """Fill a store and measure its pages."""
    async with opened(bench):
        await bench.fill(size)
        await depth(bench, size, FULL)


def main() -> int:
    """Read the arguments, measure and print the result. Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    size = parser.parse_args().size
    found: list[tuple[str, float]] = []
    show = stores.show

    def show_and_remember(store: str, size: int, what: str, one: float, other: float, unit: str = "ms") -> None:
        found.append((f"{store} {what}", other / one))
        show(store, size, what, one, other, unit)

    stores.show = show_and_remember
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(pages(Sqlite(Path(folder)), size))
        with Mongod(Path(folder) / "mongod") as mongod:
            asyncio.run(pages(Mongo(mongod.uri, "paging"), size))
    slow = [(what, ratio) for what, ratio in found if ratio > MAX_RATIO]
    print(f"{len(found)} comparisons, the worst {max(ratio for _, ratio in found):.2f}x", *slow, sep="\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
