"""The metadata store on MongoDB: all its collections through one client."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from adapters.metadata.mongodb.access_collection import AccessCollection
from adapters.metadata.mongodb.account_collections import AccountCollections
from adapters.metadata.mongodb.audit_collections import AuditCollections
from adapters.metadata.mongodb.change_clock import ChangeClock, check_replica_set
from adapters.metadata.mongodb.database_copy import DatabaseCopy
from adapters.metadata.mongodb.driver import Connection, Driver
from adapters.metadata.mongodb.indexes import META, migrate
from adapters.metadata.mongodb.list_collection import RecordingLists
from adapters.metadata.mongodb.peer_collections import PeerCollections
from adapters.metadata.mongodb.plain_documents import PlainDocuments
from adapters.metadata.mongodb.policy_collection import PolicyCollection
from adapters.metadata.mongodb.recording_collection import RecordingCollection
from adapters.metadata.mongodb.retention_run_collection import RetentionRunCollection
from adapters.metadata.mongodb.rollup_collections import RollupCollections
from adapters.metadata.mongodb.secret_collection import SecretCollection
from adapters.metadata.mongodb.user_collection import UserCollection
from adapters.metadata.mongodb.webhook_collections import WebhookCollections
from recordings.model.query import MAX_EXAMINED

PING_SECONDS: Final = 4.0


class MongoStore(
    RecordingCollection,
    RecordingLists,
    RollupCollections,
    AccountCollections,
    AccessCollection,
    SecretCollection,
    RetentionRunCollection,
    WebhookCollections,
    UserCollection,
    PolicyCollection,
    AuditCollections,
    PeerCollections,
    DatabaseCopy,
    PlainDocuments,
):
    """A `MetadataStore` in a MongoDB database, and the `PeerStore` of the servers that share it.

    Create it inside a running event loop, and use it only in that loop. It sends nothing before `open`.

    Args:
        uri: the connection string of a replica set or a sharded cluster. Its client options apply, except the write
            concern, the read concern and the read preference.
        database: the name of the database.
        driver: the library that connects to it.
        max_examined: the maximum number of rows that one page or count examines.

    Raises:
        DriverMissingError: the library is not installed.
        WrongUriError: the URI, one of its options or the database name cannot be used.
    """

    def __init__(
        self,
        uri: str,
        database: str = "recordings",
        driver: Driver | str = Driver.PYMONGO,
        *,
        max_examined: int = MAX_EXAMINED,
    ) -> None:
        self._connection = Connection(Driver(driver), uri, database)
        self._change_clock = ChangeClock(self._connection.database)
        RollupCollections.__init__(self, self._connection.database)
        RecordingCollection.__init__(self, self._connection, self._change_clock, self.slot_marks)
        RecordingLists.__init__(self, self._connection, self._change_clock, max_examined)
        AccountCollections.__init__(self, self._connection.database)
        AccessCollection.__init__(self, self._connection.database)
        SecretCollection.__init__(self, self._connection.database)
        RetentionRunCollection.__init__(self, self._connection.database)
        WebhookCollections.__init__(self, self._connection.database)
        UserCollection.__init__(self, self._connection.database)
        PolicyCollection.__init__(self, self._connection.database)
        AuditCollections.__init__(self, self._connection.database)
        PeerCollections.__init__(self, self._connection.database)

    async def open(self) -> None:
        """Connect, create missing indexes and migrate the schema. Other processes may do the same at the same time."""
        # First, because a migration of a single server would leave its collections there.
        await check_replica_set(self._connection.database)
        await migrate(self._connection.database)
        await self._change_clock.start()

    async def close(self) -> None:
        """Close the connections."""
        await self._change_clock.stop()
        await self._connection.close()

    async def ping(self) -> None:
        """Raise unless a primary accepts a write, and a majority confirms it."""
        # pymongo's own timeout would replace the shorter one for an unreachable server.
        async with asyncio.timeout(PING_SECONDS):
            probe = {"$set": {"at": datetime.now(UTC)}}
            await self._connection.database[META].update_one({"_id": "probe"}, probe, upsert=True)
