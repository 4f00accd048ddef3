"""Translate driver errors that mean an unavailable MongoDB to `StoreUnavailableError`."""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError, WriteConcernError

from recordings.ports.recording_store import StoreUnavailableError

_MAX_MESSAGE: Final = 200
"""Maximum length of the driver's text in a message: the text lists every server and its last known state."""
_StoreClass = TypeVar("_StoreClass", bound=type)


def raises_store_unavailable(store_class: _StoreClass) -> _StoreClass:
    """Make every public coroutine of a class raise `StoreUnavailableError` when MongoDB is unavailable."""
    for name, method in list(vars(store_class).items()):
        if iscoroutinefunction(method) and not name.startswith("_"):
            setattr(store_class, name, _translate_errors(method))
    return store_class


def _translate_errors(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except PyMongoError as error:
            if is_unavailable(error):
                raise StoreUnavailableError(f"MongoDB does not answer: {str(error)[:_MAX_MESSAGE]}") from error
            raise

    return wrapper


def is_unavailable(error: PyMongoError) -> bool:
    """Return true if MongoDB was unreachable, closed the connection, is no longer primary, or was too slow.

    This includes a write that the primary did but could not confirm for a majority, for example because it stepped
    down. A caller that repeats such a write learns whether it was stored.
    """
    return isinstance(error, ConnectionFailure | WriteConcernError) or error.timeout or _is_unconfirmed(error)


def _is_unconfirmed(error: PyMongoError) -> bool:
    """Return true if a bulk write failed only because a majority did not confirm it."""
    if not isinstance(error, BulkWriteError):
        return False
    return bool(error.details.get("writeConcernErrors")) and not error.details.get("writeErrors")
