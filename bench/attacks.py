"""What refusing a hostile document costs beside completing a page of 100 recordings, in CPU.

    python -m bench.attacks

Reading such a page from a store takes longer than completing it, and is not counted here.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any

from graph.execution.executor import CompiledExecutor
from tests.graph.execution.differential import context, run, shown
from tests.graph.execution.rows import sound_row
from tests.graph.execution.test_limits import ATTACKS, PAGE, SCHEMA, refuse


def cpu_of(work: Callable[[], Any]) -> float:
    """The least CPU time of some runs."""
    best = 1.0
    for _ in range(7):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


async def page() -> float:
    """CPU seconds of completing a page of 100 rows, which is not even read from a store: the least of some runs."""
    asker = context(Random(1), 0.0)
    recordings: Any = asker.recordings
    recordings.rows = [sound_row(Random(at), at) for at in range(100)]
    document = SCHEMA.documents.find(PAGE)
    best = 1.0
    for _ in range(9):
        began = time.process_time()
        shown(await run(CompiledExecutor, document.node, {}, asker))
        best = min(best, time.process_time() - began)
    assert document.node.plans.bails == 0
    return best


def main() -> None:
    """Print a line for each attack."""
    whole = asyncio.run(page())
    print(f"{'a page, completed':28} {whole * 1e3:8.2f} ms   1.00x")
    for name, (text, _) in ATTACKS.items():
        cost = cpu_of(lambda text=text: refuse(text))  # type: ignore[misc]
        print(f"{name:28} {cost * 1e3:8.2f} ms  {cost / whole:5.2f}x")


if __name__ == "__main__":
    main()
