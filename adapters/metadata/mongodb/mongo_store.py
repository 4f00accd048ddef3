"""The metadata store on MongoDB: all parts of the port on one client."""

from adapters.metadata.mongodb.account_collections import Directory
from adapters.metadata.mongodb.driver import Connection, Driver
from adapters.metadata.mongodb.indexes import migrate
from adapters.metadata.mongodb.peer_collections import Peers
from adapters.metadata.mongodb.recording_collection import Recordings
from adapters.metadata.mongodb.user_collection import Users


class MongoStore(Recordings, Directory, Users, Peers):
    """A `MetadataStore` in a MongoDB database, and the `PeerStore` of the servers that share it.

    To be made inside a running event loop, and used in that one alone. Nothing is sent before `open`.

    Args:
        uri: a replica set or sharded cluster; its client options are respected, all but the write concern.
        database: the database's name.
        driver: which library talks to it.

    Raises:
        DriverMissingError: that library is not installed.
    """

    def __init__(self, uri: str, database: str = "recordings", driver: Driver | str = Driver.PYMONGO) -> None:
        self._connection = Connection(Driver(driver), uri, database)
        Recordings.__init__(self, self._connection.database)
        Directory.__init__(self, self._connection.database)
        Users.__init__(self, self._connection.database)
        Peers.__init__(self, self._connection.database)

    async def open(self) -> None:
        """Reach the server; make indexes and migrate where needed. Other processes may do the same at once."""
        await migrate(self._connection.database)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def ping(self) -> None:
        """Raise unless a primary answers."""
        await self._connection.database.command("ping")
