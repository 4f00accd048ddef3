"""Metadata in MongoDB, for many machines."""

from adapters.metadata.mongodb.driver import Driver, DriverMissingError, WrongUriError, check_uri
from adapters.metadata.mongodb.error_text import error_text
from adapters.metadata.mongodb.mongo_store import MongoStore

__all__ = ["Driver", "DriverMissingError", "MongoStore", "WrongUriError", "check_uri", "error_text"]
