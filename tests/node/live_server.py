"""A live server for clients in other processes, and the commands that run them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn

from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from tests.graph.api import CURSORS, GRANTS, authenticate, recording
from tests.support.memory_installation import open_installation


async def run(folder: Path, *command: str, expected: int = 0) -> str:
    """Return the output of a command. Fail the test if its exit status is not the expected one."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == expected, said.decode()
    return said.decode()


@asynccontextmanager
async def served(
    folder: Path, count: int = 0, settings: GraphQLSettings | None = None
) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve the API with `count` recordings. Yield its URL and their ids, newest first."""
    async with open_installation(folder) as installation:
        kept = [recording(installation.clock.now() + number) for number in range(count)]
        for item in kept:
            await installation.store.insert(item)
        services = GraphQLServices(
            recordings=installation.service,
            cursors=CURSORS,
            grants=GRANTS,
            clock=installation.clock,
            authenticate=authenticate,
            events=installation.events,
        )
        config = uvicorn.Config(
            graphql_app(services, settings), port=0, log_config=None, ws="websockets-sansio", lifespan="off"
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/graphql", [item.id for item in reversed(kept)]
        finally:
            server.should_exit = True
            await running
