"""The description of a fault of the environment, in words for the operator and the client."""

import errno
from typing import Final

from recordings.model.errors import Refused

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_disk_full(error: BaseException) -> bool:
    """Return true if a disk is full, or the quota of this service is used up."""
    return isinstance(error, OSError) and error.errno in _FULL


def describe_fault(error: BaseException) -> str:
    """Return one sentence about an error, without the name of its class if its message is a sentence."""
    if isinstance(error, BaseExceptionGroup):
        return describe_fault(error.exceptions[0])
    if is_disk_full(error):
        return "the disk of this server is full"
    if isinstance(error, TimeoutError):
        return str(error) or "no response in time"
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"the disk of this server reports an error: {error.strerror}{where}"
    text = str(error)
    # The errors of this service have sentences as messages. Those of libraries need the name of the class.
    is_own = isinstance(error, Refused) or type(error).__module__.partition(".")[0] in {"adapters", "recordings"}
    if text and is_own:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
