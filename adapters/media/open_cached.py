"""Open a file without waiting for the disk.

`openat2` with `RESOLVE_CACHED` (Linux 5.12) fails if a part of the path is not in memory. Python has no function for
it.
"""

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_OPENAT2: Final = 437
"""The number of the call on x86-64 and ARM."""
_AT_FDCWD: Final = -100
_RESOLVE_CACHED: Final = 0x20


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_cached(path: Path, flags: int) -> int | None:
    """Return the descriptor of a file; `None` if only a call that may wait can tell whether the file can be opened."""
    if _syscall is None:
        return None
    how = _How(flags, 0, _RESOLVE_CACHED)
    arguments = _AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)
    # Each error has the same result: the usual call follows and names it.
    descriptor = _syscall(_OPENAT2, *arguments)
    return None if descriptor < 0 else descriptor


def _system_call() -> Callable[..., int] | None:
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return None
    call = ctypes.CDLL(None).syscall
    call.restype = ctypes.c_long
    call.argtypes = ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    return call


_syscall: Final = _system_call()
