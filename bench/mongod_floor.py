"""The slow queries of `bench.isolation` without the service: the same commands to MongoDB by a bare driver.

The commands are recorded while the service answers each query once. Then a process sends them at the rate that the
service reached. A plain page that the service reads meanwhile shares the machine and `mongod` with the slow queries,
but no queue, no connection and no event loop. So its ratio is the machine's: the service cannot do better.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Final

import httpx
from pymongo import AsyncMongoClient, monitoring

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.mongodb.list_collection import SLOW_PER_ACCOUNT
from bench.stats import use_cases
from graph.graphql_app import GraphQLServices, GraphQLSettings, graphql_app
from recordings.model.account import Principal, Scope
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from tests.support.fake_clock import FakeClock

Command = dict[str, Any]
Commands = Sequence[Command]
"""The commands of one query, in their order."""
READS: Final = frozenset({"find", "aggregate", "count", "distinct"})
_JSON: Final = {"content-type": "application/json"}
_OF_THE_DRIVER: Final = frozenset({"lsid", "$db", "$clusterTime", "$readPreference"})


class CommandRecorder(monitoring.CommandListener):
    """Keeps the commands that read recordings."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Keep a command, without the keys that the driver adds."""
        if event.command_name in READS and event.command[event.command_name] == "recordings":
            self.commands.append({key: value for key, value in event.command.items() if key not in _OF_THE_DRIVER})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Do nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Replay:
    """The recorded commands of the slow queries, and the database to send them to."""

    uri: str
    database: str
    slow: Sequence[Commands]


async def recorded(uri: str, database: str, texts: Sequence[str], account_id: str) -> list[Commands]:
    """Return the commands that the service sends for each GraphQL document."""
    recorder = CommandRecorder()
    monitoring.register(recorder)
    store = MongoStore(uri, database)

    async def authenticate(_headers: object) -> Principal:
        return Principal(account_id, frozenset({Scope.READ}))

    services = GraphQLServices(
        recordings=use_cases(store),
        cursors=Cursors(b"c" * 32),
        grants=Grants(b"g" * 32),
        clock=FakeClock(0),
        authenticate=authenticate,
    )
    transport = httpx.ASGITransport(graphql_app(services, GraphQLSettings(compress=False)))
    found: list[Commands] = []
    await store.open()
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        for text in texts:
            recorder.commands.clear()
            response = await client.post("/graphql", content=json.dumps({"query": text}), headers=_JSON)
            assert recorder.commands, response.text
            found.append(list(recorder.commands))
    await store.close()
    return found


def send_commands(replay: Replay, per_second: Any, run: Event, end: Event) -> None:
    """Send the commands of the slow queries while `run` is set, until `end`. This is a process of its own."""
    asyncio.run(_send_commands(replay, per_second, run, end))


async def _send_commands(replay: Replay, per_second: Any, run: Event, end: Event) -> None:
    queries = itertools.cycle(replay.slow)

    async def send(client: AsyncMongoClient[Any]) -> None:
        while not end.is_set():
            if not run.is_set():
                await asyncio.sleep(0.01)
                continue
            start = time.perf_counter()
            for command in next(queries):
                await client[replay.database].command(command)
            await asyncio.sleep(max(0.0, SLOW_PER_ACCOUNT / per_second.value - (time.perf_counter() - start)))

    async with AsyncMongoClient[Any](replay.uri) as client:
        await asyncio.gather(*(send(client) for _ in range(SLOW_PER_ACCOUNT)))
