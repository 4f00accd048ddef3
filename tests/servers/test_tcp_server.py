"""No connection of a test's server is left to the garbage collector."""

import asyncio
import gc
import warnings
from asyncio import StreamReader, StreamWriter

import pytest

from tests.contract.recorders.relay import Relay
from tests.servers.tcp_server import HOST, TcpServer


async def _connect_and_leave(port: int, turns: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    for _ in range(turns):
        await asyncio.sleep(0)
    writer.transport.abort()


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("stops", [True, False])
@pytest.mark.parametrize("relays", [True, False])
def test_the_end_of_a_loop_leaves_no_connection_open(turns: int, *, stops: bool, relays: bool) -> None:
    """The loop ends after each number of its turns, so before, while and after the connection is accepted."""

    async def wait(_: StreamReader, __: StreamWriter) -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        server = TcpServer(wait)
        await server.start()
        relay = Relay(HOST, server.port)
        await relay.start()
        await _connect_and_leave(relay.port if relays else server.port, turns)
        if stops:
            await relay.stop()
            await server.stop()

    gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(work())
        gc.collect()
    assert [str(each.message) for each in warned if "transport" in str(each.message)] == []
