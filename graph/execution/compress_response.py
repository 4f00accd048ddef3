"""Compressing an answer, where that pays and with what does it fast.

The 52 kB of a page take zstd at level 1 0.13 ms and isal's gzip 0.10 ms; zlib takes 0.48 at level 1 and 2.6 at 9, which
is several times what the page itself takes. Both libraries are optional: without them gzip is zlib's, at level 1.
"""

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

LEAST: Final = 1_400
"""What fits into one packet gains nothing."""

Compress = Callable[[bytes], bytes]


def _zstd() -> Compress | None:
    try:
        import zstandard
    except ImportError:
        return None
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=False)

    def compressed(body: bytes) -> bytes:
        return bytes(compressor.compress(body))

    return compressed


def _gzip() -> Compress:
    try:
        from isal import igzip
    except ImportError:
        return _gzip_of_zlib
    compress: Any = igzip.compress
    return lambda body: bytes(compress(body, compresslevel=1))


def _gzip_of_zlib(body: bytes) -> bytes:
    packing = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    return packing.compress(body) + packing.flush()


@lru_cache(maxsize=1)
def _codings() -> dict[str, Compress]:
    found = _zstd()
    return ({"zstd": found} if found is not None else {}) | {"gzip": _gzip()}


@lru_cache(maxsize=256)
def coding_of(accept_encoding: str | None) -> str | None:
    """The coding to use for an `Accept-Encoding` header, if any."""
    return next((name for name in _codings() if takes(accept_encoding, name)), None)


@lru_cache(maxsize=256)
def takes(accept_encoding: str | None, coding: str) -> bool:
    """Whether an `Accept-Encoding` header takes a coding."""
    taken: dict[str, bool] = {}
    for item in (accept_encoding or "").lower().split(","):
        name, _, parameters = item.partition(";")
        taken[name.strip()] = parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return taken.get(coding, taken.get("*", False))


def compress(body: bytes, coding: str) -> bytes:
    """A body in a coding that `coding_of` gave."""
    return _codings()[coding](body)
