"""The two asyncio drivers for MongoDB. For this service they differ only in how a client is created and closed.

pymongo's own driver is the default. It supersedes Motor and needs about half of Motor's CPU time for the same work.
"""

import warnings
from enum import StrEnum
from inspect import isawaitable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri

Document = dict[str, Any]
Database = Any
"""An asynchronous database of either driver. The methods that this package uses are the same in both."""
Collection = Any
"""A collection of such a database."""

DEFAULTS: Final = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 20_000,
    "maxPoolSize": 64,
    "retryWrites": True,
    "retryReads": True,
    "appname": "recordings",
}
"""Default client options; options in the URI override them. Without them a client waits forever, or for 30 seconds.
`timeoutMS` is not set: with it, an operation waits that whole time for an unreachable server."""


class Driver(StrEnum):
    """The library that connects to MongoDB."""

    PYMONGO = "pymongo"
    MOTOR = "motor"


class DriverMissingError(RuntimeError):
    """The chosen driver is not installed."""


class WrongUriError(ValueError):
    """The URI cannot be used. The message says why and never contains a part of the password."""


class Connection:
    """A client of either driver, and the one database that it uses.

    Args:
        driver: the library.
        uri: the MongoDB connection string, with any client options.
        database: the name of the database.

    Raises:
        WrongUriError: the URI, one of its options or the database name cannot be used.
    """

    def __init__(self, driver: Driver, uri: str, database: str) -> None:
        library = _client(driver)
        try:
            with warnings.catch_warnings():
                # The drivers only warn about an unknown or wrong option and ignore it. TLS, for example, would be off.
                warnings.simplefilter("error", UserWarning)
                self._open(library, uri, database)
        except (PyMongoError, ValueError, OSError, UserWarning) as error:
            raise WrongUriError(_uri_error_text(error)) from error

    def _open(self, library: Any, uri: str, database: str) -> None:
        self._client = library(uri, **_options(uri))
        self.database: Database = self._client.get_database(
            database,
            # An acknowledged write is on the disks of a majority, even if the URI sets less. Reads use the primary, so
            # that they see the writes before them.
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("local"),
            read_preference=ReadPreference.PRIMARY,
        )

    async def session(self) -> Any:
        """Return a causally consistent session."""
        started = self._client.start_session(causal_consistency=True)
        # Motor's `start_session` is a coroutine.
        return await started if isawaitable(started) else started

    async def snapshot_session(self) -> Any:
        """Return a session whose reads all see the same instant."""
        started = self._client.start_session(snapshot=True)
        return await started if isawaitable(started) else started

    async def close(self) -> None:
        """Close the connections."""
        closing = self._client.close()
        # Motor's `close` is not a coroutine.
        if closing is not None:
            await closing


async def to_cursor(result: Any) -> Any:
    """Return the cursor of an `aggregate`. pymongo's is a coroutine, and Motor's is the cursor itself."""
    return await result if isawaitable(result) else result


def check_uri(uri: str) -> None:
    """Check the form of a connection string, without a connection. Raises `WrongUriError`."""
    if uri.startswith("mongodb+srv:"):
        # The rest of this form is in DNS.
        return
    try:
        parse_uri(uri)
    except (PyMongoError, ValueError) as error:
        raise WrongUriError(_uri_error_text(error)) from error


def _client(driver: Driver) -> Any:
    if driver is Driver.PYMONGO:
        return AsyncMongoClient
    try:
        from motor.motor_asyncio import AsyncIOMotorClient
    except ModuleNotFoundError as error:
        message = "the driver 'motor' is not installed: install the extra 'motor', or choose the driver 'pymongo'"
        raise DriverMissingError(message) from error
    return AsyncIOMotorClient


def _uri_error_text(error: Exception) -> str:
    text = str(error)
    # A text with "@" quotes a misread part of the URI, which may be a part of the password.
    return "user name and password must be percent-encoded (RFC 3986, section 2.1)" if "@" in text else text


def _options(uri: str) -> dict[str, Any]:
    args = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query)}
    return {name: value for name, value in DEFAULTS.items() if name.lower() not in args}
