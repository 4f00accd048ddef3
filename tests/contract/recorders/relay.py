"""A relay between a recorder and its switch. It cuts the connections while both of them go on."""

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress

from tests.servers.tcp_server import TcpServer


class Relay(TcpServer):
    """Passes TCP connections on."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(self._pass_on)
        self._target = host, port

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, there_writer))
                group.create_task(_copy(there_reader, writer))
        finally:
            there_writer.transport.abort()


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
