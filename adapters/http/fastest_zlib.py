"""The fastest library with the interface of zlib."""

import zlib
from typing import Any


def _choose() -> Any:
    # isal has the same sizes, ten times the speed of compression, and twenty times that of CRC-32.
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


fastest_zlib: Any = _choose()
