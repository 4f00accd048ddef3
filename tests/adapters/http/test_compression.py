"""Compression: which coding a client accepts, and bodies that are compressed whole or piece by piece."""

import gzip
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import zstandard
from isal import isal_zlib

from adapters.http import compression
from adapters.http.compression import GZIP, ZSTD, accepts, choose_coding, compress, gzip_pieces

pytestmark = pytest.mark.parametrize("library", [isal_zlib, zlib], ids=["isal", "zlib"])


@pytest.fixture(autouse=True)
def _use(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_zlib", library)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("br, GZIP;q=0.5", True),
        ("gzip ; q = 0.5", True),
        ("*", True),
        ("br;q=1, *;q=0.1", True),
        ("*, gzip", True),
        ("gzip;q=0", False),
        ("gzip;q=0.", False),
        ("gzip; q=0.000, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzip-not", False),
    ],
)
def test_a_client_accepts_the_codings_that_it_names(field: str | None, expected: bool) -> None:
    assert accepts(field, GZIP) is expected


@pytest.mark.parametrize(
    ("field", "coding"),
    [
        ("gzip, zstd", GZIP),
        ("zstd, gzip", GZIP),
        ("gzip, deflate, br, zstd", GZIP),
        ("zstd;q=0.1, gzip;q=0.1", GZIP),
        ("zstd;q=0.1, gzip", GZIP),
        ("zstd, gzip;q=0.9", ZSTD),
        ("ZSTD;q=0.9, gzip;q=0.899", ZSTD),
        ("zstd", ZSTD),
        ("gzip", GZIP),
        ("gzip;q=0, *", ZSTD),
        ("gzip;q=0.5, *", ZSTD),
        ("zstd;q=0, *", GZIP),
        ("*", GZIP),
        ("*;q=0", None),
        ("gzip, identity", GZIP),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0.5, identity;q=0.4", GZIP),
        ("gzip;q=0, identity;q=0", None),
        ("gzip;q=high", None),
        ("br", None),
        ("", None),
        (None, None),
    ],
)
def test_the_best_accepted_coding_is_chosen_and_gzip_before_zstd(field: str | None, coding: str | None) -> None:
    assert choose_coding(field) == coding


def test_a_whole_body_survives_compression() -> None:
    body = b"abc" * 5_000
    assert gzip.decompress(compress(body, GZIP)) == body
    assert zstandard.decompress(compress(body, ZSTD)) == body
    assert len(compress(body, GZIP)) < 300


async def test_each_compressed_piece_can_be_read_when_it_arrives() -> None:
    closed: list[bool] = []

    async def body() -> AsyncGenerator[bytes]:
        try:
            for number in range(3):
                yield b"piece %d" % number
        finally:
            closed.append(True)

    pieces, reader = gzip_pieces(body()), zlib.decompressobj(31)
    for number in range(3):
        assert reader.decompress(await anext(pieces)) == b"piece %d" % number
    assert not reader.eof
    assert [reader.decompress(each) async for each in pieces] == [b""]
    assert (reader.eof, closed) == (True, [True])
    # A client that leaves early closes the source too.
    pieces = gzip_pieces(body())
    await anext(pieces)
    await pieces.aclose()
    assert closed == [True, True]
