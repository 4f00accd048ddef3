"""Less memory from glibc's `malloc`. On other systems these functions do nothing."""

import ctypes
from contextlib import suppress
from typing import Final

ARENAS: Final = 2
"""How many heaps the threads of this process share. By default there are eight for each core, and memory that is free
in one is not used by the others: large exports then leave some 25 MB more."""
_M_ARENA_MAX: Final = -8
"""The parameter's number in malloc.h."""


def limit_arenas() -> None:
    """Limit the number of heaps. Call it before the first thread starts."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Return free memory to the system. It takes some milliseconds."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
