"""Compare the CPU cost of rejecting a hostile document with the cost of executing a page of 100 recordings.

    python -m bench.attacks
    python -m bench.attacks --tenants

The second command measures two tenants on a real server instead: `bench/two_tenants.py`.

The time to read the page from a store is not included. It is longer than the time to execute the page.
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any

from bench.two_tenants import print_table
from graph.execution.executor import CompiledExecutor
from tests.graph.execution.differential import context, run, visible
from tests.graph.execution.rows import sound_row
from tests.graph.execution.test_limits import ATTACKS, PAGE, SCHEMA, refuse


def cpu_of(work: Callable[[], Any]) -> float:
    """Return the shortest CPU time of several runs, in seconds."""
    best = 1.0
    for _ in range(7):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


async def page() -> float:
    """Return the CPU seconds to execute a page of 100 rows without a store: the shortest of several runs."""
    resolver_context = context(Random(1), 0.0)
    recordings: Any = resolver_context.recordings
    recordings.rows = [sound_row(Random(at), at) for at in range(100)]
    document = SCHEMA.documents.find(PAGE)
    best = 1.0
    for _ in range(9):
        start = time.process_time()
        visible(await run(CompiledExecutor, document.node, {}, resolver_context))
        best = min(best, time.process_time() - start)
    assert document.node.plans.bails == 0
    return best


def main() -> None:
    """Print a line for each attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", action="store_true", help="measure account B while account A attacks")
    parser.add_argument("--only", help="measure only attacks whose names contain this text")
    arguments = parser.parse_args()
    if arguments.tenants:
        print_table(arguments.only)
        return
    whole = asyncio.run(page())
    print(f"{'executed page':28} {whole * 1e3:8.2f} ms   1.00x")
    for name, (text, _) in ATTACKS.items():
        cost = cpu_of(lambda text=text: refuse(text))  # type: ignore[misc]
        print(f"{name:28} {cost * 1e3:8.2f} ms  {cost / whole:5.2f}x")


if __name__ == "__main__":
    main()
