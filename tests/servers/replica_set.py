"""A MongoDB replica set of several real members."""

import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pymongo.errors import OperationFailure, PyMongoError

from tests.servers.mongod import ALREADY_INITIATED, REPLICA_SET, Mongod
from tests.servers.server_process import START_SECONDS, ServerUnavailableError


class ReplicaSet:
    """`mongod` processes that elect a primary. As a context manager it starts and stops them."""

    def __init__(self, directory: Path, size: int = 3) -> None:
        self.members = [Mongod(directory / f"member-{number}") for number in range(size)]
        for member in self.members:
            member.directory.mkdir(parents=True)

    def primary(self) -> Mongod | None:
        """Return the member that accepts writes."""
        for member in self.members:
            with suppress(PyMongoError), member.client() as client:
                if member.process is not None and client.admin.command("hello").get("isWritablePrimary"):
                    return member
        return None

    def wait_for_primary(self) -> None:
        """Wait until a member accepts writes."""
        deadline = time.monotonic() + START_SECONDS
        while self.primary() is None:
            if time.monotonic() > deadline:
                raise ServerUnavailableError("the replica set elected no primary")
            time.sleep(0.2)

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            self._initiate()
            self.wait_for_primary()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill all members."""
        for member in self.members:
            member.kill()

    def _initiate(self) -> None:
        members = [{"_id": number, "host": f"127.0.0.1:{member.port}"} for number, member in enumerate(self.members)]
        # Short times: a test waits for elections.
        settings = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
        with self.members[0].client() as client:
            try:
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members, "settings": settings})
            except OperationFailure as error:
                if error.code != ALREADY_INITIATED:
                    raise
