"""Time and ids."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.model.ids import is_hex_id, new_id, new_recording_id, new_secret
from recordings.model.instants import EARLIEST, LATEST, from_iso, month_of, to_iso, to_millis

INSTANTS = st.integers(EARLIEST, LATEST)


@given(INSTANTS)
def test_an_instant_survives_conversion_to_text(at: int) -> None:
    text = to_iso(at)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert from_iso(text) == at


@given(INSTANTS, INSTANTS)
def test_texts_sort_like_their_instants(one: int, other: int) -> None:
    assert (to_iso(one) < to_iso(other)) == (one < other)


@given(st.datetimes(timezones=st.timezones()))
def test_instants_are_exact(moment: datetime) -> None:
    assert to_millis(moment) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["2026-11-22", "2026-11-22T08:19:00", "yesterday", ""])
def test_a_text_without_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time zone|isoformat"):
        from_iso(text)


def test_the_month_is_in_utc() -> None:
    moment = datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert month_of(to_millis(moment)) == "202611"


def test_recording_ids_have_the_documented_shape_and_sort_by_time() -> None:
    start = to_millis(datetime(2026, 11, 30, 23, 59, 59, 990_000, tzinfo=UTC))
    ids = [new_recording_id(start + step) for step in range(20)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 20
    assert all(re.fullmatch(r"20261[12]-[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", identity) for identity in ids)
    assert (ids[0][:6], ids[-1][:6]) == ("202611", "202612")


def test_other_ids_and_secrets_are_hex() -> None:
    assert is_hex_id(new_id())
    assert not is_hex_id(new_id().upper() + "x")
    assert re.fullmatch(r"[0-9a-f]{64}", new_secret())
