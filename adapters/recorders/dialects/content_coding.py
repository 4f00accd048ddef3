"""Unpack the body of a request (`Content-Encoding`), without I/O and in pieces of limited size.

Only gzip and deflate are unpacked: the standard library can limit the output of both. A small body can unpack to a very
large one, so the caller must count the bytes and stop.
"""

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

PIECE: Final = 65_536
"""Maximum size (bytes) of a piece."""
CODINGS: Final = "gzip, deflate"
"""The codings that are unpacked, as a header writes them."""
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW = 31, 15, -15


class DamagedCoding(Exception):  # noqa: N818 - an expected result
    """The packed data is damaged or incomplete. The text says how."""


class Unpacker(Protocol):
    """Unpacks one body."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the unpacked pieces of the next bytes. Raises `DamagedCoding`."""

    def finish(self) -> Iterator[bytes]:
        """Yield the last pieces, at the end of the body. Raises `DamagedCoding` if the body is incomplete."""


def unpacker(content_encoding: str) -> Unpacker | None:
    """Return an unpacker for the value of the header `Content-Encoding`; `None` for an unsupported one."""
    codings = [name for each in content_encoding.split(",") if (name := each.strip().lower()) not in {"", "identity"}]
    if not codings:
        return _Plain()
    if codings in (["gzip"], ["x-gzip"]):
        return _Gzip()
    return _Deflate() if codings == ["deflate"] else None


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> Iterator[bytes]:
        return iter(())


class _Gzip:
    """gzip (RFC 1952), with any number of members."""

    def __init__(self) -> None:
        self._begin = b""
        self._is_known = False
        self._is_plain = False
        self._member: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._is_known:
            data = self._begin = self._begin + data
            if len(data) < len(_GZIP_MAGIC):
                return
            self._is_known = True
            # Some senders set the header, but do not pack the file.
            self._is_plain = not data.startswith(_GZIP_MAGIC)
        if self._is_plain:
            yield data
            return
        while data:
            if self._member is None:
                if data[0] != _GZIP_MAGIC[0]:
                    # Padding follows the last member, as some tape tools write it. `gzip` ignores it, too.
                    return
                self._member = zlib.decompressobj(_GZIP)
            member = self._member
            yield from _pieces(member, data)
            data = b""
            if member.eof:
                data, self._member = member.unused_data, None

    def finish(self) -> Iterator[bytes]:
        if not self._is_known:
            yield self._begin
        elif self._member is not None:
            raise DamagedCoding("the gzip data is incomplete")


class _Deflate:
    """deflate: the zlib format (RFC 9110, section 8.4.1.2), or data without its header, which many senders write."""

    def __init__(self) -> None:
        self._begin = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._begin = self._begin + data
            if len(data) < 2:  # noqa: PLR2004 - the length of the zlib header
                return
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0  # noqa: PLR2004 - RFC 1950, section 2.2
            self._stream = zlib.decompressobj(_ZLIB if is_zlib else _RAW)
        if not self._stream.eof:
            yield from _pieces(self._stream, data)

    def finish(self) -> Iterator[bytes]:
        if self._begin and (self._stream is None or not self._stream.eof):
            raise DamagedCoding("the deflate data is incomplete")
        yield from ()


def _pieces(stream: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while True:
        try:
            piece = stream.decompress(data, PIECE)
        except zlib.error as error:
            raise DamagedCoding(f"the packed data is damaged: {error}") from error
        if piece:
            yield piece
        data = stream.unconsumed_tail
        if stream.eof or (not data and len(piece) < PIECE):
            return
