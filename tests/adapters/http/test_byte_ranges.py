"""Byte ranges, compared with a simple model of RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.byte_ranges import Part, UnsatisfiableRangeError, choose_part

WHOLE, UNSATISFIABLE = "whole", "unsatisfiable"


def choose(header: str | None, length: int) -> Part | str:
    try:
        return choose_part(header, length) or WHOLE
    except UnsatisfiableRangeError:
        return UNSATISFIABLE


lengths = st.integers(0, 40)
positions = st.integers(0, 60)


@given(positions, st.none() | positions, lengths)
def test_a_range_with_a_first_byte(first: int, last: int | None, length: int) -> None:
    got = choose(f"bytes={first}-{'' if last is None else last}", length)
    wanted = [i for i in range(length) if i >= first and (last is None or i <= last)]
    if last is not None and last < first:
        assert got == WHOLE
    else:
        assert got == (Part(wanted[0], wanted[-1] + 1) if wanted else UNSATISFIABLE)


@given(positions, lengths)
def test_a_range_of_the_last_bytes(size: int, length: int) -> None:
    wanted = list(range(length))[-size:] if size else []
    expected = Part(wanted[0], wanted[-1] + 1) if wanted else WHOLE if size else UNSATISFIABLE
    assert choose(f"bytes=-{size}", length) == expected


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=20) | st.text(max_size=20), lengths)
def test_every_part_is_within_the_audio(header: str, length: int) -> None:
    got = choose(header, length)
    if isinstance(got, Part):
        assert 0 <= got.start < got.end <= length


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "bytes= 0 - 1", "bytes=+0-1",
     "bytes=0-1-2", "items=0-1", "bytes=0-1,3-4", "bytes=0-1, -1", "bytes=\u0660-\u0661", "bytes:0-1", "bytes =0-1",
     "0-1"],
)  # fmt: skip
def test_malformed_unknown_and_multiple_ranges_are_ignored(header: str | None) -> None:
    assert choose(header, 10) == WHOLE


@pytest.mark.parametrize("header", ["bytes=0-1", "BYTES=0-1", " bytes=0-1 ", "bytes= ,0-1,", "bytes=000-0001"])
def test_other_spellings_of_the_same_range(header: str) -> None:
    assert choose(header, 10) == Part(0, 2)


def test_huge_numbers_are_accepted() -> None:
    huge = "9" * 5_000
    assert choose(f"bytes=0-{huge}", 10) == Part(0, 10)
    assert choose(f"bytes=-{huge}", 10) == Part(0, 10)
    assert choose(f"bytes={huge}-", 10) == UNSATISFIABLE


def test_content_range() -> None:
    assert Part(0, 5).content_range(10) == "bytes 0-4/10"
