"""The gauges of a running server, from its start to its stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapters.cancellation import cancel_and_wait
from graph.metrics.backlog import BacklogWatch
from graph.metrics.counters import REGISTRY
from graph.metrics.gauges import Gauges
from graph.metrics.loop_lag import LoopLag

if TYPE_CHECKING:
    from graph.server.background_work import BackgroundWork
    from graph.services import Services


@asynccontextmanager
async def watched(services: "Services", background: "BackgroundWork") -> AsyncIterator[None]:
    """Report the gauges of a server until the end of the context."""
    lag, backlog = LoopLag(), BacklogWatch(services.store, services.clock, services.node)
    gauges = Gauges(services, background, lag, backlog)
    tasks = (
        asyncio.create_task(lag.run(), name="loop lag"),
        asyncio.create_task(backlog.run(), name="backlog"),
    )
    REGISTRY.register(gauges)
    try:
        yield
    finally:
        REGISTRY.unregister(gauges)
        await cancel_and_wait(*tasks)
