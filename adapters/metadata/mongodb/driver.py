"""The two asyncio drivers, and all in which they differ for us: how a client is made and let go of.

pymongo's own is the default: the same work costs it about half of the CPU that it costs Motor, which it supersedes.
"""

import warnings
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

Document = dict[str, Any]
Database = Any
"""An asynchronous database of either driver: for what is used here their methods are the same."""

DEFAULTS: Final = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 20_000,
    "maxPoolSize": 64,
    "retryWrites": True,
    "retryReads": True,
    "appname": "recordings",
}
"""Client options, each unless the URI says otherwise. Without them a client waits for ever, or for half a
minute. Not `timeoutMS`: with that, an operation waits all of it for a server that is away."""


class Driver(StrEnum):
    """Which library talks to MongoDB."""

    PYMONGO = "pymongo"
    MOTOR = "motor"


class DriverMissingError(RuntimeError):
    """The chosen driver is not installed."""


class WrongUriError(ValueError):
    """The URI cannot be used; the message says why, and has no part of a password."""


class Connection:
    """A client of either driver and the one database used through it.

    Args:
        driver: which library.
        uri: where the servers are, with any client options.
        database: its name.

    Raises:
        WrongUriError: the URI, one of its options or the name cannot be used.
    """

    def __init__(self, driver: Driver, uri: str, database: str) -> None:
        library = _client(driver)
        try:
            with warnings.catch_warnings():
                # An option that is unknown or wrong is left out with a warning: TLS, say, would just be off.
                warnings.simplefilter("error", UserWarning)
                self._open(library, uri, database)
        except (PyMongoError, ValueError, OSError, UserWarning) as error:
            raise WrongUriError(_said(error)) from error

    def _open(self, library: Any, uri: str, database: str) -> None:
        self._client = library(uri, **_options(uri))
        self.database: Database = self._client.get_database(
            database,
            # An answer is a promise: on a majority of the disks, whatever the URI says. Reads come from the primary,
            # so that they see what was written just before.
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("local"),
            read_preference=ReadPreference.PRIMARY,
        )

    async def close(self) -> None:
        """Close the connections."""
        closing = self._client.close()
        # Motor's is no coroutine.
        if closing is not None:
            await closing


def _client(driver: Driver) -> Any:
    if driver is Driver.PYMONGO:
        return AsyncMongoClient
    try:
        from motor.motor_asyncio import AsyncIOMotorClient
    except ModuleNotFoundError as error:
        message = "the driver 'motor' is not installed: install the extra 'motor', or choose the driver 'pymongo'"
        raise DriverMissingError(message) from error
    return AsyncIOMotorClient


def _said(error: Exception) -> str:
    said = str(error)
    # What it took for a part of something else is a part of the password.
    return "user and password must be percent-encoded, as RFC 3986 has it" if "@" in said else said


def _options(uri: str) -> dict[str, Any]:
    given = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    return {name: value for name, value in DEFAULTS.items() if name.lower() not in given}
