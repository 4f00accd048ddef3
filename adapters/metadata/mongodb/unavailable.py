"""Telling a server that is away from all else that the drivers raise."""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from pymongo.errors import BulkWriteError, ConnectionFailure, PyMongoError, WriteConcernError

from recordings.ports.recording_store import StoreUnavailableError

_SHOWN: Final = 200
"""How much is told of what the driver says: it names every server, and what it last heard of each."""
_Part = TypeVar("_Part", bound=type)


def says_away(part: _Part) -> _Part:
    """Have every public coroutine of a part of the store raise `StoreUnavailableError` where the server is away."""
    for name, method in list(vars(part).items()):
        if iscoroutinefunction(method) and not name.startswith("_"):
            setattr(part, name, _translated(method))
    return part


def _translated(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(method)
    async def translated(*given: Any, **named: Any) -> Any:
        try:
            return await method(*given, **named)
        except PyMongoError as error:
            if is_away(error):
                raise StoreUnavailableError(f"MongoDB does not answer: {str(error)[:_SHOWN]}") from error
            raise

    return translated


def is_away(error: PyMongoError) -> bool:
    """Whether nobody was there, went away in the middle, is no primary any more, or took longer than anything may.

    A write that a primary did, and of which it cannot say whether a majority has it (it stepped down, say), is such a
    one too: whoever sends it again is told the truth then.
    """
    return isinstance(error, ConnectionFailure | WriteConcernError) or error.timeout or _is_unconfirmed(error)


def _is_unconfirmed(error: PyMongoError) -> bool:
    """Whether all that is wrong with a bulk of writes is that."""
    if not isinstance(error, BulkWriteError):
        return False
    return bool(error.details.get("writeConcernErrors")) and not error.details.get("writeErrors")
