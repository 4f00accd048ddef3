"""What a receiver's answer means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.delivery.http_outcome import LONGEST_WAIT, receipt_of, retry_after, shown_text
from recordings.ports.courier import Sent

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_the_class_of_2xx(status: int) -> None:
    assert receipt_of(status, {}, "", NOW).sent is Sent.DELIVERED


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    receipt = receipt_of(status, {}, "why", NOW)
    assert (receipt.sent, receipt.error) == (Sent.AGAIN, f"the server answered {status}: why")


@pytest.mark.parametrize("status", [303, 400, 405, 410, 413, 415, 422, 501])
def test_what_stays_as_it_is_is_not(status: int) -> None:
    assert receipt_of(status, {"Retry-After": "5"}, "", NOW).sent is Sent.NEVER


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", 0),
        (" 120 ", 120_000),
        ("9" * 40, LONGEST_WAIT),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90_000),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Sun, 22 Nov 2099 12:00:00 GMT", LONGEST_WAIT),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_a_wait_is_asked_for_in_seconds_or_as_a_date(value: str | None, wait: int | None) -> None:
    assert retry_after(value, NOW) == wait
    assert receipt_of(503, {"Retry-After": value} if value else {}, "", NOW).after == wait


@given(st.text(max_size=40))
def test_any_wait_is_bounded(value: str) -> None:
    wait = retry_after(value, NOW)
    assert wait is None or 0 <= wait <= LONGEST_WAIT


def test_a_text_is_one_line_without_secrets() -> None:
    url = "https://user:p%40ss@h.example/in?token=abc%20def&x=1"
    body = b"PUT /in?token=abc%20def&x=1\r\n\x00 by p@ss (p%40ss): token was abc def" + b"!" * 500
    text = shown_text(body, url)
    assert "p@ss" not in text
    assert "p%40ss" not in text
    assert "abc" not in text
    assert text.isprintable()
    assert len(text) == 300
    assert shown_text(b"\xff\xfe", url).isprintable()
