"""Translate driver errors that mean an unavailable MongoDB to `StoreUnavailableError`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError, WriteConcernError

from adapters.metadata.mongodb.error_text import error_text
from recordings.ports.recording_store import StoreFullError, StoreUnavailableError

_DISK_FULL: Final = 14_031
_MAX_MESSAGE: Final = 200
"""Maximum length of the driver's text in a message: the text lists every server and its last known state."""
_TRANSIENT_LABELS: Final = (
    "RetryableWriteError",
    "RetryableError",
    "TransientTransactionError",
    "SystemOverloadedError",
)
"""Labels that the server puts on errors that may pass."""
_TRANSIENT: Final = frozenset({
    # The network, and servers that start, stop or change their role.
    6, 7, 89, 91, 133, 134, 189, 202, 203, 279, 317, 361, 384, 391, 9001, 10058, 10107, 11600, 11602, 13435, 13436,
    # The operation was interrupted, took too long, or lost a race.
    24, 43, 46, 50, 112, 117, 175, 211, 237, 239, 246, 251, 262, 267, 290, 314, 327, 11601,
    # A sharded cluster or a migration changes its routing.
    63, 150, 185, 234, 249, 264, 283, 325, 365, 13388,
    # The server has no resources, or does not accept writes for a while.
    64, 79, 100, 146, 371, 402, 462, 463, 8000, 14031, 16500, 292,
})  # fmt: skip
"""Error codes of MongoDB, of Atlas (8000) and of compatible services (16500) for states that may pass."""
ANSWER_SECONDS: Final = 8.0
"""Seconds that a request of a client may wait for one operation: less than a GraphQL operation may take.

A frozen server, or one behind a broken network, keeps its connections open. The driver would wait for its own timeouts,
one after the other.
"""
_LONG: Final = frozenset({
    "rows", "count", "events", "scan", "claim_due", "release_leases", "marks_to_count", "save_counted", "mark_all",
})  # fmt: skip
"""Operations with a time limit of their own, and those of the background work."""
_StoreClass = TypeVar("_StoreClass", bound=type)


def raises_store_unavailable(store_class: _StoreClass) -> _StoreClass:
    """Make every public coroutine of a class raise `StoreUnavailableError` when MongoDB is unavailable."""
    for name, method in list(vars(store_class).items()):
        if iscoroutinefunction(method) and not name.startswith("_"):
            setattr(store_class, name, _translate_errors(method))
    return store_class


def _translate_errors(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    is_long = method.__name__ in _LONG

    @wraps(method)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await (method(*args, **kwargs) if is_long else _in_time(method(*args, **kwargs)))
        except PyMongoError as error:
            if _DISK_FULL in _codes(error):
                raise StoreFullError("the disk of MongoDB is full") from error
            if is_unavailable(error):
                raise StoreUnavailableError(f"MongoDB does not answer: {error_text(error)[:_MAX_MESSAGE]}") from error
            raise

    return wrapper


async def _in_time(waiting: Awaitable[Any]) -> Any:
    # Not `in_time`, which takes longer.
    deadline = asyncio.timeout(ANSWER_SECONDS)
    try:
        async with deadline:
            return await waiting
    except TimeoutError as error:
        raise _too_slow(deadline, error) from error


@asynccontextmanager
async def in_time(seconds: float | None = ANSWER_SECONDS) -> AsyncIterator[None]:
    """Raise `StoreUnavailableError` if the block takes too long."""
    try:
        async with asyncio.timeout(seconds) as deadline:
            yield
    except TimeoutError as error:
        raise _too_slow(deadline, error) from error


def _too_slow(deadline: asyncio.Timeout, error: TimeoutError) -> Exception:
    """Return the error of a `TimeoutError` in a block, which can also come from the block itself."""
    if not deadline.expired():
        return error
    return StoreUnavailableError(f"MongoDB did not answer within {ANSWER_SECONDS:g} s")


def is_unavailable(error: PyMongoError) -> bool:
    """Return true if MongoDB was unreachable, closed the connection, is no longer primary, was too slow or overloaded.

    It also returns true if MongoDB does not accept writes for a while, for example because its disk is full.
    This includes a write that the primary did but could not confirm for a majority, for example because it stepped
    down. A caller that repeats such a write learns whether it was stored.
    """
    if isinstance(error, ConnectionFailure | WriteConcernError) or error.timeout or _is_unconfirmed(error):
        return True
    return any(map(error.has_error_label, _TRANSIENT_LABELS)) or not _TRANSIENT.isdisjoint(_codes(error))


def _codes(error: PyMongoError) -> set[int]:
    """Return the codes of an error. A bulk write has one for each write that failed."""
    if not isinstance(error, OperationFailure):
        return set()
    details = error.details or {}
    failed = details.get("writeErrors", ()) if isinstance(error, BulkWriteError) else ()
    return {int(each.get("code") or 0) for each in failed} or {error.code or 0}


def _is_unconfirmed(error: PyMongoError) -> bool:
    """Return true if a bulk write failed only because a majority did not confirm it."""
    if not isinstance(error, BulkWriteError):
        return False
    return bool(error.details.get("writeConcernErrors")) and not error.details.get("writeErrors")
