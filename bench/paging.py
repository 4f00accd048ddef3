"""The first page beside the ten thousandth, of a million recordings: every order, both ways, both stores.

    python -m bench.paging                  a million recordings in each store (3 minutes on two idle cores)
    python -m bench.paging --size 20000     fewer, to see that it works

Ends with 1 where a far page takes more than 1.2 times as long as the first one. The measuring is that of
`bench.stores`, whose rounds alternate between the two pages; figures are medians.
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

MOST: Final = 1.2


async def pages(bench: Any, size: int) -> None:
    """Fill a store and measure it."""
    async with opened(bench):
        await bench.fill(size)
        await depth(bench, size, FULL)


def main() -> int:
    """Read the arguments, measure, and say how it ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    size = parser.parse_args().size
    found: list[tuple[str, float]] = []
    show = stores.show

    def noted(store: str, size: int, what: str, one: float, other: float, unit: str = "ms") -> None:
        found.append((f"{store} {what}", other / one))
        show(store, size, what, one, other, unit)

    stores.show = noted
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(pages(Sqlite(Path(folder)), size))
        with Mongod(Path(folder) / "mongod") as mongod:
            asyncio.run(pages(Mongo(mongod.uri, "paging"), size))
    slow = [(what, ratio) for what, ratio in found if ratio > MOST]
    print(f"{len(found)} comparisons, the worst {max(ratio for _, ratio in found):.2f}x", *slow, sep="\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
